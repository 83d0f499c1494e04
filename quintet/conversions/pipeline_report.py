"""The report on the recommended data pipeline of conversions."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd

from quintet.conversions import matching_charts
from quintet.conversions.analysis import Analysis
from quintet.conversions.pipeline_findings import pipeline_findings
from quintet.conversions.report_source import source_of
from quintet.presentation.blocks import (
    Chart,
    Code,
    Diagram,
    Edge,
    Node,
    Points,
    Report,
    Section,
    Table,
    Text,
)
from quintet.presentation.design import Column
from quintet.warehouse.snapshot import identity


def pipeline_report(
    connection: duckdb.DuckDBPyConnection, analysis: Analysis, changes: pd.DataFrame, matchers: pd.DataFrame
) -> Report:
    """Return the report on the recommended data pipeline: its design, the requests to partners and their gain.

    changes, matchers: as `pipeline_worlds.pipeline_figures` returns them.
    """
    snapshot_id, published_at = identity(connection)
    present = _present(connection, analysis)
    return Report(
        title=_title(analysis),
        lead="How should conversions and broker rows travel, so that their match is known and not inferred?",
        source=source_of(connection),
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=pipeline_findings(analysis),
        sections=(
            _ideal_diagram(),
            _recommendations(analysis, changes, present),
            _contract(),
            _order(changes, present),
            _gains(changes, matchers, present),
        ),
        appendix=(_tools(),),
    )


@dataclass(frozen=True)
class _Present:
    """The data at hand: what a request would ask for that is already the case.

    is_fast: nearly all matched rows are within a minute of their conversion. is_complete: the broker's files cover all
    conversions. is_clean: every country is known. is_one_clock: no clock is ahead or behind. are_numbers: every score
    is a number and no row repeats another. expected_f1: of the matches, null without any.
    """

    is_fast: bool
    is_complete: bool
    is_clean: bool
    is_one_clock: bool
    are_numbers: bool
    expected_f1: float


def _present(connection: duckdb.DuckDBPyConnection, analysis: Analysis) -> _Present:
    lags = analysis.lags
    rows = int(lags["rows"].sum())
    fast = int(lags.loc[lags["until_second"] <= _FAST_SECONDS, "rows"].sum())
    faults = analysis.data_quality.set_index("finding")["rows"].astype(int).to_dict()
    ours = analysis.outcomes[analysis.outcomes["side"] == "clicks"].set_index("outcome")["rows"]
    offsets = connection.execute("select count(*), count(*) filter (offset_seconds <> 0) from ml.matching_clocks")
    clocks, ahead = offsets.fetchall()[0]
    expected = connection.execute("select max(value) from ml.matching_summary where figure = 'expected_f1'")
    ((expected_f1,),) = expected.fetchall()
    return _Present(
        is_fast=rows > 0 and fast / rows >= _NEARLY_ALL,
        is_complete=len(ours) > 0 and not ours.get("outside_time_span", 0),
        is_clean=rows > 0 and not (faults.get("row_country_unknown", 0) or faults.get("click_country_unknown", 0)),
        is_one_clock=clocks > 0 and not ahead,
        are_numbers=rows > 0 and not (faults.get("invalid_scores", 0) or faults.get("equal_rows", 0)),
        expected_f1=float("nan") if expected_f1 is None else float(expected_f1),
    )


_FAST_SECONDS = 60
_NEARLY_ALL = 0.95


def _title(analysis: Analysis) -> str:
    """Return how many rows of the data at hand are matched without a key."""
    steps = analysis.funnel.set_index(["side", "step"])["rows"].astype(int).to_dict()
    rows, matched = steps.get(("broker_rows", "all"), 0), steps.get(("broker_rows", "matched"), 0)
    if not rows:
        return "A click id makes every match certain; there are no broker rows to match yet"
    return f"{matched / rows:.1%} of the broker's rows are matched without a key; a click id would make each certain"


def _worlds_title(changes: pd.DataFrame) -> str:
    """Return the largest gain of the table, and a click id's, which needs one change alone."""
    f1 = changes.set_index("change")["f1"].astype(float).to_dict()
    with_id = f"a click id raises F1 from {f1['base']:.1%} to {f1['ids']:.1%}"
    without = f"all other changes together reach {f1['all_but_id']:.1%}"
    return f"In generated worlds {with_id}; {without}"


