"""What Dagster learns of a raw table: its data version is that of the files in it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from assets.ingest import INBOXES, build_ingest_asset, inbox_event, raw_key
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


def resources(inbox: Path) -> dict[str, dg.ConfigurableResource]:
    return {
        "warehouse": Warehouse(
            database=str(inbox.parents[1] / "warehouse.duckdb"),
            memory_limit="500MB",
            threads=1,
            lock_wait_seconds=0,
            snapshots_kept=1,
        ),
        "inboxes": Inboxes(raw=str(inbox.parent), settle_seconds=0),
        "clock": Clock(),
    }


def data_version(inbox: Path) -> str:
    """Load what lies in the inbox; the data version that Dagster records then."""
    asset = build_ingest_asset(PAGE_CATEGORIES)
    result = dg.materialize([asset], resources=resources(inbox))
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


def test_a_new_version_of_an_inbox_makes_its_raw_table_stale_in_the_ui_until_it_is_loaded(inbox: Path) -> None:
    key, asset = raw_key(PAGE_CATEGORIES.name), build_ingest_asset(PAGE_CATEGORIES)
    definitions = dg.Definitions([*INBOXES, asset], resources=resources(inbox))
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    with dg.DagsterInstance.ephemeral() as instance:

        def load() -> None:
            job = definitions.resolve_implicit_global_asset_job_def()
            assert job.execute_in_process(instance=instance).success

        def arrive(version: str) -> None:
            instance.report_runless_asset_event(inbox_event(PAGE_CATEGORIES.name, version))

        def stale_causes() -> list[str]:
            graph = definitions.resolve_asset_graph()
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            return [cause.reason for cause in resolver.get_stale_causes(key)]

        arrive("one file")
        load()
        assert stale_causes() == []
        arrive("one file")
        assert not stale_causes(), "nothing new lies there"
        arrive("two files")
        assert stale_causes()
        load()
        assert not stale_causes()
