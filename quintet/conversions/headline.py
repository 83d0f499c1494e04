"""The one sentence about conversions in the summary of a run."""

import duckdb

_CODES_NAMED = 2


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
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if not (conversions or rows):
        return "no data"
    share = f" ({matched / rows:.1%}, placebo at most {placebo:.2%})" if rows else ""
    return (
        f"{matched:,} of {rows:,} broker rows matched to {conversions:,} conversions{share}, "
        f"{review:,} pairs for review; {invalid_scores:,} invalid scores, {_unmapped(unmapped)}"
    )


def _unmapped(codes: list[tuple[str, int]]) -> str:
    """Return the most frequent codes with their conversions, and the number of other codes."""
    if not codes:
        return "every page code mapped"
    named = [f"{code} ({conversions:,})" for code, conversions in codes[:_CODES_NAMED]]
    others = codes[_CODES_NAMED:]
    if others:
        named.append(f"{len(others):,} others ({sum(conversions for _, conversions in others):,})")
    return f"unmapped page codes: {', '.join(named)}"
