"""The checkout analysis as a PDF report: each day beside its references, the anomalous hours, and the SQL."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from quintet.payments.charts import checkout_figure
from quintet.presentation.design import Column, format_value
from quintet.presentation.report import Block, Chart, Code, Points, Report, Section, Table, Text, Tiles, write_pdf
from quintet.presentation.wording import counted

FILE = "checkout_analysis.pdf"

MOST_DAYS = 14
"""The report shows the last days; the snapshot has all of them."""

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
    """Write the report into the folder of reports; return its path. sql: the query of the comparison."""
    return write_pdf(checkout_report(snapshot, sql), folder / FILE)


def checkout_report(snapshot: duckdb.DuckDBPyConnection, sql: str) -> Report:
    """Return the report over the days of the snapshot; without any day it says how to load one."""
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
        lead="Which hours of these days sold more or less than expected, and how certain is that?",
        source="Checkout sales by hour, one file a day",
        snapshot_id=str(snapshot_id),
        published_at=published_at,
        sections=tuple(sections),
    )


def sentences(day: pd.DataFrame) -> list[tuple[str, str]]:
    """Return a label and a sentence for each hour that is anomalous or needs an explanation."""
    explained = day[day["reason"].notna()]
    return [
        ("Anomalous" if is_marked else "Explained", reason)
        for is_marked, reason in zip(explained["is_anomalous"], explained["reason"], strict=True)
    ]


def _title(marked: pd.DataFrame, days: int) -> str:
    if not days:
        return "No checkout day has arrived yet"
    if marked.empty:
        return f"No checkout hour of {counted(days, 'day')} is anomalous"
    low = marked[marked["direction"] == "low"]
    missing = (low["expected"] - low["today"]).sum()
    count = counted(len(marked), "checkout hour")
    verb = "is" if len(marked) == 1 else "are"
    lost = f"; about {missing:,.0f} sales are missing" if len(low) else ""
    return f"{count} of {counted(days, 'day')} {verb} anomalous{lost}"


def _summary(hours: pd.DataFrame, files: list[str]) -> Section:
    if not files:
        why = "Drop a file of checkout sales into its inbox and run the payments job to build this report."
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
    title = f"{name}: {found} anomalous" if len(marked) else f"{name}: no hour is anomalous"
    table = day.assign(
        hour_label=[f"{hour:02d}h" for hour in day["hour"]],
        expected_rounded=[format_value(round(value, 1), "text") for value in day["expected"]],
        mark=["yes" if is_marked else "" for is_marked in day["is_anomalous"]],
    )
    reasons = sentences(day)
    words: Block = Points(tuple(reasons)) if reasons else Text("Every hour is within expectation.")
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
                "Each column is first scaled to the level of today, by the median ratio of today to that column over "
                "busy hours. The expected sales of an hour are the median of the scaled columns, so one anomalous "
                "reference day, such as an outage yesterday, has little influence."
            ),
            Text(
                "Sales follow a Gamma-Poisson model: a count whose mean is only as certain as the columns agree. The "
                "p-value is two-sided; Holm's correction over the hours of a day limits the chance of any false mark "
                "to 1%. Hours that are only suggestive are tested together as runs of two to four. Sales that only "
                "return after an outage are explained and not marked."
            ),
            Text("The SQL of the comparison:"),
            Code(sql.strip(), "sql"),
        ),
        starts_page=True,
    )
