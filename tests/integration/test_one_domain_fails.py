"""A domain that fails at any stage is published as it was, and the others with new data, by `quintet run`.

Faults are planted in the warehouse. One home goes through all of them: each run gets a file with two new rows of each
domain that has files, and is given its faults after those of the run before were removed.
"""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass

import pytest

from bench.latency import DROPS
from bench.latency import Home as Inboxes
from quintet.domains import DOMAIN_NAMES
from quintet.lending.inbox import INBOX
from quintet.warehouse.database import open_warehouse
from quintet.warehouse.domain_states import DomainState, domain_states
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.digest import schema_digests

FACTS = {
    "insurance": "marts.fct_agency_performance",
    "promotions": "marts.fct_promo_usages",
    "conversions": "marts.fct_conversions",
    "payments": "marts.fct_payment_minutes",
}
"""A table of each domain that two new rows change."""


@dataclass(frozen=True)
class Fault:
    """What makes a domain fail at a stage, and how it is removed again."""

    stage: str
    domain: str
    plant: str
    remove: str


INGEST = Fault(
    "ingest",
    "conversions",
    "alter table raw.conversions add column surplus varchar",
    "alter table raw.conversions drop column surplus",
)
MODEL = Fault(
    "dbt model",
    "payments",
    "alter table staging.stg_transactions rename column minute_of_day to minute",
    "alter table staging.stg_transactions rename column minute to minute_of_day",
)
TEST = Fault(
    "dbt test",
    "promotions",
    "insert into staging.stg_promo_usages select * from staging.stg_promo_usages limit 1",
    "delete from staging.stg_promo_usages where rowid in (select max(rowid) from staging.stg_promo_usages "
    "group by _batch_id, _source_row having count(*) > 1)",
)
STEP = Fault(
    "Python step",
    "insurance",
    "drop table ml.premium_forecast; create view published.ml.premium_forecast as select 1 as nothing",
    "drop view published.ml.premium_forecast",
)
RUNS = ((), (INGEST,), (MODEL, TEST), (STEP,), ())


@dataclass(frozen=True)
class Seen:
    """The snapshot after a run: the state of each domain, and a digest of each table."""

    faults: tuple[Fault, ...]
    printed: str
    states: dict[str, DomainState]
    digests: dict[str, str]

    @property
    def failed(self) -> set[str]:
        return {fault.domain for fault in self.faults}


def see(quintet: Quintet, faults: tuple[Fault, ...], printed: str) -> Seen:
    with open_snapshot(quintet.snapshot) as snapshot:
        return Seen(
            faults,
            printed,
            domain_states(snapshot),
            {f"marts.{table}": digest for table, digest in schema_digests(snapshot, "marts").items()},
        )


@pytest.fixture(scope="module")
def seen(built: Quintet, tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    folder = tmp_path_factory.mktemp("one domain fails")
    inboxes = Inboxes(folder)
    quintet = Quintet(inboxes.raw, inboxes.home)
    subprocess.run(["cp", "-a", f"{built.home}/.", str(quintet.home)], check=True)  # files keep their owner
    found = [see(quintet, (), built.printed)]
    for before, faults in itertools.pairwise(RUNS):
        with open_warehouse(
            quintet.home / "warehouse.duckdb", memory_limit="500MB", threads=1, lock_wait_seconds=0
        ) as connection:
            for sql in [*(fault.remove for fault in before), *(fault.plant for fault in faults)]:
                connection.execute(sql)
        if faults:
            for drop in DROPS:
                if drop.dataset != INBOX:
                    inboxes.drop(drop)
        found.append(see(quintet, faults, quintet.run(status=1 if faults else 0)))
    return found


def after(seen: list[Seen], *stages: str) -> tuple[Seen, Seen]:
    """Return what was seen before and after the run with these faults."""
    [place] = [number for number, one in enumerate(seen) if tuple(fault.stage for fault in one.faults) == stages]
    return seen[place - 1], seen[place]


@pytest.mark.parametrize("stages", [("ingest",), ("dbt model", "dbt test"), ("Python step",)])
def test_the_others_are_published_with_new_data(seen: list[Seen], stages: tuple[str, ...]) -> None:
    before, now = after(seen, *stages)
    changed = {domain for domain, fact in FACTS.items() if before.digests[fact] != now.digests[fact]}
    assert changed == FACTS.keys() - now.failed
    assert {name for name, state in now.states.items() if state.is_current} == set(DOMAIN_NAMES) - now.failed


@pytest.mark.parametrize("stages", [("ingest",), ("dbt model", "dbt test"), ("Python step",)])
def test_the_failed_one_is_published_as_it_was_and_says_since_when(seen: list[Seen], stages: tuple[str, ...]) -> None:
    before, now = after(seen, *stages)
    for domain in now.failed:
        state = now.states[domain]
        assert state.status == "old"
        assert state.built_at == before.states[domain].built_at
        assert f"! {state.sentence()}" in now.printed
        assert f"quintet run --select {domain}" in state.problem


def test_no_table_of_a_failed_domain_is_newer_than_another(seen: list[Seen]) -> None:
    before, now = after(seen, "Python step")
    ours = [table for table in now.digests if "premium" in table or "agency" in table]
    assert len(ours) > 3
    assert {table for table in ours if before.digests[table] != now.digests[table]} == set()


def test_a_domain_that_failed_is_built_by_the_next_run(seen: list[Seen]) -> None:
    first, *_, last = seen
    assert all(state.is_current for state in last.states.values())
    assert "the last build of insurance did not succeed" in last.printed
    assert {fact for fact in FACTS.values() if first.digests[fact] == last.digests[fact]} == set()
