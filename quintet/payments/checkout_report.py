"""The checkout analysis as a PDF report: each day beside its references, the anomalous hours, and the SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import jinja2
import pandas as pd

from quintet.payments.charts import checkout_figure
from quintet.presentation.blocks import (
    Block,
    Chart,
    Code,
    Evidence,
    Finding,
    Page,
    Points,
    Report,
    Section,
    Table,
    Text,
)
from quintet.presentation.design import Column, format_value
from quintet.presentation.report import write_pdf
from quintet.presentation.wording import counted, sureness
from quintet.warehouse.snapshot import identity
from quintet.warehouse.sql import quote_literal

FILE = "checkout_analysis.pdf"

MOST_DAYS = 14
"""The report shows the last days; the snapshot has all of them."""

MOST_FINDINGS = 5
_EDGE_SHARE = 0.7
"""An hour beside an outage belongs to it where it sold at most this share of the expected sales."""

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


@dataclass(frozen=True)
class Episode:
    """Consecutive anomalous hours of one day in one direction. edges: hours beside them that were hit in part."""

    day: str
    source_file: str
    direction: str
    hours: tuple[int, ...]
    edges: tuple[int, ...]
    observed: int
    expected: float
    difference: float
    p_value: float


def write_checkout_report(snapshot: duckdb.DuckDBPyConnection, folder: Path, sql: str, page: Page = "a4") -> Path:
    """Write the report into the folder of reports; return its path. sql: the dbt model of the comparison."""
    return write_pdf(replace(checkout_report(snapshot, sql), page=page), folder / FILE)


def checkout_report(snapshot: duckdb.DuckDBPyConnection, sql: str) -> Report:
    """Return the report over the days of the snapshot; without any day it says how to load one."""
    snapshot_id, published_at = identity(snapshot)
    hours = snapshot.execute(
        "select comparison.*, expected, p_value, direction, is_anomalous, reason, file_date, file_number "
        "from marts.fct_checkout_comparison as comparison "
        "join marts.fct_checkout_anomalies using (source_file, hour) "
        "join (select distinct source_file, file_date, file_number from marts.fct_checkout_hours) using (source_file) "
        "order by file_date nulls first, file_number nulls first, source_file, hour"
    ).df()
    days = _day_names(hours)
    found = [
        episode
        for name, day in days.items()
        for episode in _episodes(hours[hours["source_file"] == name].reset_index(drop=True), day)
    ]
    shown = list(days)[-MOST_DAYS:]
    sections = [_day(hours[hours["source_file"] == name], name, days[name], found) for name in shown]
    return Report(
        title=_title(found, len(days)),
        lead="Which hours of these days sold more or less than expected, and how certain is that?",
        source=f"Checkout sales by hour of {counted(len(days), 'day')}",
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=_findings(found),
        sections=tuple(sections) or (_nothing(),),
        appendix=(_files(days), _method(sql)) if days else (),
    )


def runnable(sql: str) -> str:
    """Return the SQL of a dbt model as a query of a snapshot."""
    return jinja2.Template(sql).render(ref=lambda name: f"marts.{name}").strip()


def explained(hour: pd.Series) -> str:
    """Return what an hour sold beside each of its references, in a sentence."""
    beside = ", ".join(
        f"{name} {format_value(round(hour[column], 1), 'text')}"
        for column, name in (
            ("yesterday", "yesterday"),
            ("same_day_last_week", "the same day last week"),
            ("avg_last_week", "the mean of last week"),
            ("avg_last_month", "the mean of last month"),
        )
        if not pd.isna(hour[column])
    )
    return f"{counted(hour['today'], 'sale')}. The references: {beside or 'none'}."


def _day_names(hours: pd.DataFrame) -> dict[str, str]:
    """Return the date of each file, or its number among the days where the file has none."""
    files = hours.drop_duplicates("source_file")
    return {
        name: f"day {number}" if pd.isna(date) else f"{pd.Timestamp(date).day} {pd.Timestamp(date):%B %Y}"
        for number, (name, date) in enumerate(zip(files["source_file"], files["file_date"], strict=True), 1)
    }


def _episodes(day: pd.DataFrame, name: str) -> list[Episode]:
    marked = day[day["is_anomalous"].astype(bool)]
    runs = (marked["hour"].diff().ne(1) | marked["direction"].ne(marked["direction"].shift())).cumsum()
    by_hour = day.set_index("hour")
    is_weak = (by_hour["today"] <= _EDGE_SHARE * by_hour["expected"]) & ~by_hour["is_anomalous"].astype(bool)
    weak = set(by_hour.index[is_weak])
    found = []
    for _, run in marked.groupby(runs):
        first, last = int(run["hour"].iloc[0]), int(run["hour"].iloc[-1])
        beside = [hour for hour in (first - 1, last + 1) if hour in by_hour.index]
        is_low = run["direction"].iloc[0] == "low"
        edges = [hour for hour in beside if is_low and hour in weak]
        every = by_hour.loc[sorted([*run["hour"], *edges])]
        difference = abs(float((every["today"] - every["expected"]).sum()))
        found.append(
            Episode(
                name, str(run["source_file"].iloc[0]), str(run["direction"].iloc[0]),
                tuple(int(hour) for hour in run["hour"]), tuple(edges), int(run["today"].sum()),
                float(run["expected"].sum()), difference, float(run["p_value"].max()),
            )
        )  # fmt: skip
    return found


def _findings(found: list[Episode]) -> tuple[Finding, ...]:
    return tuple(_finding(episode) for episode in sorted(found, key=lambda each: -each.difference)[:MOST_FINDINGS])


def _finding(episode: Episode) -> Finding:
    hours = ", ".join(str(hour) for hour in sorted([*episode.hours, *episode.edges]))
    query = (
        "select abs(sum(observed - expected))\nfrom marts.fct_checkout_anomalies\n"
        f"where source_file = {quote_literal(episode.source_file)} and hour in ({hours})"
    )
    sold = "nothing was sold" if not episode.observed else f"{counted(episode.observed, 'sale')} arrived"
    is_low = episode.direction == "low"
    edges = ""
    if episode.edges:
        names = " and ".join(_clock(hour) for hour in episode.edges)
        edges = f" The {'hours' if len(episode.edges) > 1 else 'hour'} of {names} beside it lost a part of the sales."
    return Finding(
        f"{episode.difference:,.0f} sales {'lost' if is_low else 'more'}",
        f"On {episode.day}, {sold} {_span(episode.hours)}, where {_about(episode.expected)} expected.{edges}",
        "Look up what happened to the checkout in these hours, and alert on the first hour like this."
        if is_low
        else "Find out what brought these customers, or whether sales were counted twice.",
        f"About {episode.difference:,.0f} sales {'a time, for each such outage avoided' if is_low else 'a time'}.",
        sureness(1 - episode.p_value),
        (Evidence("difference to the expected sales", episode.difference, query),),
    )


def _about(expected: float) -> str:
    return "less than one was" if expected < 1 else f"about {expected:,.0f} were"


def _clock(hour: int) -> str:
    return f"{hour:02d}:00"


def _span(hours: tuple[int, ...]) -> str:
    return f"from {hours[0]:02d}:00 to {hours[-1] + 1:02d}:00"


def _title(found: list[Episode], days: int) -> str:
    if not days:
        return "No checkout day has arrived yet"
    if not found:
        return f"No checkout hour of {counted(days, 'day')} is anomalous"
    low = [each for each in found if each.direction == "low"]
    hours = sum(len(each.hours) for each in found)
    lost = f"; about {sum(each.difference for each in low):,.0f} sales are missing" if low else ""
    return (
        f"{counted(hours, 'checkout hour')} of {counted(days, 'day')} {'is' if hours == 1 else 'are'} anomalous{lost}"
    )


def _nothing() -> Section:
    why = "Drop a file of checkout sales into its inbox and run the payments job to build this report."
    return Section("There is nothing to compare yet", (Text(why),))


def _day(day: pd.DataFrame, name: str, label: str, found: list[Episode]) -> Section:
    own = [each for each in found if each.source_file == name]
    spans = ", ".join(_span(each.hours) for each in own)
    title = f"{label.capitalize()}: anomalous {spans}" if own else f"{label.capitalize()}: no hour is anomalous"
    table = day.assign(
        hour_label=[f"{hour:02d}h" for hour in day["hour"]],
        expected_rounded=[format_value(round(value, 1), "text") for value in day["expected"]],
        mark=["yes" if is_marked else "" for is_marked in day["is_anomalous"]],
    )
    edges = {hour for each in own for hour in each.edges}
    points = [
        (
            f"{hour['hour']:02d}h, {_state(hour, edges)}:",
            explained(hour) + ("" if pd.isna(hour["reason"]) or hour["is_anomalous"] else f" {hour['reason']}"),
        )
        for _, hour in day.iterrows()
        if hour["is_anomalous"] or hour["hour"] in edges or not pd.isna(hour["reason"])
    ]
    words: Block = Points(tuple(points)) if points else Text("Every hour is within expectation.")
    figure = checkout_figure(day, name)
    return Section(
        title,
        (
            Chart(
                replace(figure, title="Sales by hour, beside the four references and the expected sales"), height=260
            ),
            words,
            Table(table, _COLUMNS, "Every hour"),
        ),
    )


def _state(hour: pd.Series, edges: set[int]) -> str:
    if hour["is_anomalous"]:
        return "anomalous"
    return "beside the outage" if hour["hour"] in edges else "not marked"


def _files(days: dict[str, str]) -> Section:
    frame = pd.DataFrame({"day": list(days.values()), "file": list(days)})
    return Section("The days and their files", (Table(frame, (Column("day", "Day"), Column("file", "File"))),))


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
            Text(
                "An hour beside an outage counts as its edge where it sold at most 70% of the expected sales; it is "
                "not marked, but its missing sales are part of the outage's."
            ),
            Text("The comparison, as a query of the snapshot:"),
            Code(runnable(sql), "sql"),
        ),
    )