def _ideal_diagram() -> Section:
    nodes = (
        Node("site", "Our site", 0, 0, "a click id for each conversion (UUIDv7)", "accent"),
        Node("link", "Broker link", 1, 0, "…?click_id=018f…&country=DE", "plain"),
        Node("broker", "Broker", 2, 0, "stores the id with the registration", "outside"),
        Node("collector", "Conversion log", 0, 1, "append only, UTC, scanners rejected", "store"),
        Node("lake", "Raw tables", 1, 1, "verbatim, by content hash", "store"),
        Node("postback", "Postback endpoint", 2, 1, "signed, idempotent, UTC", "accent"),
        Node("file", "Broker's daily file", 0, 2, "row id, click id, ISO codes", "outside"),
        Node("join", "Join by click id", 1, 2, "exact, at most one row per conversion", "accent"),
        Node("match", "Matching model", 2, 2, "only for rows without an id", "plain"),
        Node("journeys", "Unified journeys", 2, 3, "one row per conversion, with its reason", "store"),
        Node("watch", "Checks", 2, 4, "coverage, placebo, contract", "plain"),
        Node("use", "Pages, reports, API", 1, 4, "rates with intervals", "plain"),
    )
    edges = (
        Edge("site", "link"),
        Edge("link", "broker"),
        Edge("site", "collector", "at once"),
        Edge("broker", "postback", "in seconds"),
        Edge("collector", "lake"),
        Edge("postback", "lake"),
        Edge("file", "lake", "late", is_dashed=True),
        Edge("lake", "join"),
        Edge("join", "match"),
        Edge("join", "journeys", "with id"),
        Edge("match", "journeys"),
        Edge("journeys", "watch"),
        Edge("watch", "use"),
    )
    return Section(
        "The link carries a click id to the broker, and the broker returns it",
        (
            Text(
                "Today the two files share no key, and a model infers which conversion became which row. In the "
                "pipeline below the key travels with the visitor: inference remains for rows without a key, and as a "
                "check of the others."
            ),
            Diagram(
                nodes,
                edges,
                "The click id goes from our site over the link to the broker and comes back by a postback within "
                "seconds; rows with an id are joined exactly, others are matched by the model; both become the unified "
                "journeys that pages, reports and the API read.",
            ),
            Text("Blue: new. Dashed: external, or late. Grey: stored permanently.", is_muted=True),
        ),
    )


def _gains(changes: pd.DataFrame, matchers: pd.DataFrame, present: _Present) -> Section:
    shown = changes.assign(gain=changes["f1"] - changes.loc[changes["change"] == "base", "f1"].iloc[0])
    shown["points"] = [f"{gain * 100:+.1f}".replace("-", "−") for gain in shown["gain"]]
    columns = (
        Column("title", "Change"),
        Column("precision", "Precision", "percent"),
        Column("recall", "Recall", "percent"),
        Column("f1", "F1", "percent"),
        Column("points", "Points of F1"),
        Column("found", "Of all registrations", "percent"),
    )
    best = shown[~shown["change"].isin(["base", "ids", "half_ids", "all_but_id"])].nlargest(1, "gain").iloc[0]
    base = shown[shown["change"] == "base"].iloc[0]
    words = (
        f"Measured in generated worlds of a typical partner, not in the data at hand{_at_hand(present)}. The truth is "
        f"known there: {base['links']:,} links among {base['rows']:,} broker rows; "
        f"minutes of lag, a clock that changes once, misspelt countries, rows without a conversion, a file that "
        f"starts late and has a gap. Each change is made alone unless stated otherwise, and the rows are matched by "
        f"the same model as ours. 95% intervals are about ±"
        f"{(base['precision_high'] - base['precision_low']) / 2 * 100:.1f} points of precision wide."
    )
    return Section(
        _worlds_title(changes),
        (
            Text(
                f"Of the single changes without an id, “{best['title']}” gains most: {best['gain'] * 100:+.0f} points "
                f"of F1 (the mean of the shares of right matches and of found links)."
            ),
            Chart(matching_charts.gains(shown)),
            Table(shown, columns, "Gain of each change"),
            Table(
                matchers,
                (
                    Column("title", "Matcher (the joins know the true clock)"),
                    Column("precision", "Precision", "percent"),
                    Column("recall", "Recall", "percent"),
                    Column("f1", "F1", "percent"),
                ),
                "Ways to match such a world without an id",
            ),
            Text(words, is_muted=True),
        ),
    )


