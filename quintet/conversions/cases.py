"""Cases of conversions: likely pairs to confirm or refuse, and a random sample of matches each week."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from quintet.cases.kind import SAMPLE, CaseKind, Option, Sources, Subject
from quintet.conversions.settings import ConversionsSettings
from quintet.conversions.verdicts import (
    LARGEST_SAMPLE_SHARE,
    LINK,
    NO_LINK,
    act,
    pair_of,
    second_look_of,
    subject_of,
)

_BY_MACHINE = """
    tier = 'matched' and not exists (
        from marts.ops_verdicts
        where kind = 'pair' and subject_id = conversion_id || ' ' || fct_conversion_matches.broker_row_id
    )
"""
_CONTRADICTED = f"""
    select subject_id, decided_by, score, group_id, share from marts.ops_verdicts
    where domain = 'conversions' and kind = 'pair' and origin = 'sample' and is_last and verdict = '{NO_LINK}'
        and not ends_with(subject_id, '{second_look_of("")}')
    order by subject_id
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
    found += _second_looks(marts, value)
    week = f"sample {sources.now:%G-W%V}"
    if own.match_sample == 0 or sources.has_case(week):
        return found
    ((matches,),) = marts.execute(f"select count(*) from marts.fct_conversion_matches where {_BY_MACHINE}").fetchall()
    drawn = marts.execute(
        f"select {_PAIR} from marts.fct_conversion_matches where {_BY_MACHINE} "
        "order by md5(conversion_id || ' ' || broker_row_id || $week) limit $most",
        {"week": week, "most": own.match_sample},
    ).fetchall()
    share = min(len(drawn) / matches, LARGEST_SAMPLE_SHARE) if matches else LARGEST_SAMPLE_SHARE
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


def _second_looks(marts: duckdb.DuckDBPyConnection, value: float) -> list[Subject]:
    """Return the sampled matches that one person judged not the same, for another person.

    Nearly all matches are right, so that most of the verdicts against them are slips: without a second look, one slip
    in 20 makes the measured precision five points too low. They have no score: the first verdict selects them, so that
    a drift of verdicts that counted the second one too would be found where the scores are right.
    """
    rows = marts.execute(_CONTRADICTED).fetchall()
    return [
        Subject(
            second_look_of(subject_id),
            f"Conversion {pair_of(subject_id)[0]} and a broker row, a second look",
            f"{by} judged this sampled match not the same, though its probability was {likely:.0%}. Let somebody else "
            "judge it: this verdict counts.",
            value,
            group_id=group_id,
            origin=SAMPLE,
            share=share,
        )
        for subject_id, by, likely, group_id, share in rows
    ]


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
    exists=(
        "select conversion_id || ' ' || broker_row_id from marts.fct_conversion_matches union all "
        f"select subject_id || '{second_look_of('')}' from marts.ops_verdicts where domain = 'conversions'"
    ),
    act=act,
    truth={LINK: True, NO_LINK: False},
    table="pair_verdicts",
    evidence="quintet.web.cases.conversions",
    page="/conversions",
)
