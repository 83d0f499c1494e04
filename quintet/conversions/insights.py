"""What the matched journeys say: funnel, rates by group, and the sentences whose tests hold.

Belongs here: which figures are counted, from a snapshot's tables to frames, and which of them become a sentence. The
statistics are in `comparisons.py`, the charts in `charts.py`, the papers in `papers.py`.

An important score is a valid score above zero. Of the broker's valid scores nearly all are zero, and the others begin
at a step well above it: zero says that nothing came of the registration, and how much came of the others is said by the
mean score. A score that is not a number is missing, and counts neither way.

A session counts once, with its first click: rows of one session tend to share their score, so that counting them all
would take one person for many. Clicks of scanners are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import duckdb
import numpy as np
import pandas as pd
from babel import Locale

from quintet.conversions.comparisons import compare, false_discovery
from quintet.statistics import wilson

Measure = Literal["match_rate", "important_share", "mean_score"]

MEASURES: Mapping[Measure, str] = MappingProxyType(
    {
        "match_rate": "Clicks matched to a broker row, of those within the broker's time span",
        "important_share": "Matched rows with an important score, of those with a valid score",
        "mean_score": "Mean of the valid scores of matched rows, zeros included",
    }
)

DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "country": "Country",
        "day": "Day",
        "device": "Device",
        "page_category": "Page category",
        "ui_element": "UI element",
    }
)
"""What the measures are told by, with its heading."""

EQUALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "country": ("device", "page_category"),
        "day": ("device", "country"),
        "device": ("country", "page_category"),
        "page_category": ("device", "country"),
        "ui_element": ("device", "country"),
    }
)
"""Among whom a level is compared with the rest, so that a page is not praised for its visitors' country."""

LARGEST_Q = 0.05
"""The false discovery rate of all comparisons together, above which nothing is said."""

SENTENCES_BY_DIMENSION = 3
"""Of more findings of one measure and dimension the largest effects are said; the others are in the table."""

NOT_MAPPED = "(no page category)"
_NO_ELEMENT = "(no element)"
_UNKNOWN = "(unknown)"

_LEVELS = MappingProxyType(
    {
        "country": f"coalesce(country_iso2, '{_UNKNOWN}')",
        "day": "strftime(created_at, '%Y-%m-%d')",
        "device": f"case when is_mobile then 'mobile' when not is_mobile then 'desktop' else '{_UNKNOWN}' end",
        "page_category": f"coalesce(page_category, '{NOT_MAPPED}')",
        "ui_element": f"coalesce(ui_element, '{_NO_ELEMENT}')",
    }
)
_POPULATIONS: Mapping[Measure, tuple[str, str]] = MappingProxyType(  # which journeys count, and with what value
    {
        "match_rate": ("unmatched_reason is distinct from 'outside_time_span'", "is_matched::int"),
        "important_share": ("is_matched and isfinite(important_score)", "(important_score > 0)::int"),
        "mean_score": ("is_matched and isfinite(important_score)", "important_score"),
    }
)
_OUT_OF_REACH = ("outside_time_span", "country_unknown", "country_never_seen", "partner_not_learned")
_STEPS = ("all", "in_reach", "with_candidate", "matched")


@dataclass(frozen=True)
class Insight:
    """A sentence that the data bears, with what to do about it.

    topic: `quality`, `matching`, `residency`, `data` or `funnel`. lead: its main number. text: the finding in full with
    n and interval. action: the step that follows, or an empty string. q_value: after correction for all comparisons;
    None for what was counted and needs no test. dimension: of `DIMENSIONS`, where it speaks of one.
    """

    topic: str
    lead: str
    text: str
    action: str = ""
    q_value: float | None = None
    dimension: str = ""


@dataclass(frozen=True)
class Analysis:
    """All frames of one snapshot, as the functions of this module give them, and the sentences."""

    funnel: pd.DataFrame
    outcomes: pd.DataFrame
    rates: pd.DataFrame
    residency: pd.DataFrame
    residency_summary: pd.DataFrame
    data_quality: pd.DataFrame
    session_scores: pd.DataFrame
    scores: pd.DataFrame
    lags: pd.DataFrame
    insights: tuple[Insight, ...]


