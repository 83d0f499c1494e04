"""The reports of conversions: the insights, and the recommended data pipeline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import duckdb
import pandas as pd

from quintet.conversions import charts
from quintet.conversions.analysis import Analysis
from quintet.conversions.insights import DIMENSIONS, Insight, Measure
from quintet.presentation.design import Column
from quintet.presentation.report import (
    Block,
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
    Tiles,
)

_METHOD = (
    "An important score is a valid score above zero. Scores that are not a number are missing and count neither way. "
    "The unit is the session: its first conversion (its first matched one for scores), because rows of one session "
    "share their score. Rates exclude conversions of scanners."
)
_TESTS = (
    "Each level of each dimension is compared with the rest within strata (the Cochran-Mantel-Haenszel statistic; its "
    "null distribution approximated by three moments), and the false discovery rate over all comparisons of the "
    "report is at most 5% (Benjamini and Hochberg). A sentence appears where its q value is at most 0.05, its interval "
    "among equals excludes zero, and the plain difference has the same sign. Intervals are 95%: Wilson's for "
    "shares, t for means. These are associations in data without randomisation: an action is an experiment to run."
)
_NO_FINDING = "No difference here is statistically significant."


def snapshot_of(connection: duckdb.DuckDBPyConnection) -> tuple[str, dt.datetime]:
    """Return the id and the time (UTC without zone) of the snapshot that a connection reads."""
    [(snapshot_id, published_at)] = connection.execute(
        "select snapshot_id, published_at from marts.snapshot"
    ).fetchall()
    return snapshot_id, published_at


def insights_report(connection: duckdb.DuckDBPyConnection, analysis: Analysis) -> Report:
    """Return the report on the outcome of conversions, their scores, and the quality of the matches."""
    snapshot_id, published_at = snapshot_of(connection)
    sections = (
        _summary(analysis),
        _funnel(analysis),
        _rates(analysis, "important_share", "device", starts_page=True),
        _rates(analysis, "important_share", "page_category"),
        _rates(analysis, "important_share", "ui_element", starts_page=True),
        _rates(analysis, "important_share", "country", starts_page=True),
        _mean_scores(analysis),
        _rates(analysis, "match_rate", "day", starts_page=True),
        _rates(analysis, "match_rate", "device"),
        _rates(analysis, "match_rate", "country", starts_page=True),
        _rates(analysis, "match_rate", "page_category", starts_page=True),
        _rates(analysis, "match_rate", "ui_element", starts_page=True),
        _residency(analysis),
        _data(analysis),
        *_model_sections(connection, analysis),
        _how(),
    )
    return Report(
        title=_title(analysis),
        lead="Which conversions became customers of the broker, which pages bring good ones, and what to do next?",
        source=_source(connection),
        snapshot_id=snapshot_id,
        published_at=published_at,
        sections=sections,
    )


def pipeline_report(
    connection: duckdb.DuckDBPyConnection, analysis: Analysis, changes: pd.DataFrame, matchers: pd.DataFrame
) -> Report:
    """Return the report on the recommended data pipeline: its design, the requests to partners and their gain.

    changes, matchers: as `pipeline_worlds.pipeline_figures` returns them.
    """
    snapshot_id, published_at = snapshot_of(connection)
    sections = (
        _ideal_diagram(),
        _gains(changes, matchers),
        _recommendations(analysis, changes),
        _contract(),
        _tools(),
        _order(changes),
    )
    return Report(
        title=_pipeline_title(changes),
        lead="How should conversions and broker rows travel, so that their match is known and not inferred?",
        source="generated worlds with known truth, matched by this model; " + _source(connection),
        snapshot_id=snapshot_id,
        published_at=published_at,
        sections=sections,
    )


# -- insights ----------------------------------------------------------------------------------------------------------


def _title(analysis: Analysis) -> str:
    steps = _steps(analysis)
    if not steps["broker_rows", "all"] or not steps["clicks", "all"]:
        return "There are no conversions and broker rows to match yet"
    share = steps["broker_rows", "matched"] / steps["broker_rows", "all"]
    matched = f"{share:.1%} of the broker's rows are matched to a conversion"
    shares = _of(analysis.rates, "important_share", "device")
    total = shares["total"].sum() / shares["n"].sum() if len(shares) else 0
    return f"{matched}; {total:.1%} of the sessions behind them score" if total else matched


def _steps(analysis: Analysis) -> dict[tuple[str, str], int]:
    frame = analysis.funnel
    return dict(zip(zip(frame["side"], frame["step"], strict=True), frame["rows"].astype(int), strict=True))


def _source(connection: duckdb.DuckDBPyConnection) -> str:
    files = connection.execute(
        "select dataset, count(distinct file) from marts.ops_batches "
        "where dataset in ('conversions', 'broker_rows') and status = 'loaded' group by all order by all desc"
    ).fetchall()
    names = {"conversions": "conversions", "broker_rows": "broker rows"}
    return (
        ", ".join(f"{count} {'file' if count == 1 else 'files'} of {names[name]}" for name, count in files)
        or "no files"
    )


def _summary(analysis: Analysis) -> Section:
    steps = _steps(analysis)
    shares = _of(analysis.rates, "important_share", "device")
    scored, important = int(shares["n"].sum()), float(shares["total"].sum())
    tiles = (
        (
            "Conversions",
            f"{steps['clicks', 'all']:,}",
            f"{steps['clicks', 'in_reach']:,} within the broker's time and countries",
        ),
        (
            "Broker rows",
            f"{steps['broker_rows', 'all']:,}",
            f"{steps['broker_rows', 'with_candidate']:,} with a candidate",
        ),
        ("Matched", f"{steps['broker_rows', 'matched']:,}", "one conversion, one row"),
        ("Important", f"{important / scored:.2%}" if scored else "–", f"of {scored:,} sessions with a valid score"),
    )
    blocks: list[Block] = [Tiles(tiles), *_findings(_leading(analysis.insights))]
    return Section("What the data says", tuple(blocks))


_LEADING: Mapping[str, int] = MappingProxyType({"quality": 5, "matching": 4, "residency": 1, "funnel": 1})


def _leading(insights: Sequence[Insight]) -> list[Insight]:
    """Return the findings with an action for the first page: the first of each dimension, limited by topic."""
    first: dict[tuple[str, str], Insight] = {}
    for insight in insights:
        if insight.action:
            first.setdefault((insight.topic, insight.dimension), insight)
    return [
        insight
        for topic, most in _LEADING.items()
        for insight in [each for (about, _), each in first.items() if about == topic][:most]
    ]


def _funnel(analysis: Analysis) -> Section:
    blocks: list[Block] = []
    for side in ("clicks", "broker_rows"):
        blocks += [Chart(charts.funnel(analysis.funnel, side)), Chart(charts.outcomes(analysis.outcomes, side))]
    return Section(
        "Most unmatched conversions lie outside the broker's time span or countries"
        if _mostly_out_of_reach(analysis.outcomes)
        else "From all rows to matched ones, and the reasons of the others",
        (*_findings([each for each in analysis.insights if each.topic == "funnel"]), *blocks),
        starts_page=True,
    )


def _mostly_out_of_reach(outcomes: pd.DataFrame) -> bool:
    is_unmatched = (outcomes["side"] == "clicks") & (outcomes["outcome"] != "matched")
    unmatched = outcomes[is_unmatched].set_index("outcome")["rows"]
    outside = unmatched.reindex(["outside_time_span", "country_never_seen", "country_unknown"]).fillna(0).sum()
    return bool(outside > unmatched.sum() / 2)


def _of(rates: pd.DataFrame, measure: Measure, dimension: str) -> pd.DataFrame:
    return rates[(rates["measure"] == measure) & (rates["dimension"] == dimension)]


def _rates(analysis: Analysis, measure: Measure, dimension: str, *, starts_page: bool = False) -> Section:
    rows = _of(analysis.rates, measure, dimension)
    found, compared = int(rows["is_finding"].sum()), int(rows["p_value"].notna().sum())
    topic, what = ("matching", "match rate") if measure == "match_rate" else ("quality", "important scores")
    name = DIMENSIONS[dimension]
    title = f"{name}: no significant difference in {what}"
    if found:
        title = f"{name}: {found} of {compared} differ in {what} from the rest"
    figure = (
        charts.match_rate_by_day(analysis.rates)
        if (measure, dimension) == ("match_rate", "day")
        else charts.rates_by(analysis.rates, measure, dimension)
    )
    insights = [each for each in analysis.insights if (each.topic, each.dimension) == (topic, dimension)]
    return Section(title, (Chart(figure), *_findings(insights)), starts_page=starts_page)


def _mean_scores(analysis: Analysis) -> Section:
    figures = [charts.rates_by(analysis.rates, "mean_score", each, 8) for each in ("device", "page_category")]
    scores = analysis.scores.assign(
        label=[
            "0" if pd.isna(until) else f"{start:.0f} to {until - 1:.0f}"
            for start, until in zip(analysis.scores["score_from"], analysis.scores["score_until"], strict=True)
        ],
        share=analysis.scores["rows"] / max(analysis.scores["rows"].sum(), 1),
    )
    columns = (Column("label", "Score"), Column("rows", "Broker rows", "count"), Column("share", "Share", "percent"))
    zero = scores.loc[scores["score_until"].isna(), "share"].sum()
    insights = [each for each in analysis.insights if each.topic == "quality" and each.dimension == "day"]
    sessions = [each for each in analysis.insights if "score belongs to the person" in each.text]
    return Section(
        f"Scores: {zero:.1%} are zero, so that a mean depends mostly on how many score at all",
        (
            Table(scores, columns, "Valid scores of the broker's rows"),
            *_findings(sessions),
            *map(Chart, figures),
            *_findings(insights),
        ),
        starts_page=True,
    )


def _residency(analysis: Analysis) -> Section:
    summary = analysis.residency_summary
    columns = (
        Column("level", "Residency and IP country"),
        Column("rows", "Broker rows", "count"),
        Column("n", "Sessions", "count"),
        Column("mean", "Important", "percent"),
        Column("low", "From", "percent"),
        Column("high", "To", "percent"),
    )
    insights = [each for each in analysis.insights if each.topic == "residency"]
    is_step = any("stated late" in each.text for each in insights)
    title = "A stated residency is a step towards a score" if is_step else "Residency and IP country mostly agree"
    return Section(
        title,
        (*_findings(insights), Table(summary, columns, "Where people live and where they connect"),
         Chart(charts.residency(analysis.residency))),
        starts_page=True,
    )  # fmt: skip


def _data(analysis: Analysis) -> Section:
    insights = [each for each in analysis.insights if each.topic == "data"]
    return Section(f"{len(insights)} faults of the data can be fixed at their source", _findings(insights))


def _model_sections(connection: duckdb.DuckDBPyConnection, analysis: Analysis) -> tuple[Section, ...]:
    """Return the sections on the model: its parameters, its certainty, and the changes since the version before."""
    tables = {
        name: connection.execute(f"select * from ml.matching_{name} order by all").df()
        for name in ("summary", "clocks", "weights", "calibration", "certainty", "placebo", "changes", "model")
    }
    value = tables["summary"].set_index("figure")["value"].to_dict()
    partners = sorted(analysis.lags["partner"].unique())

    def percent(name: str) -> str:
        return "–" if pd.isna(value.get(name)) else f"{value[name]:.2%}"

    tiles = Tiles(
        (
            ("Expected precision", percent("expected_precision"), "of the matches are right"),
            ("Expected recall", percent("expected_recall"), "of the links are found"),
            ("Expected F1", percent("expected_f1"), f"threshold {value.get('threshold', float('nan')):.3f}"),
            ("Placebo rate", percent("false_match_rate"), "matched at random"),
        )
    )
    trained: list[Block] = [tiles, _clock_table(tables["clocks"])]
    for partner in partners:
        trained += [Chart(charts.lag(analysis.lags, partner)), Chart(charts.weights(tables["weights"], partner))]
    is_known = not pd.isna(value.get("false_match_rate"))
    title = f"The model errs in about {percent('false_match_rate')} of the rows" if is_known else "The matching model"
    return (
        Section(title, tuple(trained), starts_page=True),
        Section(
            "Certainty of the matches, and changes to the model",
            (
                Chart(charts.placebo(tables["placebo"])),
                Chart(charts.calibration(tables["calibration"])),
                Table(
                    tables["certainty"].assign(
                        label=[f"{each / 10:.0%} to {(each + 1) / 10:.0%}" for each in tables["certainty"]["decile"]]
                    ),
                    (
                        Column("label", "Probability"),
                        Column("pairs", "Matched pairs", "count"),
                        Column("mean_probability", "Mean", "percent"),
                    ),
                    "Matches by their probability",
                ),
                *_version_blocks(tables["model"], tables["changes"]),
            ),
        ),
    )


def _clock_table(clocks: pd.DataFrame) -> Table:
    shown = clocks.assign(
        since=clocks["from_at"].astype(object).where(clocks["from_at"].notna(), "the beginning").astype(str),
        offset=[f"{seconds / 3_600:+.2f} h".replace("-", "−") for seconds in clocks["offset_seconds"]],
        is_clear=["yes" if clear else "no" for clear in clocks["is_clear"]],
    )
    columns = (
        Column("partner", "Partner"),
        Column("since", "Since"),
        Column("offset", "Clock ahead of ours by"),
        Column("is_clear", "Significant"),
    )
    return Table(shown, columns, "Clocks, estimated from the rows")


def _version_blocks(model: pd.DataFrame, changes: pd.DataFrame) -> list[Block]:
    if model.empty:
        return []
    row = model.iloc[0]
    before = row["version_before"]
    text = f"Model {row['version']}; reason for training: {row['reason'] or 'none, as one side has no rows'}."
    if pd.isna(before):
        return [Text(f"{text} There is no earlier version to compare with.", is_muted=True)]
    columns = (Column("partner", "Partner"), Column("what", "What"), Column("before", "Before"), Column("now", "Now"))
    return [Text(text, is_muted=True), Table(changes, columns, f"Against version {before}")]


def _how() -> Section:
    return Section(
        "How this is computed",
        (Text(_METHOD), Text(_TESTS), Text("The rows behind every figure:"), Code(_QUERY, "sql")),
    )


_QUERY = """select is_mobile, count(*) as conversions, avg(is_matched::int) as matched,
    avg((important_score > 0)::int) as important
