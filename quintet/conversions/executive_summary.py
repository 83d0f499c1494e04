"""The first page of the insights: what brings the most important customers, and how sure that is.

Differences between levels and what they are worth are those of `findings.ranked_findings`, which the page lists one by
one. Here those of one kind, such as all weak days, are one finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import duckdb
import pandas as pd

from quintet.conversions.analysis import Analysis
from quintet.conversions.episodes import days_within, first_day, in_words, last_day
from quintet.conversions.insights import NOT_MAPPED, country_name, where
from quintet.conversions.visit_groups import VISITS, visitors_in_words
from quintet.presentation.blocks import Evidence, Finding
from quintet.presentation.wording import counted, sureness
from quintet.warehouse.sql import quote_literal

MOST_FINDINGS = 5
_LEAST_CUSTOMERS = 0.5
CLEAR = 0.95
"""The least probability that a group is below (or above) average for it to be clearly so."""

IMPORTANT = "An important customer is one whom the broker scores above zero."


@dataclass(frozen=True)
class Ranked:
    """A finding with the important customers that it is expected to bring."""

    customers: float
    finding: Finding


def findings(connection: duckdb.DuckDBPyConnection, analysis: Analysis, groups: pd.DataFrame) -> tuple[Finding, ...]:
    """Return up to five findings, those that bring most important customers first.

    groups: as `visit_groups.visit_groups` returns them. Only findings whose test is passed.
    """
    every = chain(
        beyond_levels(connection, analysis.outcomes, groups),
        _importance(analysis.findings),
        _worst_days(analysis),
        _unreported_countries(analysis),
    )
    ranked = sorted((each for each in every if each.customers >= _LEAST_CUSTOMERS), key=lambda each: -each.customers)
    return tuple(each.finding for each in ranked[:MOST_FINDINGS])


def beyond_levels(connection: duckdb.DuckDBPyConnection, outcomes: pd.DataFrame, groups: pd.DataFrame) -> list[Ranked]:
    """Return the findings that are no difference between levels: time without files, weak groups, pairs in review.

    outcomes: of `Analysis`. groups: as `visit_groups.visit_groups` returns them.
    """
    return [*_uncovered(outcomes, groups), *_weak_groups(groups), *_review(connection)]


def _uncovered(outcomes: pd.DataFrame, groups: pd.DataFrame) -> list[Ranked]:
    ours = outcomes[outcomes["side"] == "clicks"].set_index("outcome")["rows"]
    outside = int(ours.get("outside_time_span", 0))
    if not outside or groups.empty:
        return []
    per_conversion = groups["important"].sum() / max(ours.sum() - outside, 1)
    customers = outside * per_conversion
    return [
        Ranked(
            customers,
            Finding(
                counted(outside, "conversion"),
                f"{counted(outside, 'conversion')} ({outside / ours.sum():.0%} of all) happened when the broker's "
                f"files had not begun or had ended, so nobody knows what became of them.",
                "Ask the broker for its rows of that time.",
                f"The outcome of about {counted(round(customers), 'important customer')} would be known. {IMPORTANT}",
                "The missing days are certain; the customers assume that those days are like the others.",
                (
                    Evidence(
                        "conversions outside the broker's time",
                        outside,
                        "select count(*) from marts.fct_unified_journeys where unmatched_reason = 'outside_time_span'",
                    ),
                ),
            ),
        )
    ]


def _weak_groups(groups: pd.DataFrame) -> list[Ranked]:
    below = groups[(groups["probability"] >= CLEAR) & (groups["gain"] > 0)]
    if below.empty:
        return []
    row, gain = below.iloc[0], float(below["gain"].sum())
    rate, share, strength = row["important"] / row["visits"], float(row["share_of_all"]), float(row["strength"])
    who = visitors_in_words(row["device"], row["country"], row["page_category"])
    them = "This group brings" if len(below) == 1 else f"These {len(below):,} groups bring"
    is_unmapped = row["page_category"] == NOT_MAPPED
    look = "Add these pages to the mapping of categories, then look" if is_unmapped else "Look"
    keys = ["page_category", "device", "country"]
    names = ",\n    ".join(
        f"({', '.join(quote_literal(each) for each in key)})" for key in below[keys].itertuples(index=False)
    )
    condition = f"(page_category, device, country) in (\n    {names}\n)"
    return [
        Ranked(
            gain,
            Finding(
                f"{counted(round(gain), 'customer')} too few",
                f"{who} bring {rate * 1_000:.0f} important customers per 1,000 visits, and all visitors together bring "
                f"{share * 1_000:.0f}. {them} clearly fewer than average.",
                f"{look} at the first path as such a visitor, change what stops them, and show the change to half.",
                f"About {counted(round(gain), 'more important customer')} in the time of the data, if they became "
                f"average.",
                sureness(float(below["probability"].min())),
                (
                    Evidence("visits of these groups", float(below["visits"].sum()),
                             f"{VISITS}select count(*) from visits where {condition}"),
                    Evidence(
                        "customers too few", gain,
                        f"{VISITS}, sums as (\n    select count(*) as n, count(*) filter (is_important) as k,\n"
                        f"        (select avg(is_important::int) from visits) as share\n    from visits\n"
                        f"    where {condition}\n    group by page_category, device, country\n)\n"
                        f"select sum(n * (share - (k + {strength!r} * share) / (n + {strength!r}))) from sums",
                    ),
                ),
            ),
        )
    ]  # fmt: skip


def _importance(ranking: pd.DataFrame) -> list[Ranked]:
    """Return a finding for each level whose matched visits bring more or fewer important customers than others."""
    own = ranking[(ranking["measure"] == "important_share") & ranking["customers"].notna()]
    return [_more_or_fewer(own.iloc[[place]]) for place in range(len(own))]


def _more_or_fewer(one: pd.DataFrame) -> Ranked:
    row = one.iloc[0]
    customers, is_better = float(row["customers"]), bool(row["effect"] > 0)
    size, many = counted(round(customers), "customer"), counted(round(customers), "more important customer")
    cells = f"from ml.conversion_cells\nwhere measure = 'important_share' and dimension = '{row['dimension']}'"
    first, last = (quote_literal(end(row["level"])) for end in (first_day, last_day))
    own = f"level between {first} and {last}" if row["dimension"] == "day" else f"level = {quote_literal(row['level'])}"
    return Ranked(
        customers,
        Finding(
            f"+{size}" if is_better else f"{size} too few",
            f"Of the matched visits {where(row['dimension'], row['level'])}, {row['mean']:.1%} bring an important "
            f"customer; of all others, {row['rest_mean']:.1%} do.",
            row["action"],
            f"About {many} than elsewhere, if as many visitors again came there and behaved alike."
            if is_better
            else f"About {many} in the time of the data, if these visits became like comparable ones.",
            f"{sureness(1 - float(row['q_value']))} Only an experiment shows the cause.",
            (
                _worth(one),
                Evidence("share of these matched visits", float(row["mean"]),
                         f"select sum(total) / sum(n) {cells} and {own}"),
                Evidence("share of all others", float(row["rest_mean"]),
                         f"select sum(total) / sum(n) {cells} and not ({own})"),
            ),
        ),
    )  # fmt: skip


def _worst_days(analysis: Analysis) -> list[Ranked]:
    weak = _weak(analysis.findings, "day")
    if weak.empty:
        return []
    spans = [(in_words(level), first_day(level), last_day(level)) for level in weak["level"]]
    condition = " or ".join(f"created_at::date between date '{first}' and date '{last}'" for _, first, last in spans)
    those = "those days" if len(spans) > 1 or days_within(weak["level"].iloc[0]) > 1 else "that day"
    ask = f"Ask the broker whether its file is complete for {those}, and have the missing rows sent."
    visits = f"Visits of {_several([days for days, *_ in spans])}"
    return [_unmatched(weak, analysis.rates, visits, condition, spans[0][0], ask)]


def _unreported_countries(analysis: Analysis) -> list[Ranked]:
    weak = _weak(analysis.findings, "country")
    weak = weak[weak["level"] != "(unknown)"]
    if weak.empty:
        return []
    names = [country_name(level) for level in weak["level"]]
    ask = (
        "Ask the broker whether it takes clients from there and reports them all; if it does not, show these visitors "
        "another broker."
    )
    condition = f"country in ({', '.join(quote_literal(level) for level in weak['level'])})"
    size = names[0] if len(names) == 1 else counted(len(names), "country")
    return [_unmatched(weak, analysis.rates, f"Visits from {_several(names)}", condition, size, ask)]


def _weak(ranking: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """Return the ranked levels of a dimension that reach the broker less often and whose worth is known."""
    own = (ranking["measure"] == "match_rate") & (ranking["dimension"] == dimension) & ranking["customers"].notna()
    return ranking[own]


def _worth(rows: pd.DataFrame) -> Evidence:
    """Return the customers that rows of the ranking are worth together, with the query of the published ranking."""
    first = rows.iloc[0]
    levels = ", ".join(quote_literal(level) for level in rows["level"])
    return Evidence(
        "customers",
        float(rows["customers"].sum()),
        f"select sum(customers) from ml.conversion_findings\nwhere measure = {quote_literal(first['measure'])} "
        f"and dimension = {quote_literal(first['dimension'])} and level in ({levels})",
    )


def _several(names: Sequence[str]) -> str:
    """Return up to three names as a sentence has them, and how many others there are."""
    if len(names) <= _MOST_NAMES:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"


_MOST_NAMES = 3


def _unmatched(weak: pd.DataFrame, rates: pd.DataFrame, visits: str, condition: str, size: str, action: str) -> Ranked:
    """Return the finding of visits that reach the broker less often than others. weak: rows of the ranking."""
    same = rates[(rates["measure"] == "match_rate") & (rates["dimension"] == weak["dimension"].iloc[0])]
    every, matched = float(same["n"].sum()), float(same["total"].sum())
    own, own_matched = float(weak["n"].sum()), float((weak["n"] * weak["mean"]).sum())
    share, rest = own_matched / own, (matched - own_matched) / max(every - own, 1)
    customers = float(weak["customers"].sum())
    return Ranked(
        customers,
        Finding(
            size,
            f"{visits} appear in the broker's file in {share:.0%} of the cases; all others do in {rest:.0%}.",
            action,
            f"About {counted(round(customers), 'more important customer')} in the time of the data, if they appeared "
            f"as often as comparable visits.",
            sureness(1 - float(weak["q_value"].max())),
            (
                _worth(weak),
                Evidence("share of these visits with a broker row", share,
                         f"{VISITS}select avg(is_matched::int) from visits where {condition}"),
                Evidence("share of the others", rest,
                         f"{VISITS}select avg(is_matched::int) from visits where not ({condition})"),
            ),
        ),
    )  # fmt: skip


def _review(connection: duckdb.DuckDBPyConnection) -> list[Ranked]:
    pairs = connection.execute(_REVIEW).df()
    if pairs.empty:
        return []
    is_important = pairs["important_score"] > 0
    likely = float(pairs["match_probability"].sum())
    customers = float(pairs.loc[is_important, "match_probability"].sum())
    return [
        Ranked(
            customers,
            Finding(
                counted(len(pairs), "pair"),
                f"{counted(len(pairs), 'broker row')} have a likely conversion, but the two do not fit well enough to "
                f"count; about {likely:,.0f} of them belong together.",
                "Pass an id of the conversion to the broker, or review these pairs, the important ones first.",
                f"About {counted(max(round(customers), 1), 'important customer')} would be credited to the right page.",
                "The model's own estimate, which its test on moved times confirms.",
                (
                    Evidence("pairs in review", len(pairs),
                             "select count(*) from marts.fct_conversion_matches where tier = 'review'"),
                    Evidence("of them expected to be right", likely,
                             "select sum(match_probability) from marts.fct_conversion_matches where tier = 'review'"),
                ),
            ),
        )
    ]  # fmt: skip


_REVIEW = """select matches.match_probability, broker_rows.important_score
from marts.fct_conversion_matches as matches
join marts.fct_broker_rows as broker_rows using (broker_row_id)
where matches.tier = 'review'
order by matches.conversion_id, broker_row_id"""
