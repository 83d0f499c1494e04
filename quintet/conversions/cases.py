"""Cases of conversions: likely pairs to confirm or refuse, and a random sample of matches each week."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from quintet.cases.kind import SAMPLE, CaseKind, Option, Sources, Subject
from quintet.conversions.settings import ConversionsSettings
from quintet.conversions.verdicts import LINK, NO_LINK, act, subject_of

_BY_MACHINE = """
    tier = 'matched' and not exists (
        from marts.ops_verdicts
        where kind = 'pair' and subject_id = conversion_id || ' ' || fct_conversion_matches.broker_row_id
    )
"""
_PAIR = "conversion_id, broker_row_id, partner, lag_seconds, match_probability"


def in_build(marts: duckdb.DuckDBPyConnection, sources: Sources) -> Sequence[Subject]:
    """Return the pairs in review, and this week's random sample of matches unless it is drawn already."""
    own = sources.settings.of(ConversionsSettings)
    value = own.conversion_value
    found = [
        Subject(
            subject_of(conversion, row),
            f"Conversion {conversion} and a row of {partner}, {lag:,} s later",
            f"Their probability to be a link is {likely:.0%}, which is not certain enough.",
            round(value * min(likely, 1 - likely), 2),
            likely,
        )
        for conversion, row, partner, lag, likely in marts.execute(
            f"select {_PAIR} from marts.fct_conversion_matches where tier = 'review' order by conversion_id"
        ).fetchall()
    ]
    week = f"sample {sources.now:%G-W%V}"
    if own.match_sample == 0 or sources.has_case(week):
        return found
    ((matches,),) = marts.execute(f"select count(*) from marts.fct_conversion_matches where {_BY_MACHINE}").fetchall()
    drawn = marts.execute(
        f"select {_PAIR} from marts.fct_conversion_matches where {_BY_MACHINE} "
        "order by md5(conversion_id || ' ' || broker_row_id || $week) limit $most",
        {"week": week, "most": own.match_sample},
    ).fetchall()
    share = len(drawn) / matches if matches else 1.0
    found += [
        Subject(
            subject_of(conversion, row),
            f"Conversion {conversion} and a row of {partner}, {lag:,} s later",
            f"Drawn at random from {matches:,} matches, to measure how many are right; probability {likely:.0%}.",
            value,  # before those in review: without an answer to each, the figure is not unbiased
            likely,
            week,
            origin=SAMPLE,
            share=share,
        )
        for conversion, row, partner, lag, likely in drawn
    ]
    return found


PAIR = CaseKind(
    domain="conversions",
    name="pair",
    what="pair",
    group_what="pairs of this sample",
    options=(
        Option(LINK, "Same person", "The next matching links the two, whatever their probability.", "a"),
        Option(NO_LINK, "Not the same", "The next matching never links the two.", "r"),
    ),
    in_build=in_build,
    exists="select conversion_id || ' ' || broker_row_id from marts.fct_conversion_matches",
    act=act,
    table="pair_verdicts",
    evidence="quintet.web.cases.conversions",
    page="/conversions",
)