def _at_hand(present: _Present) -> str:
    if present.expected_f1 != present.expected_f1:
        return ""
    fast = " and rows arrive within a minute" if present.is_fast else ""
    return f", where the expected F1 is {present.expected_f1:.1%}{fast}"


def _recommendations(analysis: Analysis, changes: pd.DataFrame, present: _Present) -> Section:
    by = changes.set_index("change")
    ours = analysis.outcomes[analysis.outcomes["side"] == "clicks"].set_index("outcome")["rows"]
    outside, every = int(ours.get("outside_time_span", 0)), max(int(ours.sum()), 1)
    faults = analysis.data_quality.set_index("finding")["rows"]

    def gain(name: str, figure: str = "f1") -> str:
        values = by[figure].astype(float).to_dict()
        return f"{(values[name] - values['base']) * 100:+.1f} points".replace("-", "−")

    every_request = (
        (
            ("ids", "f1"),
            "Pass a click id through.",
            f"{gain('ids')} of F1 at 95% coverage, {gain('half_ids')} at half: worth it even with a single partner. "
            f"One query parameter on the link, one column in the file.",
        ),
        (
            ("postbacks", "f1"),
            "Send postbacks from server to server.",
            f"{gain('postbacks')} of F1 without any id: with seconds of lag, few conversions compete. Signed, "
            f"retried until acknowledged, with an idempotency key.",
        ),
        (
            ("back_fill", "found"),
            "Back-fill.",
            f"{gain('back_fill', 'found')} of all registrations found. Of our conversions, {outside:,} "
            f"({outside / every:.1%}) lie outside the time that the broker's files cover.",
        ),
        (
            ("countries", "f1"),
            "Agree on countries.",
            f"{gain('countries')} of F1. ISO 3166 codes in both files, the conversion's country passed on, and one "
            f"word for unknown. Rows without a known country today: {int(faults.get('row_country_unknown', 0)):,}.",
        ),
        (
            ("shared_clock", "f1"),
            "Share a clock.",
            f"{gain('shared_clock')} of F1: the model estimates offset and changes of the clock by itself. UTC is "
            f"still worth it, because people read the files too.",
        ),
    )
    already = {
        "postbacks": (present.is_fast, "rows are sent within a minute"),
        "back_fill": (present.is_complete, "the files cover all conversions"),
        "countries": (present.is_clean, "every country is known"),
        "shared_clock": (present.is_one_clock, "both sides have one clock"),
    }
    requests = [each for each in every_request if not already.get(each[0][0], (False, ""))[0]]
    values = {
        (name, figure): by[figure].astype(float).to_dict()[name] - by[figure].astype(float).to_dict()["base"]
        for (name, figure), *_ in requests
    }
    points = [(lead, text) for key, lead, text in sorted(requests, key=lambda each: -values[each[0]])]
    if not present.are_numbers:
        points.append(
            (
                "Export numbers as numbers.",
                f"Scores that are spreadsheet errors: {int(faults.get('invalid_scores', 0)):,}; rows that repeat "
                f"another: {int(faults.get('equal_rows', 0)):,}. A file from the database with a row id has neither.",
            )
        )
    title = "What to ask for, in order of the gain in generated worlds"
    done = [words for is_done, words in already.values() if is_done]
    noted = [Text(f"Already the case in the data at hand: {'; '.join(done)}.", is_muted=True)] if done else []
    return Section(title, (Points(tuple(points), is_numbered=True), *noted))