def analyse(connection: duckdb.DuckDBPyConnection) -> Analysis:
    """Everything that the papers and the page tell of a snapshot."""
    frames = {
        "funnel": funnel(connection),
        "outcomes": outcomes(connection),
        "rates": rates(connection),
        "residency": residency(connection),
        "residency_summary": residency_summary(connection),
        "data_quality": data_quality(connection),
        "session_scores": session_scores(connection),
        "scores": scores(connection),
        "lags": lags(connection),
    }
    sentences = (
        *funnel_insights(frames["funnel"], frames["outcomes"]),
        *session_insights(frames["session_scores"]),
        *rate_insights(frames["rates"]),
        *residency_insights(frames["residency"], frames["residency_summary"]),
        *data_quality_insights(frames["data_quality"]),
    )
    return Analysis(**frames, insights=sentences)


def funnel(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """How many rows of each side come how far: side (`clicks`, `broker_rows`), step, rows, share (of the side).

    Steps: `all`, `in_reach` (within the other side's time span, of a country that it knows), `with_candidate` (a row of
    the other side lies within the lag), `matched`.
    """
    reasons = outcomes(connection)
    rows = []
    for side in ("clicks", "broker_rows"):
        of_side = reasons[reasons["side"] == side].set_index("outcome")["rows"]
        every = int(of_side.sum())
        reach = every - int(of_side.reindex(_OUT_OF_REACH).fillna(0).sum())
        candidates = reach - int(of_side.get("no_candidate", 0))
        counts = (every, reach, candidates, int(of_side.get("matched", 0)))
        rows += [
            (side, step, count, count / every if every else np.nan) for step, count in zip(_STEPS, counts, strict=True)
        ]
    return pd.DataFrame(rows, columns=["side", "step", "rows", "share"])


def outcomes(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """What became of each row: side, outcome (`matched`, or the reason why not), rows, share; the most frequent first.

    A row that is in review has the outcome `in_review`.
    """
    return connection.execute("""
        with rows as (
            select 'clicks' as side, coalesce(unmatched_reason, 'matched') as outcome from marts.fct_unified_journeys
            union all
            select 'broker_rows', coalesce(reason, 'matched')
            from marts.fct_broker_rows left join marts.fct_unmatched_broker_rows using (broker_row_id)
        ),
        counts as (select side, outcome, count(*) as rows from rows group by all)
        select side, outcome, rows, rows / sum(rows) over (partition by side) as share
        from counts order by side desc, rows desc, outcome
    """).df()


def scores(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """How the broker's scores are spread, in classes: score_from, score_until (excluded; null for zero), rows."""
    return (
        connection.execute("""
        select score_from, case when score_from > 0 then score_from + 10 end as score_until, count(*) as rows
        from (
            select case when important_score = 0 then 0.0 else floor(important_score / 10) * 10 + 1e-9 end as score_from
            from marts.fct_broker_rows where isfinite(important_score)
        )
        group by all order by all
    """)
        .df()
        .round(6)
    )


def lags(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Lags of matched pairs beside the learned ones: partner, from_second, until_second, rows, observed, learned."""
    return connection.execute("""
        with pairs as (
            select partner, lag_seconds, count(*) as rows from marts.fct_conversion_matches
            where tier = 'matched' group by all
        ),
        bins as (
            select bins.partner, from_second, until_second, share as learned,
                coalesce(sum(pairs.rows), 0)::bigint as rows
            from ml.matching_lags as bins
            left join pairs
                on bins.partner = pairs.partner and lag_seconds >= from_second and lag_seconds < until_second
            group by all
        )
        select partner, from_second, until_second, rows,
            rows / nullif(sum(rows) over (partition by partner), 0) as observed, learned
        from bins order by all
    """).df()


def rates(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The measures by the levels of each dimension, every one against the rest.

    measure, dimension, level; n (sessions), rows (all clicks or matched rows, however many of one session), total,
    mean, low, high (95%); rest_mean, difference, adjusted (within equals, see `EQUALS`), each with _low and _high;
    compared, p_value, q_value (over all comparisons of the frame, null where too few rows are expected), is_finding
    (q_value at most LARGEST_Q, the interval within equals leaves out zero, the plain difference points the same way).
    """
    parts = []
    for measure in MEASURES:
        for dimension in DIMENSIONS:
            compared = compare(_cells(connection, measure, dimension), is_share=measure != "mean_score")
            parts.append(
                compared.merge(_row_counts(connection, measure, dimension), on="level", how="left").assign(
                    measure=measure, dimension=dimension
                )
            )
    every = pd.concat(parts, ignore_index=True)
    every["q_value"] = false_discovery(every["p_value"].to_numpy("float64"))
    agrees = np.sign(every["difference"]) == np.sign(every["adjusted"])
    is_clear = every["adjusted_low"] * every["adjusted_high"] > 0
    every["is_finding"] = (every["q_value"] <= LARGEST_Q) & agrees & is_clear
    first = ["measure", "dimension", "level", "n", "rows", "total", "mean", "low", "high"]
    return every[[*first, *(name for name in every if name not in first)]]


def _cells(connection: duckdb.DuckDBPyConnection, measure: Measure, dimension: str) -> pd.DataFrame:
    condition, value = _POPULATIONS[measure]
    stratum = " || chr(31) || ".join(_LEVELS[name] for name in EQUALS[dimension])
    # Sums of whole millionths: the same to the last digit in whatever order the rows come.
    return connection.execute(f"""
        with counted as (
            select {_LEVELS[dimension]} as level, {stratum} as stratum, ({value})::double as value
            from marts.fct_unified_journeys
            where not is_scanner_traffic and {condition}
            qualify row_number() over (
                partition by coalesce(session_id, 'conversion ' || conversion_id) order by created_at, conversion_id
            ) = 1
        )
        select level, stratum, count(*) as n,
            sum(round(value * 1e6)::hugeint)::double / 1e6 as total,
            sum(round(value ** 2 * 1e6)::hugeint)::double / 1e6 as squares,
            sum(round(value ** 3 * 1e6)::hugeint)::double / 1e6 as cubes
        from counted group by all order by all
    """).df()


def _row_counts(connection: duckdb.DuckDBPyConnection, measure: Measure, dimension: str) -> pd.DataFrame:
    return connection.execute(
        f"select {_LEVELS[dimension]} as level, count(*) as rows from marts.fct_unified_journeys "
        f"where not is_scanner_traffic and {_POPULATIONS[measure][0]} group by all order by all"
    ).df()


def session_scores(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row: sessions (with two or more scored rows), with_important, all_important; share, low, high (of the last
    two); important_share (of all scored rows): what another row would be by chance.
    """
    frame = connection.execute("""
        with scored as (
            select session_id, important_score > 0 as is_important from marts.fct_unified_journeys
            where is_matched and isfinite(important_score) and not is_scanner_traffic
        ),
        sessions as (
            select count(*) as rows, count(*) filter (where is_important) as important
            from scored where session_id is not null group by session_id having count(*) > 1
        )
        select count(*) as sessions,
            count(*) filter (where important > 0) as with_important,
            count(*) filter (where important = rows) as all_important,
            (select avg(is_important::int) from scored) as important_share
        from sessions
    """).df()
    low, high = wilson(frame["all_important"].to_numpy(), frame["with_important"].to_numpy())
    share = frame["all_important"] / frame["with_important"].where(frame["with_important"] > 0)
    return frame.assign(share=share, low=low, high=high)


def residency(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """How often the residency is another than the IP country, by the latter, where both are known.

    ip_iso2, n (rows, one a session), total (of another residency), mean, low, high, rest_mean, difference with _low and
    _high, p_value, q_value, commonest (residency among those of another), commonest_rows; the largest first.
    """
    cells = connection.execute(f"""
        select ip_iso2 as level, '' as stratum, count(*) as n,
            count(*) filter (where residency_iso2 <> ip_iso2)::double as total, total as squares, total as cubes
        from ({_one_row_a_session("broker_rows.ip_iso2 is not null and broker_rows.residency_iso2 is not null")})
        group by all order by all
    """).df()
    commonest = connection.execute("""
        select ip_iso2 as level, arg_max(residency_iso2, (rows, residency_iso2)) as commonest,
            max(rows) as commonest_rows
        from (
            select ip_iso2, residency_iso2, count(*) as rows from marts.fct_broker_rows
            where residency_iso2 <> ip_iso2 group by all
        )
        group by all order by all
    """).df()
    compared = compare(cells, is_share=True)
    compared["q_value"] = false_discovery(compared["p_value"].to_numpy("float64"))
    kept = ["level", "n", "total", "mean", "low", "high", "rest_mean", "difference", "difference_low"]
    return (
        compared[[*kept, "difference_high", "p_value", "q_value"]]
        .merge(commonest, on="level", how="left")
        .rename(columns={"level": "ip_iso2"})
    )


def residency_summary(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Broker rows by how residency and IP country stand to each other, and how good they are.

    level (`same`, `other`, `residency unknown`, `IP unknown`), n (with a valid score), total (important), mean, low,
    high, rest_mean, difference with _low and _high, p_value, rows (all broker rows).
    """
    relation = """case when ip_iso2 is null then 'IP unknown' when residency_iso2 is null then 'residency unknown'
        when ip_iso2 = residency_iso2 then 'same' else 'other' end"""
    cells = connection.execute(f"""
        select {relation} as level, '' as stratum, count(*) as n,
            count(*) filter (where important_score > 0)::double as total, total as squares, total as cubes
        from ({_one_row_a_session("isfinite(broker_rows.important_score)")}) group by all order by all
    """).df()
    rows = connection.execute(
        f"select {relation} as level, count(*) as rows from marts.fct_broker_rows group by all order by all"
    ).df()
    kept = ["level", "n", "total", "mean", "low", "high", "rest_mean", "difference", "difference_low"]
    compared = compare(cells, is_share=True)[[*kept, "difference_high", "p_value"]]
    return rows.merge(compared, on="level", how="left").sort_values("rows", ascending=False, ignore_index=True)


def _one_row_a_session(condition: str) -> str:
    """The broker rows of a condition; of those matched to clicks of one session only the first."""
    return f"""
        select broker_rows.* from marts.fct_broker_rows as broker_rows
        left join marts.fct_unified_journeys as journeys using (broker_row_id)
        where {condition}
        qualify row_number() over (
            partition by coalesce(session_id, broker_row_id) order by broker_rows.broker_at, broker_row_id
        ) = 1
    """


def data_quality(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """What is wrong with the data: finding, rows, of (how many rows there are), share, example."""
    frame = connection.execute("""
        with clicks as (select * from marts.fct_conversions), rows as (select * from marts.fct_broker_rows),
        counts as (
            select 1 as place, 'unmapped_categories' as finding,
                count(*) filter (where page_category is null and not is_scanner_traffic) as rows, count(*) as of,
                (
                    select string_agg(
                        measurement_category || ' (' || conversions || ')', ', '
                        order by conversions desc, measurement_category
                    )
                    from (
                        select * from marts.unmapped_page_categories where not is_scanner_traffic or conversions > 10
                        order by conversions desc, measurement_category limit 2
                    )
                ) as example
            from clicks
            union all
            select 2, 'scanner_traffic', count(*) filter (where is_scanner_traffic), count(*),
                min(coalesce(ui_element, measurement_category)) filter (where is_scanner_traffic)
            from clicks
            union all
            select 3, 'invalid_scores', count(important_score_missing_reason), count(*),
                string_agg(distinct important_score_missing_reason, ', ' order by important_score_missing_reason)
            from rows
            union all
            select 4, 'repeated_ids',
                (select coalesce(sum(loaded), 0) from marts.ops_batches where dataset = 'conversions') - count(*),
                (select coalesce(sum(loaded), 0) from marts.ops_batches where dataset = 'conversions'), null
            from clicks
            union all
            select 5, 'click_country_unknown', count(*) filter (where country_iso2 is null), count(*),
                min(country_name) filter (where country_iso2 is null)
            from clicks
            union all
            select 6, 'row_country_unknown', count(*) filter (where ip_iso2 is null), count(*),
                min(ip_name) filter (where ip_iso2 is null)
            from rows
            union all
            select 7, 'residency_unknown', count(*) filter (where residency_iso2 is null), count(*), null from rows
            union all
            select 8, 'country_never_seen', count(*) filter (where reason = 'country_never_seen'),
                (select count(*) from rows), mode(ip_iso2 order by ip_iso2) filter (where reason = 'country_never_seen')
            from marts.fct_unmatched_broker_rows
            union all
            select 9, 'equal_rows', coalesce(sum(copies - 1), 0), (select count(*) from rows), null
            from (
                select count(*) as copies from rows
                group by partner, broker_at, residency_name, ip_name, important_score, important_score_missing_reason
                having count(*) > 1
            )
        )
        select finding, rows::bigint as rows, of::bigint as of, example from counts order by place
    """).df()
    return frame.assign(share=frame["rows"] / frame["of"].where(frame["of"] > 0))[
        ["finding", "rows", "of", "share", "example"]
    ]


def country_name(iso2: str) -> str:
    """The English name of a country, or the code itself where there is none."""
    return str(Locale("en").territories.get(iso2, iso2))


def where(dimension: str, level: str) -> str:
    """A level as a sentence says it: `from Germany`, `of 22 April 2024`, `on mobile`, `on pages “Education”`."""
    match dimension:
        case "country":
            return f"from {country_name(level)}"
        case "day":
            day = dt.date.fromisoformat(level)
            return f"of {day.day} {day:%B %Y}"
        case "page_category":
            return "on pages without a category" if level == NOT_MAPPED else f"on pages “{level}”"
        case "ui_element":
            return f"through the element “{level}”"
        case _:
            return f"on {level}"


def funnel_insights(steps: pd.DataFrame, results: pd.DataFrame) -> tuple[Insight, ...]:
    """How far each side comes, and what would bring it further."""
    count = steps.set_index(["side", "step"])["rows"].to_dict()
    reason = results.set_index(["side", "outcome"])["rows"].to_dict()
    found = []
    rows, matched = count["broker_rows", "all"], count["broker_rows", "matched"]
    if matched:
        found.append(
            Insight(
                "funnel",
                f"{matched / rows:.1%}",
                f"of the {rows:,} broker rows have their click: {matched:,}, each with one of its own. Of the "
                f"{count['clicks', 'in_reach']:,} clicks that could have a row, "
                f"{matched / max(count['clicks', 'in_reach'], 1):.1%} have it.",
            )
        )
    outside = reason.get(("clicks", "outside_time_span"), 0)
    if outside:
        found.append(
            Insight(
                "funnel",
                f"{outside:,} clicks",
                f"({outside / count['clicks', 'all']:.1%}) lie outside the time that the broker's files cover. They "
                f"are neither successes nor failures, and every rate here leaves them out.",
                "Ask the broker for the rows of that time: it is the cheapest data there is.",
            )
        )
    review = reason.get(("broker_rows", "in_review"), 0)
    if review:
        found.append(
            Insight(
                "funnel",
                f"{review:,} rows",
                f"({review / rows:.1%}) have a likely click that is not sure enough to count, such as one of another "
                f"country within seconds. They count nowhere until somebody has reviewed them.",
                "Have the click's id passed through to the broker: it would settle each of them.",
            )
        )
    return tuple(found)


def session_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """Whether rows of one session share their score."""
    row = frame.iloc[0]
    if not row["with_important"] or not row["low"] > 2 * row["important_share"]:
        return ()
    return (
        Insight(
            "quality",
            f"{row['share']:.0%}",
            f"of the {row['with_important']:,.0f} sessions with several scored rows, one of them important, have "
            f"important scores only (95% {row['low']:.0%} to {row['high']:.0%}); by chance another row would be "
            f"important in {row['important_share']:.1%}. The score belongs to the person, not to the click.",
            "Count sessions, not rows, when pages are compared or partners are paid; every test here does.",
        ),
    )


_ACTIONS: Mapping[tuple[str, str, bool], str] = MappingProxyType(  # by topic, dimension, and whether it is better
    {
        ("quality", "device", True): "Walk through the way from click to registration {others}, and try a change "
        "against the present page: that visitors {where} score higher does not say why.",
        ("quality", "page_category", True): "Lead more visitors to such pages, as a trial with a control group.",
        ("quality", "page_category", False): "Find out what visitors come for there before they are sent to a broker; "
        "do not buy traffic for these pages meanwhile.",
        ("quality", "ui_element", True): "Try this element in place of weaker ones, half of the visitors each.",
        ("quality", "ui_element", False): "Try another element in its place, half of the visitors each.",
        ("quality", "country", True): "Look for more visitors {where}, as a trial first.",
        ("quality", "country", False): "Ask the broker what keeps clients {where} from going on, and offer another "
        "broker there if it stays so.",
        ("quality", "day", True): "Look up what was special on that day: a campaign, a rule of the broker, a release.",
        ("quality", "day", False): "Look up what was wrong on that day.",
        ("matching", "country", False): "Ask the broker whether it takes clients {where} and reports them all.",
        ("matching", "day", False): "Ask the broker whether its file is complete for that day.",
        ("matching", "device", False): "Check on that device whether the link to the broker opens, and opens once.",
        ("matching", "page_category", False): "Click through such pages and see whether their links reach the broker.",
        ("matching", "ui_element", False): "Check whether it counts clicks that do not lead to the broker.",
    }
)
_NOT_RIPE = "These are the last days of the data, and scores may still come: judge them again with a later file."
_DAYS_TO_RIPEN = 3


def rate_insights(every: pd.DataFrame) -> tuple[Insight, ...]:
    """The findings among the rates in words, the largest effects first, at most a few a dimension and measure.

    Of mean scores only what the shares have not said; of match rates only what is below the rest.
    """
    found: list[Insight] = []
    for dimension in ("device", "page_category", "ui_element", "country", "day"):
        of_dimension = every[every["dimension"] == dimension]
        told: set[str] = set()
        for measure in ("important_share", "mean_score", "match_rate"):
            levels = of_dimension[of_dimension["measure"] == measure]
            holds = levels[levels["is_finding"]]
            if measure == "match_rate":
                holds = holds[holds["adjusted"] < 0]
            else:
                holds = holds[~holds["level"].isin(told)]
                if len(levels) == 2:  # two levels are each other's rest: one sentence says both
                    holds = holds[holds["adjusted"] > 0]
            weight = holds["adjusted"].abs() * np.sqrt(holds["compared"].astype("float64"))
            order = weight.sort_values(ascending=False, kind="stable").index[:SENTENCES_BY_DIMENSION]
            found += [_rate_insight(holds.loc[place], levels, measure, dimension) for place in order]
            told |= set(levels.loc[levels["is_finding"], "level"]) if measure == "important_share" else set()
    return tuple(sorted(found, key=lambda insight: insight.topic != "quality"))


def _rate_insight(row: pd.Series, levels: pd.DataFrame, measure: Measure, dimension: str) -> Insight:
    topic = "matching" if measure == "match_rate" else "quality"
    place = where(dimension, row["level"])
    others = [where(dimension, level) for level in levels["level"] if level != row["level"]]
    action = _ACTIONS[topic, dimension, bool(row["adjusted"] > 0)].format(
        where=place, others=others[0] if len(others) == 1 else "elsewhere"
    )
    if topic == "quality" and dimension == "day" and row["level"] >= sorted(levels["level"])[-_DAYS_TO_RIPEN:][0]:
        action = _NOT_RIPE
    by = " and ".join(DIMENSIONS[each].lower() for each in EQUALS[dimension])
    if measure == "mean_score":
        lead = f"{row['mean']:.2f}"
        text = (
            f"is the mean score of sessions {place}, against {row['rest_mean']:.2f} of the rest (n = {row['n']:,}). "
            f"Among equals by {by} the difference is {_signed(row['adjusted'], '.2f')} "
            f"(95% {_signed(row['adjusted_low'], '.2f')} to {_signed(row['adjusted_high'], '.2f')}; "
            f"{_q_words(row['q_value'])})."
        )
    else:
        lead = f"{row['mean']:.1%}"
        what = "are matched" if topic == "matching" else "that matched have an important score"
        text = (
            f"of the sessions {place} {what} (95% {row['low']:.1%} to {row['high']:.1%}, n = {row['n']:,}), against "
            f"{row['rest_mean']:.1%} of the rest. Among equals by {by} the difference is {_points(row['adjusted'])} "
            f"points (95% {_points(row['adjusted_low'])} to {_points(row['adjusted_high'])}; "
            f"{_q_words(row['q_value'])})."
        )
    return Insight(topic, lead, text, action, float(row["q_value"]), dimension)


def residency_insights(by_country: pd.DataFrame, summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Where people live elsewhere than their connection says, and whether these are worse or better."""
    both = by_country["n"].sum()
    if not both:
        return ()
    other = int(by_country["total"].sum())
    low, high = wilson(np.array([other]), np.array([both]))
    found = [
        Insight(
            "residency",
            f"{other / both:.1%}",
            f"of the {both:,} broker rows that state a residency have an IP of another country "
            f"(95% {low[0]:.1%} to {high[0]:.1%}).",
            "Match by either country, as is done here, and never drop a row because they differ.",
        )
    ]
    holds = by_country[(by_country["q_value"] <= LARGEST_Q) & (by_country["difference"] > 0)]
    worst = holds.sort_values(["mean", "ip_iso2"], ascending=[False, True]).head(SENTENCES_BY_DIMENSION)
    found += [_residency_insight(row) for _, row in worst.iterrows()]
    return (*_stated_insights(summary), *found, *_abroad_insights(summary))


def _stated_insights(summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Whether a stated residency tells who goes on."""
    row = summary[summary["level"] == "residency unknown"]
    stated = summary[summary["level"].isin(["same", "other"])][["n", "total"]].sum()
    if row.empty or not stated["n"] or not (row["p_value"] <= LARGEST_Q).all() or (row["difference"] >= 0).all():
        return ()
    unknown = row.iloc[0]
    low, high = wilson(np.array([stated["total"]]), np.array([stated["n"]]))
    return (
        Insight(
            "residency",
            f"{stated['total'] / stated['n']:.1%}",
            f"of the rows that state a residency are important (95% {low[0]:.1%} to {high[0]:.1%}, n = "
            f"{stated['n']:,.0f}), and {unknown['mean']:.2%} of those that state none (95% {unknown['low']:.2%} to "
            f"{unknown['high']:.2%}, n = {unknown['n']:,.0f}; {_p_words(unknown['p_value'])}). A residency is stated "
            f"late on the way to a score: it is a step of the funnel, and not a trait of the visitor.",
            "Ask the broker which step writes the residency, and report it as a result of its own: it comes earlier "
            "and more often than a score.",
            float(unknown["p_value"]),
        ),
    )


def _abroad_insights(summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Whether who resides elsewhere than the IP is differs from who does not, among those who state a residency."""
    stated = summary[summary["level"].isin(["same", "other"])]
    if len(stated) < 2:
        return ()
    cells = stated[["level", "n", "total"]].assign(stratum="", squares=stated["total"], cubes=stated["total"])
    compared = compare(cells, is_share=True)
    row = compared[compared["level"] == "other"].iloc[0]
    if not row["p_value"] <= LARGEST_Q:
        return ()
    return (
        Insight(
            "residency",
            f"{row['mean']:.1%}",
            f"of the rows whose residency differs from the IP are important, against {row['rest_mean']:.1%} of those "
            f"where both agree (difference {_points(row['difference'])} points, 95% {_points(row['difference_low'])} "
            f"to {_points(row['difference_high'])}; n = {row['n']:,.0f}, {_p_words(row['p_value'])}).",
            "Ask the broker how it treats clients who register from abroad.",
            float(row["p_value"]),
        ),
    )


def _residency_insight(row: pd.Series) -> Insight:
    name = country_name(row["ip_iso2"])
    return Insight(
        "residency",
        f"{row['mean']:.1%}",
        f"of those with an IP of {name} reside elsewhere, most often in {country_name(row['commonest'])} "
        f"({row['commonest_rows']:,.0f} rows), against {row['rest_mean']:.1%} of the other countries (difference "
        f"{_points(row['difference'])} points, 95% {_points(row['difference_low'])} to "
        f"{_points(row['difference_high'])}; n = {row['n']:,}, {_q_words(row['q_value'])}).",
        f"Do not read the IP country {name} as where people live.",
        float(row["q_value"]),
    )


def data_quality_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """What is wrong with the data, and who can mend it; nothing of what did not occur."""
    found = []
    for row in frame[frame["rows"] > 0].itertuples():
        text, action = _DATA_WORDS[str(row.finding)]
        words = {"share": row.share, "example": row.example, "country": country_name(str(row.example))}
        found.append(Insight("data", f"{row.rows:,} of {row.of:,}", text.format(**words), action))
    return tuple(found)


_DATA_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "unmapped_categories": (
            "clicks ({share:.1%}) are on pages that the mapping does not know; most frequent: {example}.",
            "Add these codes to the mapping of page categories: the pages are then judged like the others.",
        ),
        "scanner_traffic": (
            "clicks ({share:.2%}) carry what a vulnerability scanner types, such as {example}. They are kept, and left "
            "out of every rate.",
            "Turn such requests away before a click is counted.",
        ),
        "invalid_scores": (
            "broker rows ({share:.2%}) have a score that is not a number ({example}). They count as missing, not as "
            "zero.",
            "Ask the broker for the file as it leaves its database, not through a spreadsheet.",
        ),
        "repeated_ids": (
            "rows ({share:.2%}) of the conversion files repeat a conversion that is there already.",
            "Join country names by code: a name with two entries repeats its conversions.",
        ),
        "click_country_unknown": ("clicks ({share:.2%}) have no known country.", "Record the country as ISO code."),
        "row_country_unknown": (
            "broker rows ({share:.2%}) have no known IP country.",
            "Agree on ISO codes with the broker, and on one word for unknown.",
        ),
        "residency_unknown": (
            "broker rows ({share:.1%}) state no residency.",
            "Ask for the residency of every row, as soon as it is known.",
        ),
        "country_never_seen": (
            "broker rows ({share:.2%}) are of countries from which we have no click, most often {country}.",
            "Ask the broker where these clients come from: they may be of another partner, or our clicks of that "
            "country are lost.",
        ),
        "equal_rows": (
            "broker rows ({share:.2%}) equal another in every cell. They count as registrations of their own.",
            "Ask for a row id: only it tells a repeat from two registrations in one second.",
        ),
    }
)


def _points(difference: float) -> str:
    return _signed(100 * difference, ".1f")


def _signed(value: float, pattern: str) -> str:
    return f"{value:+{pattern}}".replace("-", "−")


def _p_words(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _q_words(q_value: float) -> str:
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.3f}"
