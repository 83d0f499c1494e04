"""The checkout analysis as a paper: each day beside its references, the hours that stand out, and the SQL behind it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from quintet.payments.charts import checkout_figure
from quintet.presentation.design import Column, format_value
from quintet.presentation.report import Block, Chart, Code, Points, Report, Section, Table, Text, Tiles, write_pdf

FILE = "checkout_analysis.pdf"

MOST_DAYS = 14
"""Days in the paper, the last ones; a table of all is in the snapshot."""

_COLUMNS = (
    Column("hour_label", "Hour"),
    Column("today", "Today", "count"),
    Column("yesterday", "Yesterday", "count"),
    Column("same_day_last_week", "Last week", "count"),
    Column("avg_last_week", "Mean week", "money"),
    Column("avg_last_month", "Mean month", "money"),
    Column("expected_rounded", "Expected"),
    Column("mark", "Marked"),
)


def write_checkout_report(snapshot: duckdb.DuckDBPyConnection, folder: Path, sql: str) -> Path:
    """Write the paper into the folder of reports; gives its path. sql: the comparison, as its model states it."""
    return write_pdf(checkout_report(snapshot, sql), folder / FILE)


def checkout_report(snapshot: duckdb.DuckDBPyConnection, sql: str) -> Report:
    """The paper over the days of the snapshot; without any it says how to get one."""
    snapshot_id, published_at = snapshot.execute("select snapshot_id, published_at from marts.snapshot").fetchall()[0]
    hours = snapshot.execute(
        "select comparison.*, expected, p_value, direction, is_anomalous, reason, file_date, file_number "
        "from marts.fct_checkout_comparison as comparison "
        "join marts.fct_checkout_anomalies using (source_file, hour) "
        "join (select distinct source_file, file_date, file_number from marts.fct_checkout_hours) using (source_file) "
        "order by file_date nulls first, file_number nulls first, source_file, hour"
    ).df()
    files = hours["source_file"].drop_duplicates().tolist()
    marked = hours[hours["is_anomalous"]]
    sections = [_summary(hours, files)]
    sections += [_day(hours[hours["source_file"] == name], name) for name in files[-MOST_DAYS:]]
    sections.append(_method(sql))
    return Report(
        title=_title(marked, len(files)),
        lead="Which hours of these days sold more or less than they should have, and how sure is that?",
        source="Checkout sales by hour, one file a day",
        snapshot_id=str(snapshot_id),
        published_at=published_at,
        sections=tuple(sections),
    )


def sentences(day: pd.DataFrame) -> list[tuple[str, str]]:
    """A sentence for each hour that is marked or needs explaining: what it is, and the words."""
    told = day[day["reason"].notna()]
    return [
        ("Out of the ordinary" if is_marked else "Explained", reason)
        for is_marked, reason in zip(told["is_anomalous"], told["reason"], strict=True)
    ]


def _title(marked: pd.DataFrame, days: int) -> str:
    if not days:
        return "No checkout day has come in yet"
    if marked.empty:
        return f"No checkout hour of {days} day{'' if days == 1 else 's'} is out of the ordinary"
    low = marked[marked["direction"] == "low"]
    missing = (low["expected"] - low["today"]).sum()
    count = f"{len(marked)} checkout hour{'' if len(marked) == 1 else 's'}"
    verb = "is" if len(marked) == 1 else "are"
    lost = f"; about {missing:,.0f} sales are missing" if len(low) else ""
    return f"{count} of {days} day{'' if days == 1 else 's'} {verb} out of the ordinary{lost}"


def _summary(hours: pd.DataFrame, files: list[str]) -> Section:
    if not files:
        why = "Drop a file of checkout sales into its inbox and run the payments job; this paper is then written anew."
        return Section("There is nothing to compare yet", (Text(why),))
    tiles = []
    for name in files[-3:]:
        day = hours[hours["source_file"] == name]
        found = ", ".join(f"{hour:02d}h" for hour in day[day["is_anomalous"]]["hour"]) or "no hour marked"
        tiles.append((name, f"{int(day['today'].sum()):,} sales", found))
    left_out = len(files) - MOST_DAYS
    blocks: list[Block] = [Tiles(tuple(tiles))]
    if left_out > 0:
        blocks.append(Text(f"The last {MOST_DAYS} of {len(files):,} days are shown.", is_muted=True))
    return Section("The days at a glance", tuple(blocks))


def _day(day: pd.DataFrame, name: str) -> Section:
    marked = day[day["is_anomalous"]]
    found = ", ".join(f"{hour:02d}h" for hour in marked["hour"])
    title = f"{name}: {found} out of the ordinary" if len(marked) else f"{name}: no hour is out of the ordinary"
    table = day.assign(
        hour_label=[f"{hour:02d}h" for hour in day["hour"]],
        expected_rounded=[format_value(round(value, 1), "text") for value in day["expected"]],
        mark=["yes" if is_marked else "" for is_marked in day["is_anomalous"]],
    )
    told = sentences(day)
    words: Block = Points(tuple(told)) if told else Text("Every hour is as it was to be expected.")
    return Section(
        title,
        (Chart(checkout_figure(day, name), height=220), words, Table(table, _COLUMNS, "Every hour")),
        starts_page=True,
    )


def _method(sql: str) -> Section:
    return Section(
        "How it is computed",
        (
            Text(
                "Each column is first brought to the level of today, by the median of today by that column over busy "
                "hours. What is usual in an hour is the median of the columns, so that a day that was itself out of "
                "the ordinary, such as an outage yesterday, moves it little."
            ),
            Text(
                "Sales are a count whose mean is known no better than the columns agree (a Gamma-Poisson model). The "
                "p-value is two-sided; Holm's correction over the hours of a day holds the chance of any mistake at "
                "one in a hundred. Hours that are only suggestive are tested together as runs of two to four. Sales "
                "that merely come back after an outage are explained and not marked."
            ),
            Text("The comparison, as its model states it:"),
            Code(sql.strip(), "sql"),
        ),
        starts_page=True,
    )