_CONTRACT = """{
  "event_id":      "UUID of the event: a repeated event is ignored",
  "click_id":      "UUID from our link; null if there was none",
  "occurred_at":   "2024-05-30T14:05:11Z, UTC, to the second or finer",
  "country":       "ISO 3166-1 alpha-2 of the IP at registration, or null",
  "residency":     "ISO 3166-1 alpha-2 as stated, or null until it is",
  "status":        "registered | verified | funded | traded",
  "score":         "number, or null while it is not final",
  "score_is_final": true
}"""


def _contract() -> Section:
    return Section(
        "The contract with a partner",
        (
            Code(_CONTRACT, "json"),
            Points(
                (
                    ("Idempotent.", "An event may arrive twice or late; its id decides. A correction is a new event."),
                    ("Complete.", "A daily file repeats the day's events: a lost postback is recovered within a day."),
                    ("Checked.", "Rows that break the contract are quarantined with their reason, and reported back."),
                    ("Private.", "The id has no meaning outside; neither side sends names, addresses or IPs."),
                )
            ),
        ),
    )


def _tools() -> Section:
    rows = pd.DataFrame(
        [
            ("Collect conversions", "Own endpoint, append-only log", "Segment, Snowplow, server-side tag manager",
             "Own endpoint while there is one kind of event; Snowplow when schemas multiply"),
            ("Postbacks", "Signed HTTP endpoint, key for repeats", "Affiliate networks (Impact, Everflow), Kafka",
             "HTTP up to thousands per second; a network where partners already use it"),
            ("Land files", "Content hash, quarantine, verbatim text", "Fivetran, Airbyte",
             "A connector only for sources with an API of their own"),
            ("Orchestrate", "Dagster, assets and sensors", "Airflow, Prefect",
             "Assets know what is stale; Airflow where a team already runs it"),
            ("Store and compute", "DuckDB, Parquet", "BigQuery, Snowflake, Spark",
             "DuckDB to some hundred million rows on one machine; a warehouse for many writers"),
            ("Transform and test", "dbt", "SQLMesh", "Either; one of them, with tests beside the models"),
            ("Match without a key", "This model, per partner clock and lag", "Splink, Zingg, ASOF join",
             "Splink where records share names and addresses; here time and country are all there is"),
        ],
        columns=["step", "here", "others", "when"],
    )  # fmt: skip
    columns = (
        Column("step", "Step"),
        Column("here", "Here"),
        Column("others", "Others"),
        Column("when", "Which, when"),
    )
    return Section("Tools: the simplest that suffices, and when to change", (Table(rows, columns),))


def _order(changes: pd.DataFrame, present: _Present) -> Section:
    missing = "" if present.is_complete else ", and for the missing days"
    endpoint = "Join" if present.is_fast else "Open the postback endpoint; join"
    together = float(changes.loc[changes["change"] == "all_but_id", "f1"].iloc[0])
    return Section(
        "Recommended order",
        (
            Points(
                (
                    ("Week 1.", "Put a click id on every link and into the conversion log; reject scanners there."),
                    ("Week 2.", f"Ask each partner for the id as one more column{missing}."),
                    (
                        "Month 1.",
                        f"{endpoint} by id, match the rest, compare both on rows with ids.",
                    ),
                    (
                        "Then.",
                        f"With ids, the model's matches can always be checked. Without them, all other changes "
                        f"together reach an F1 of {together:.1%}.",
                    ),
                ),
                is_numbered=True,
            ),
        ),
    )
