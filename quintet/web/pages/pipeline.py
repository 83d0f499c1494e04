"""The pipeline page: what every table and report is made from, how fresh it is, and what is quarantined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from fastapi import Request
from starlette.responses import Response

from quintet.domains import DOMAINS
from quintet.pipeline import STAGES, Asset, Build, builds, lineage
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.state.keys import Key
from quintet.web.pages.downloads import with_query
from quintet.web.pages.shell import show_snapshot
from quintet.web.pipeline_contexts import PipelineAsset, PipelineCell, PipelineContext
from quintet.web.rendering import Filter, FilterBar, Option, State, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router(None, include_in_schema=False)

PATH = "/pipeline"
SHARED = "all businesses"
"""What stands for the business of assets that belong to all, such as the snapshot."""

_MOST_EXAMPLES = 3
_FILE_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("file", "File"),
    Column("arrived", "Arrived", "moment", "UTC"),
    Column("why", "Why", "sentence"),
    Column("fix", "How to fix it", "sentence"),
)
_ROW_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("file", "File"),
    Column("rows", "Rows", "count"),
    Column("reason", "Why", "sentence"),
    Column("places", "First rows"),
    Column("example", "Text", "sentence"),
    Column("fix", "How to fix it", "sentence"),
)
_STATES: Mapping[str, tuple[State, str]] = {
    "failed": ("critical", "failed"),
    "check": ("warning", "check failed"),
    "good": ("good", "up to date"),
    "none": ("none", "no build recorded"),
}


@router.get(PATH)
def pipeline(request: Request) -> Response:
    """Show the lineage of all data with the state of each part, and what is quarantined."""
    key: Key = request.state.key
    service = service_of(request)
    own = [domain for domain in DOMAINS if key.allows(f"{domain.name}:read")]
    readable = [domain.name for domain in own]
    inboxes = [inbox for domain in own for inbox in domain.inboxes]
    recorded = builds(service.settings.served)
    dagster_url = (service.settings.dagster_url or "").rstrip("/")
    given = request.query_params
    filters, problem = _filters(given, readable)

    def make(snapshot: Any) -> PipelineContext:
        rows, known = _rows_of(snapshot.cursor), _known(snapshot.cursor) | recorded
        every = [
            _asset(asset, known.get(asset.key), rows, dagster_url)
            for asset in lineage().values()
            if asset.group in readable or _business(asset) == SHARED
        ]
        shown = [
            one
            for one in every
            if filters["business"] in ("", one["business"])
            and filters["stage"] in ("", one["stage"])
            and filters["asset"] in ("", one["key"])
            and filters["state"] in ("", one["state_in_words"])
        ]
        order = list(_STATES)
        shown.sort(key=lambda one: (order.index(one["kind"]), list(STAGES).index(one["stage"]), one["key"]))
        options = {
            "business": [*readable, SHARED],
            "stage": list(STAGES),
            "state": [words for _, words in _STATES.values()],
        }
        bar = [
            Filter(name, name.capitalize(), "select", [Option(value, value) for value in values], [filters[name]])
            for name, values in options.items()
        ]
        names = [Option(one["key"], "") for one in every]
        bar.append(Filter("asset", "Table or report", "text", names, [filters["asset"]] if filters["asset"] else []))
        return {
            "filters": FilterBar(PATH, bar, problem),
            "announcement": counted(len(shown), "part"),
            "stages": list(STAGES),
            "grid": [(business, _cells(business, every)) for business in options["business"]],
            "assets": shown,
            "dagster_url": dagster_url,
            "files": _files(snapshot.cursor, inboxes),
            "rejected": _rejected(snapshot.cursor, inboxes),
        }

    varying = repr(sorted((key, build.built_at, build.failed_at, build.checks) for key, build in recorded.items()))
    return show_snapshot(request, "pipeline.html", "Pipeline", make, varying)


def _filters(given: Mapping[str, str], readable: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Return the filters of the address; if one is unknown, none and why."""
    known: Mapping[str, Sequence[str]] = {
        "business": [*readable, SHARED],
        "stage": list(STAGES),
        "state": [words for _, words in _STATES.values()],
        "asset": list(lineage()),
    }
    filters = {name: given.get(name, "").strip() for name in known}
    for name, value in filters.items():
        if value and value not in known[name]:
            few = known[name] if len(known[name]) < 9 else ()
            words = f"none of {', '.join(few)}" if few else "not in the pipeline; choose one of the list"
            return dict.fromkeys(known, ""), f"{name}: {value[:80]!r} is {words}"
    return filters, None