from marts.fct_unified_journeys
where not is_scanner_traffic and unmatched_reason is distinct from 'outside_time_span'
group by all"""


def _findings(insights: Sequence[Insight]) -> tuple[Block, ...]:
    if not insights:
        return (Text(_NO_FINDING, is_muted=True),)
    points = ((each.lead, f"{each.text} → {each.action}" if each.action else each.text) for each in insights)
    return (Points(tuple(points)),)


# -- pipeline ----------------------------------------------------------------------------------------------------------


def _pipeline_title(changes: pd.DataFrame) -> str:
    f1 = changes.set_index("change")["f1"].astype(float).to_dict()
    return (
        f"A click id raises F1 from {f1['base']:.0%} to {f1['ids']:.0%}, and postbacks within seconds to "
        f"{f1['postbacks']:.0%}"
    )


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


def _gains(changes: pd.DataFrame, matchers: pd.DataFrame) -> Section:
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
        f"Measured in generated worlds with known truth: {base['links']:,} links among {base['rows']:,} broker rows; "
        f"minutes of lag, a clock that changes once, misspelt countries, rows without a conversion, a file that "
        f"starts late and has a gap. Each change is made alone unless stated otherwise, and the rows are matched by "
        f"the same model as ours. 95% intervals are about ±"
        f"{(base['precision_high'] - base['precision_low']) / 2 * 100:.1f} points of precision wide."
    )
    return Section(
        f"Of the changes without an id, “{best['title']}” gains most: {best['gain'] * 100:+.0f} points of F1",
        (
            Chart(charts.gains(shown)),
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
        starts_page=True,
    )


def _recommendations(analysis: Analysis, changes: pd.DataFrame) -> Section:
    by = changes.set_index("change")
    ours = analysis.outcomes[analysis.outcomes["side"] == "clicks"].set_index("outcome")["rows"]
    outside, every = int(ours.get("outside_time_span", 0)), max(int(ours.sum()), 1)
    faults = analysis.data_quality.set_index("finding")["rows"]

    def gain(name: str, figure: str = "f1") -> str:
        values = by[figure].astype(float).to_dict()
        return f"{(values[name] - values['base']) * 100:+.1f} points".replace("-", "−")

    requests = (
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
    values = {
        (name, figure): by[figure].astype(float).to_dict()[name] - by[figure].astype(float).to_dict()["base"]
        for (name, figure), *_ in requests
    }
    points = [(lead, text) for key, lead, text in sorted(requests, key=lambda each: -values[each[0]])]
    points.append(
        (
            "Export numbers as numbers.",
            f"Scores that are spreadsheet errors: {int(faults.get('invalid_scores', 0)):,}; rows that repeat "
            f"another: {int(faults.get('equal_rows', 0)):,}. A file from the database with a row id has neither.",
        )
    )
    title = "What to ask for, in order of gain"
    return Section(title, (Points(tuple(points), is_numbered=True),), starts_page=True)


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
    return Section("Tools: the simplest that suffices, and when to change", (Table(rows, columns),), starts_page=True)


def _order(changes: pd.DataFrame) -> Section:
    together = float(changes.loc[changes["change"] == "all_but_id", "f1"].iloc[0])
    return Section(
        "Recommended order",
        (
            Points(
                (
                    ("Week 1.", "Put a click id on every link and into the conversion log; reject scanners there."),
                    ("Week 2.", "Ask each partner for the id as one more column, and for the missing days."),
                    (
                        "Month 1.",
                        "Open the postback endpoint; join by id, match the rest, compare both on rows with ids.",
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
