"""The one sentence about conversions in the summary of a run."""

import duckdb

from quintet.presentation.wording import counted

_CODES_NAMED = 2
_PARTNERS_NAMED = 10


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return the matches and the faults of the files in the snapshot `marts`; "no data" where there is none."""
    try:
        conversions, rows, matched, review, invalid_scores = marts.execute("""
            select
                (select count(*) from marts.fct_conversions),
                (select count(*) from marts.fct_broker_rows),
                (select count(*) from marts.fct_conversion_matches where tier = 'matched'),
                (select count(*) from marts.fct_conversion_matches where tier = 'review'),
                (select count(important_score_missing_reason) from marts.fct_broker_rows)
        """).fetchall()[0]
        placebo = marts.execute("select max(false_match_rate) from ml.matching_placebo").fetchall()[0][0]
        # Codes are text from outside: a scanner's payload must not write to the terminal.
        unmapped = marts.execute(r"""
            select
                left(regexp_replace(coalesce(measurement_category, '(empty)'), '[^\x20-\x7e]', '?', 'g'), 60),
                conversions
            from marts.unmapped_page_categories
            order by conversions desc, measurement_category
        """).fetchall()
        partners = marts.execute(r"""
            select
                left(regexp_replace(partner, '[^\x20-\x7e]', '?', 'g'), 40),
                rows,
                first_arrived_at > min(first_arrived_at) over ()
                    and first_arrived_at >= (
                        select max("at")::date from marts.ops_batches where dataset = 'broker_rows'
                    ),
                left(regexp_replace(repeats_partner, '[^\x20-\x7e]', '?', 'g'), 40),
                repeated_rows
            from marts.dim_partner
            order by first_arrived_at, partner
        """).fetchall()
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if not (conversions or rows):
        return "no data"
    share = f" ({matched / rows:.1%}, placebo at most {placebo:.2%})" if rows else ""
    return (
        f"{matched:,} of {counted(rows, 'broker row')} matched to {counted(conversions, 'conversion')}{share}, "
        f"{counted(review, 'pair')} for review; {counted(invalid_scores, 'invalid score')}, "
        f"{_unmapped(unmapped)}{_partners(partners)}"
    )


def _partners(partners: list[tuple[str, int, bool, str | None, int]]) -> str:
    """Return the partners with their rows where there are several, the new ones and those that repeat another."""
    if len(partners) < 2:
        return ""
    named = []
    for partner, rows, is_new, repeats, repeated in partners[:_PARTNERS_NAMED]:
        remarks = [counted(rows, "row"), *(["new"] if is_new else [])]
        if repeats is not None:
            remarks.append(
                f"{repeated:,} of them are rows of {repeats}: counted once, as {repeats}; was a file copied?"
            )
        named.append(f"{partner} ({', '.join(remarks)})")
    others = len(partners) - _PARTNERS_NAMED
    more = f" and {counted(others, 'other')}" if others > 0 else ""
    return f"; partners: {', '.join(named)}{more}"


def _unmapped(codes: list[tuple[str, int]]) -> str:
    """Return the most frequent codes with their conversions, and the number of other codes."""
    if not codes:
        return "every page code mapped"
    named = [f"{code} ({conversions:,})" for code, conversions in codes[:_CODES_NAMED]]
    others = codes[_CODES_NAMED:]
    if others:
        named.append(f"{counted(len(others), 'other')} ({sum(conversions for _, conversions in others):,})")
    return f"unmapped page codes: {', '.join(named)}"