def _business(asset: Asset) -> str:
    return asset.group if asset.group in {domain.name for domain in DOMAINS} else SHARED


def _asset(asset: Asset, build: Build | None, rows: Mapping[str, int], dagster_url: str) -> PipelineAsset:
    build = build or Build()
    failed = sorted(name for name, passed in build.checks.items() if not passed)
    is_known = bool(build.built_at) or asset.stage == "Sources" or asset.key.replace("/", ".") in rows
    kind = "failed" if build.has_failed else "check" if failed else "good" if is_known else "none"
    state, words = _STATES[kind]
    passed = f"{len(build.checks) - len(failed)} of {len(build.checks)} passed" if build.checks else ""
    return {
        "key": asset.key,
        "elsewhere": f"{dagster_url}/assets/{asset.key}" if dagster_url else "",
        "business": _business(asset),
        "stage": asset.stage,
        "kind": kind,
        "state": state,
        "state_in_words": words,
        "built_at": build.built_at,
        "rows": rows.get(asset.key.replace("/", "."), build.rows),
        "checks": passed + (f"; failed: {', '.join(failed)}" if failed else ""),
        "failed_at": build.failed_at,
        "failure": build.failure,
        "upstream": list(asset.upstream),
        "description": asset.description,
    }


def _cells(business: str, assets: Sequence[PipelineAsset]) -> list[PipelineCell]:
    """Return the state of each stage of a business."""
    cells: list[PipelineCell] = []
    for stage in STAGES:
        own = [one for one in assets if one["business"] == business and one["stage"] == stage]
        worst = min((list(_STATES).index(one["kind"]) for one in own), default=None)
        kind = list(_STATES)[worst] if worst is not None else "none"
        bad = sum(one["kind"] == kind for one in own)
        state, words = _STATES[kind]
        cells.append(
            {
                "stage": stage,
                "count": len(own),
                "href": with_query(PATH, [("business", business), ("stage", stage)]),
                "state": state,
                "state_in_words": words if kind == "good" else f"{bad} {words}",
                "built_at": max((one["built_at"] for one in own), default=""),
            }
        )
    return cells


def _rows_of(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of rows of each published table, from the catalogue: a snapshot is never changed."""
    found = cursor.execute("select schema_name || '.' || table_name, estimated_size from duckdb_tables()").fetchall()
    return {str(name): int(rows) for name, rows in found}


def _known(cursor: duckdb.DuckDBPyConnection) -> dict[str, Build]:
    """Return what the snapshot itself knows of inboxes: when their last file arrived, and the rows of all files."""
    found = cursor.execute(
        "select 'inbox/' || dataset, strftime(max(\"at\"), '%Y-%m-%dT%H:%M:%S+00:00'), sum(loaded)::bigint "
        "from marts.ops_batches where status = 'loaded' group by dataset"
    ).fetchall()
    return {key: Build(built_at=moment, rows=rows) for key, moment, rows in found}


def _files(cursor: duckdb.DuckDBPyConnection, inboxes: Sequence[str]) -> Table:
    frame = cursor.execute(
        'select dataset, file, "at" as arrived, message as why, '
        "'Correct the file and drop it into data/raw/' || dataset || ' again; see docs/datasets.md#' || dataset as fix "
        "from marts.ops_batches where status = 'rejected' and list_contains(?, dataset) order by \"at\" desc, file",
        [list(inboxes)],
    ).df()
    return Table(frame, _FILE_COLUMNS, "Quarantined files", len(frame), nothing="Every file could be read.")


def _rejected(cursor: duckdb.DuckDBPyConnection, inboxes: Sequence[str]) -> Table:
    frame = cursor.execute(
        "select dataset, file, count(*) as rows, reason, "
        f"array_to_string(list(source_row order by source_row)[:{_MOST_EXAMPLES}], ', ') as places, "
        "arg_min(text, source_row)[:200] as example, "
        "'Correct these rows in a copy of the file and drop it into data/raw/' || dataset || "
        "'; rows that are loaded already count once. They are in marts.ops_rejected_rows' as fix "
        "from marts.ops_rejected_rows where list_contains(?, dataset) group by all order by rows desc, file, reason",
        [list(inboxes)],
    ).df()
    return Table(frame, _ROW_COLUMNS, "Quarantined rows, by reason", len(frame), nothing="Every row could be used.")
