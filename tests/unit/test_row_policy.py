"""Row policies: what a key may be bound to, and the tables of its part."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from quintet.domains import ROW_POLICIES, SCOPES
from quintet.row_policy import WHOLE, RowPolicy, check_binding, fill_part, unknown_values
from quintet.state.binding import Binding, UnusableBindingError
from quintet.warehouse.connect import connect_to_part

POLICY = RowPolicy(
    kind="agency",
    type="bigint",
    domain="insurance",
    scopes=("insurance:read",),
    pages=("/insurance",),
    known="marts.facts.agency_id",
    tables={
        "marts.facts": "from whole.marts.facts where agency_id in (from bound.agency)",
        "marts.later": "from whole.marts.later",
        "marts.sums": "select sum(usd)::integer as usd from marts.facts",
    },
)
POLICIES = {"agency": POLICY}


def _bound(**values: list[str]) -> Binding:
    binding = Binding.of(values)
    assert binding is not None
    return binding


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "snapshot.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.facts as from (values (1, 10), (2, 200), (3, 3000)) as t(agency_id, usd)"
        )
        connection.execute("create table marts.secrets as select 42 as number")
        connection.execute("create table marts.snapshot as select 'one' as snapshot_id")
    return path


def test_a_part_has_its_own_rows_and_sums_and_no_other_table(snapshot: Path) -> None:
    binding = _bound(agency=["1", "003"])
    with closing(connect_to_part(snapshot, WHOLE, lambda it: fill_part(it, binding, POLICIES))) as part:
        assert part.execute("select agency_id from marts.facts order by 1").fetchall() == [(1,), (3,)]
        assert part.execute("from marts.sums").fetchall() == [(3010,)]
        for hidden in (
            "marts.secrets",
            "marts.later",
            "whole.marts.facts",
            f"'{snapshot}'",
            f"read_text('{snapshot}')",
        ):
            with pytest.raises(duckdb.Error):
                part.execute(f"select * from {hidden}").fetchall()
        for escape in (f"attach '{snapshot}'", "set enable_external_access = true"):
            with pytest.raises(duckdb.Error):
                part.execute(escape)


def test_a_snapshot_without_the_value_gives_an_empty_part(snapshot: Path) -> None:
    binding = _bound(agency=["9"])
    with closing(connect_to_part(snapshot, WHOLE, lambda it: fill_part(it, binding, POLICIES))) as part:
        assert part.execute("from marts.facts").fetchall() == []


def test_values_that_a_snapshot_lacks_are_named(snapshot: Path) -> None:
    with closing(duckdb.connect(str(snapshot), read_only=True)) as whole:
        assert unknown_values(whole, _bound(agency=["1", "9"]), POLICIES) == {"agency": ["9"]}
        assert unknown_values(whole, _bound(agency=["3"]), POLICIES) == {}


@pytest.mark.parametrize(
    "scope", sorted({*SCOPES} - {scope for policy in ROW_POLICIES.values() for scope in policy.scopes})
)
def test_a_bound_key_has_no_scope_that_is_not_split(scope: str) -> None:
    with pytest.raises(UnusableBindingError, match=scope):
        check_binding(_bound(agency=["1"]), {"insurance:read", scope}, ROW_POLICIES)


def test_a_scope_of_the_kind_itself_is_allowed_and_that_of_another_is_not() -> None:
    check_binding(_bound(agency=["1"]), {"insurance:read"}, ROW_POLICIES)
    check_binding(_bound(agency=["1"], partner=["n"]), {"insurance:read", "conversions:read"}, ROW_POLICIES)
    with pytest.raises(UnusableBindingError, match="conversions:read"):
        check_binding(_bound(agency=["1"]), {"conversions:read"}, ROW_POLICIES)


@pytest.mark.parametrize("value", ["x", "1.5", "-1", "²", str(2**63)])
def test_an_agency_that_is_no_id_is_refused(value: str) -> None:
    with pytest.raises(UnusableBindingError, match="is not a whole number"):
        check_binding(_bound(agency=[value]), {"insurance:read"}, ROW_POLICIES)
