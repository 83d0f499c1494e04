"""The report on the outcome of conversions, their scores, and the quality of the matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd

from quintet.conversions import charts, matching_charts
from quintet.conversions.analysis import Analysis
from quintet.conversions.executive_summary import CLEAR, findings
from quintet.conversions.insights import DIMENSIONS, Insight, Measure
from quintet.conversions.report_source import source_of
from quintet.conversions.visit_groups import visit_groups
from quintet.presentation.blocks import (
    Block,
    Chart,
    Code,
    Points,
    Report,
    Section,
    Table,
    Text,
    Tiles,
)
from quintet.presentation.design import Column
from quintet.presentation.simple_charts import ranked_bars
from quintet.presentation.wording import counted
from quintet.warehouse.snapshot import identity

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


def insights_report(connection: duckdb.DuckDBPyConnection, analysis: Analysis) -> Report:
    """Return the report on the outcome of conversions, their scores, and the quality of the matches."""
    snapshot_id, published_at = identity(connection)
    steps = _steps(analysis)
    first: dict[str, Any] = {
        "lead": _LEAD,
        "source": source_of(connection),
        "snapshot_id": snapshot_id,
        "published_at": published_at,
    }
    if not steps["broker_rows", "all"] or not steps["clicks", "all"]:
        what = "There are no conversions and broker rows to match yet"
        how = "Drop files into the inboxes conversions and broker_rows, and run `make run`."
        return Report(title=what, sections=(Section("Nothing to compare", (Text(how),)),), **first)
    groups = visit_groups(connection)
    found = findings(connection, analysis, groups)
    compared: list[tuple[Measure, str]] = [
        ("important_share", "page_category"),
        ("important_share", "device"),
        ("important_share", "country"),
        ("important_share", "ui_element"),
        ("match_rate", "day"),
        ("match_rate", "country"),
        ("match_rate", "page_category"),
        ("match_rate", "ui_element"),
        ("match_rate", "device"),
    ]
    differ = [each for each in compared if _of(analysis.rates, *each)["is_finding"].any()]
    return Report(
        title=_title(analysis),
        findings=found,
        sections=(
            *([] if found else [_summary(analysis)]),
            *_groups(groups),
            *[_rates(analysis, *each) for each in differ],
            _funnel(analysis),
            _residency(analysis),
            _mean_scores(analysis),
            _data(analysis),
        ),
        appendix=(
            *_model_sections(connection, analysis),
            _how([each for each in compared if each not in differ]),
        ),
        **first,
    )


_LEAD = "Which visits bring important customers to the broker, where are they lost, and what to do next?"


def _title(analysis: Analysis) -> str:
    steps = _steps(analysis)
    share = steps["broker_rows", "matched"] / steps["broker_rows", "all"]
    matched = f"{share:.1%} of the broker's rows are matched to a conversion"
    shares = _of(analysis.rates, "important_share", "device")
    total = shares["total"].sum() / shares["n"].sum() if len(shares) else 0
    return f"{matched}; {total:.1%} of the customers with a valid score are important" if total else matched


def _groups(groups: pd.DataFrame) -> list[Section]:
    """Return a page of the groups below average and one of those above, as far as there are any."""
    share = groups["share_of_all"].iloc[0] if len(groups) else 0.0
    sections = []
    for is_below in (True, False):
        clear = groups[groups["probability"].ge(CLEAR) if is_below else groups["probability"].le(1 - CLEAR)]
        customers = clear["gain"].sum() if is_below else -clear["gain"].sum()
        if customers < _FEWEST_CUSTOMERS:
            continue
        shown = (clear if is_below else clear.iloc[::-1]).head(_MOST_GROUPS)
        shown = shown.assign(customers=shown["gain"].abs(), per_thousand=1_000 * shown["important"] / shown["visits"])
        direction = "below" if is_below else "above"
        fewer = "fewer" if is_below else "more"
        title = (
            f"{counted(len(clear), 'group')} of visits {'is' if len(clear) == 1 else 'are'} clearly {direction} "
            f"average: about {customers:,.0f} important customers {fewer}"
        )
        action = (
            "Begin at the top: open the page as such a visitor, and test a change there first."
            if is_below
            else "Bring more visitors like these: the same pages, devices and countries, as an experiment first."
        )
        figure = ranked_bars(
            f"groups-{direction}",
            f"Important customers {fewer} than average visits would bring",
            shown,
            Column("name", "Device, country, page"),
            Column("customers", "Customers", "count"),
            f"The largest difference: {shown['name'].iloc[0]}, about {shown['customers'].iloc[0]:,.0f} customers.",
            f"All visits bring {1_000 * share:.1f} important customers per 1,000. Small groups count for less.",
        )
        columns = (
            Column("name", "Device, country, page"),
            Column("visits", "Visits", "count"),
            Column("important", "Important", "count"),
            Column("per_thousand", "Per 1,000", "money"),
        )
        sections.append(Section(title, (Text(action), Chart(figure), Table(shown, columns, "The same groups"))))
    return sections


_MOST_GROUPS = 12
_FEWEST_CUSTOMERS = 2
"""Groups that together differ by fewer customers from average are no message."""


def _steps(analysis: Analysis) -> dict[tuple[str, str], int]:
    frame = analysis.funnel
    return dict(zip(zip(frame["side"], frame["step"], strict=True), frame["rows"].astype(int), strict=True))


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
    return Section("No difference is large enough to act on", (Tiles(tiles), *_findings(analysis.insights[:5])))


def _funnel(analysis: Analysis) -> Section:
    blocks: list[Block] = []
    for side in ("clicks", "broker_rows"):
        blocks += [Chart(charts.funnel(analysis.funnel, side)), Chart(charts.outcomes(analysis.outcomes, side))]
    return Section(
        "Most unmatched conversions lie outside the broker's time span or countries"
        if _mostly_out_of_reach(analysis.outcomes)
        else "From all rows to matched ones, and the reasons of the others",
        (*_findings([each for each in analysis.insights if each.topic == "funnel"]), *blocks),
    )


def _mostly_out_of_reach(outcomes: pd.DataFrame) -> bool:
    is_unmatched = (outcomes["side"] == "clicks") & (outcomes["outcome"] != "matched")
    unmatched = outcomes[is_unmatched].set_index("outcome")["rows"]
    outside = unmatched.reindex(["outside_time_span", "country_never_seen", "country_unknown"]).fillna(0).sum()
    return bool(outside > unmatched.sum() / 2)


def _of(rates: pd.DataFrame, measure: Measure, dimension: str) -> pd.DataFrame:
    return rates[(rates["measure"] == measure) & (rates["dimension"] == dimension)]


def _rates(analysis: Analysis, measure: Measure, dimension: str) -> Section:
    rows = _of(analysis.rates, measure, dimension)
    found, compared = int(rows["is_finding"].sum()), int(rows["p_value"].notna().sum())
    topic, what = ("matching", "match rate") if measure == "match_rate" else ("quality", "important scores")
    name = DIMENSIONS[dimension]
    title = f"{name}: {found} of {compared} differ in {what} from the rest"
    figure = (
        charts.match_rate_by_day(analysis.rates)
        if (measure, dimension) == ("match_rate", "day")
        else charts.rates_by(analysis.rates, measure, dimension)
    )
    insights = [each for each in analysis.insights if (each.topic, each.dimension) == (topic, dimension)]
    return Section(title, (*_findings(insights, ""), Chart(figure)))


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
        trained += [
            Chart(matching_charts.lag(analysis.lags, partner)),
            Chart(matching_charts.weights(tables["weights"], partner)),
        ]
    is_known = not pd.isna(value.get("false_match_rate"))
    title = f"The model errs in about {percent('false_match_rate')} of the rows" if is_known else "The matching model"
    return (
        Section(title, tuple(trained)),
        Section(
            "Certainty of the matches, and changes to the model",
            (
                Chart(matching_charts.placebo(tables["placebo"])),
                Chart(matching_charts.calibration(tables["calibration"])),
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


def _how(alike: Sequence[tuple[Measure, str]]) -> Section:
    names = ", ".join(
        f"{'match rate' if measure == 'match_rate' else 'important scores'} by {DIMENSIONS[dimension].lower()}"
        for measure, dimension in alike
    )
    return Section(
        "How this is computed",
        (
            *([Text(f"No significant difference was found in: {names}.")] if alike else []),
            Text(_METHOD),
            Text(_TESTS),
            Text("The sessions behind the important scores by device; other dimensions replace is_mobile:"),
            Code(QUERY, "sql"),
        ),
    )


QUERY = """with first_conversions as (
    from marts.fct_unified_journeys
    where is_matched and isfinite(important_score) and not is_scanner_traffic
    qualify row_number() over (
        partition by coalesce(session_id, 'conversion ' || conversion_id) order by created_at, conversion_id
    ) = 1
)
select is_mobile, count(*) as sessions, count(*) filter (where important_score > 0) as important
from first_conversions
group by all"""
"""The query that a reader can run for the figures of important scores by device."""


def _findings(insights: Sequence[Insight], otherwise: str = _NO_FINDING) -> tuple[Block, ...]:
    if not insights:
        return (Text(otherwise, is_muted=True),) if otherwise else ()
    points = ((each.lead, f"{each.text} → {each.action}" if each.action else each.text) for each in insights)
    return (Points(tuple(points)),)
