"""A lost, older or foreign warehouse is built again from the inboxes, and no loss is published unasked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from quintet.domains import DOMAIN_NAMES
from quintet.warehouse.database import published_file
from quintet.warehouse.domain_states import domain_states
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.digest import ARRIVAL_COLUMNS, schema_digests

PAGES = "page_category;measurement_category\nA new page;99new/98new/97new\n"


@pytest.fixture
def quintet(built: Quintet, tmp_path: Path) -> Quintet:
    """Return a copy of the built home and its inboxes."""
    copy = Quintet(tmp_path / "raw", tmp_path / "home")
    shutil.copytree(built.raw, copy.raw)
    subprocess.run(["cp", "-a", f"{built.home}/.", str(copy.home)], check=True)  # the server's files keep their owner
    return copy


def marts(quintet: Quintet) -> dict[str, str]:
    with open_snapshot(quintet.snapshot) as snapshot:
        digests = schema_digests(snapshot, "marts", exclude=ARRIVAL_COLUMNS)
    return {table: digest for table, digest in digests.items() if table not in ("snapshot", "ops_domains")}


def statuses(quintet: Quintet) -> dict[str, str]:
    with open_snapshot(quintet.snapshot) as snapshot:
        return {name: state.status for name, state in domain_states(snapshot).items()}


def drop_pages(quintet: Quintet) -> None:
    (quintet.raw / "page_categories" / "more.csv").write_text(PAGES)


def test_a_lost_warehouse_is_built_again_and_a_file_that_is_gone_too_is_a_loss(quintet: Quintet) -> None:
    before = marts(quintet)
    (quintet.home / "warehouse.duckdb").unlink()
    (quintet.raw / "transactions" / "transactions_2.csv").unlink()
    drop_pages(quintet)

    printed = quintet.run(status=1)

    assert "warehouse.duckdb is lost; everything is built again from the inboxes" in printed
    assert "transactions/transactions_2.csv" in printed
    assert "--accept-losses" in printed
    assert statuses(quintet) == dict.fromkeys(DOMAIN_NAMES, "current") | {"payments": "old"}
    now = marts(quintet)
    assert now.keys() == before.keys()
    assert {"fct_payment_minutes", "fct_payment_incidents", "fct_agency_performance", "fct_promo_usages"} <= {
        table for table in before if now[table] == before[table]
    }

    quintet.run("--accept-losses")

    assert set(statuses(quintet).values()) == {"current"}
    assert marts(quintet)["fct_payment_minutes"] != before["fct_payment_minutes"]
    assert "everything is up to date" in quintet.run()


def test_lost_published_tables_are_built_again(quintet: Quintet) -> None:
    before = marts(quintet)
    published_file(quintet.home / "warehouse.duckdb").unlink()
    assert "warehouse.duckdb.published is lost" in quintet.run()
    assert set(statuses(quintet).values()) == {"current"}
    assert {table for table, digest in marts(quintet).items() if before.get(table) != digest} == set()


def test_the_warehouse_of_the_snapshot_is_used_as_it_is(quintet: Quintet) -> None:
    assert "nothing new: everything is up to date" in quintet.run()
