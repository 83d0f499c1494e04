"""What Dagster learns of a raw table: its data version is that of the files in it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.ingest import build_ingest_asset
from quintet.conversions.contract import PAGE_CATEGORIES
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.warehouse import Warehouse

HEADER = "page_category;measurement_category\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "page_categories"
    folder.mkdir(parents=True)
    return folder


def data_version(inbox: Path) -> str:
    """Load what lies in the inbox; the data version that Dagster records then."""
    home = inbox.parents[1]
    asset = build_ingest_asset(PAGE_CATEGORIES)
    result = dg.materialize(
        [asset],
        resources={
            "warehouse": Warehouse(
                database=str(home / "warehouse.duckdb"),
                memory_limit="500MB",
                threads=1,
                lock_wait_seconds=0,
                snapshots_kept=1,
            ),
            "inboxes": Inboxes(raw=str(inbox.parent), settle_seconds=0),
            "clock": Clock(),
        },
    )
    (event,) = result.asset_materializations_for_node(asset.op.name)
    return (event.tags or {})["dagster/data_version"]


def test_a_raw_table_has_another_data_version_where_other_files_are_in_it_and_only_then(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    first = data_version(inbox)
    assert data_version(inbox) == first, "nothing new was loaded"
    (inbox / "copy.csv").write_text(HEADER + "a;a\n")
    assert data_version(inbox) == first, "the same content is the same batch"
    (inbox / "b.csv").write_text(HEADER + "b;b\n")
    assert data_version(inbox) != first
