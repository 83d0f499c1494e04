"""The summary that a run prints at its end: rows, headline results, problems, and where the results are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quintet.domain import Domain
from quintet.domains import DOMAINS
from quintet.ingest.inbox import list_inbox
from quintet.ingest.mapping import Used
from quintet.postgres_extract.extract import FILE_PREFIX
from quintet.presentation.wording import counted
from quintet.settings import Settings
from quintet.warehouse.domain_states import domain_states
from quintet.warehouse.snapshot import current_snapshot, open_snapshot

_MOST_SHOWN = 10


@dataclass(frozen=True)
class DatasetFigures:
    """A dataset's batches in figures; rows = loaded + rejected."""

    dataset: str
    files: int
    rows: int
    loaded: int
    rejected: int


def dataset_figures(snapshot: duckdb.DuckDBPyConnection, names: Iterable[str]) -> list[DatasetFigures]:
    """Return the figures of each dataset, in the given order; all zero for a dataset without data."""
    found = {
        name: DatasetFigures(name, *figures)
        for name, *figures in snapshot.execute(
            "select dataset, count(*), sum(rows)::bigint, sum(loaded)::bigint, sum(rejected)::bigint "
            "from marts.ops_batches where status = 'loaded' group by dataset"
        ).fetchall()
    }
    return [found.get(name, DatasetFigures(name, 0, 0, 0, 0)) for name in names]


def remarks(snapshot: duckdb.DuckDBPyConnection, settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the problems to show: rejected and doubtful files that are still in the inbox, rejected rows,
    keys in conflict.
    """
    lines = []
    for name in names:
        files = {file.name for file in list_inbox(settings.raw, name)}
        if not files and not _comes_from_a_database(snapshot, name):
            lines.append(f"{name}: no data; the inbox {settings.raw / name} is empty or missing")
        unread = snapshot.execute(
            "select file, message from marts.ops_batches as rejection where dataset = $dataset and status = 'rejected' "
            "and list_contains($files, file) and not exists ("
            "select 1 from marts.ops_batches as later where later.status = 'loaded' and later.file = rejection.file "
            "and later.dataset = rejection.dataset and later.at >= rejection.at) order by all",
            {"dataset": name, "files": sorted(files)},
        ).fetchall()
        lines += [f"{name}: file not read: {message}" for _, message in unread[:_MOST_SHOWN]]
        mapped = snapshot.execute(
            "select mapping, count(*), min(file) from marts.ops_batches where dataset = $dataset "
            "and status = 'loaded' and mapping is not null and list_contains($files, file) group by all order by all",
            {"dataset": name, "files": sorted(files)},
        ).fetchall()
        for mapping, count, file in mapped[:_MOST_SHOWN]:
            words = " and ".join(Used.from_json(mapping).sentences())
            lines.append(f"{name}: {counted(count, 'file')} read as people mapped them, such as {file}: {words}")
        doubtful = snapshot.execute(
            "select file, message from marts.ops_batches where dataset = $dataset and status = 'loaded' "
            "and format in ('csv', 'xlsx', 'parquet') and message is not null and list_contains($files, file) "
            "order by all",
            {"dataset": name, "files": sorted(files)},
        ).fetchall()
        lines += [f"{name}: check {file}: {message}" for file, message in doubtful[:_MOST_SHOWN]]
        quarantined = snapshot.execute(
            "select file, count(*), min(reason) from marts.ops_rejected_rows "
            "where dataset = ? group by all order by all",
            [name],
        ).fetchall()
        lines += [
            f"{name}: {counted(count, 'row')} of {file} quarantined in marts.ops_rejected_rows, such as: {reason}"
            for file, count, reason in quarantined[:_MOST_SHOWN]
        ]
        conflicts = snapshot.execute(
            "select key, kept_file from marts.ops_conflicts where dataset = ? order by key", [name]
        ).fetchall()
        if conflicts:
            keys = "; ".join(f"{key} (from {kept_file})" for key, kept_file in conflicts[:_MOST_SHOWN])
            more = f" and {len(conflicts) - _MOST_SHOWN:,} more" if len(conflicts) > _MOST_SHOWN else ""
            lines.append(
                f"{name}: files contradict each other on {counted(len(conflicts), 'key')}; the later one holds: "
                f"{keys}{more} (all of them: marts.ops_conflicts)"
            )
    return lines


def _comes_from_a_database(snapshot: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Return whether a dataset has rows from a database."""
    states = domain_states(snapshot)
    for domain in DOMAINS:
        is_missing = domain.name in states and states[domain.name].status == "missing"
        if name in domain.other_inboxes and not is_missing and domain.has_rows(snapshot):
            return True
    ((found,),) = snapshot.execute(
        "select exists (from marts.ops_batches where dataset = ? and starts_with(file, ?))", [name, FILE_PREFIX]
    ).fetchall()
    return bool(found)


def render(settings: Settings, domains: Sequence[Domain], title: str) -> RenderableType:
    """Return the summary of the current snapshot for the given domains, ready to print."""
    names = [name for domain in domains for name in domain.inboxes]
    path = current_snapshot(settings.serving)
    with open_snapshot(path) as snapshot:
        table = Table(title=title, title_justify="left")
        table.add_column("dataset")
        for heading in ("files", "rows in", "loaded", "rejected"):
            table.add_column(heading, justify="right")
        for figures in dataset_figures(snapshot, names):
            numbers = (figures.files, figures.rows, figures.loaded, figures.rejected)
            table.add_row(figures.dataset, *(f"{number:,}" for number in numbers))
        states = domain_states(snapshot)
        headlines = [
            f"{domain.name}: {domain.headline(snapshot)}"
            for domain in domains
            if domain.name not in states or states[domain.name].status != "missing"
        ]
        behind = [f"! {state.sentence()}" for state in states.values() if not state.is_current]
        notes = behind + remarks(snapshot, settings, names)
    places = [f"snapshot: {path} (read it as {settings.serving / 'current.duckdb'})"]
    return Group(table, *(Text(line) for line in ["", *headlines, "", *notes, *([""] if notes else []), *places]))
