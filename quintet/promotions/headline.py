"""The line about promotions in the summary of a run."""

import duckdb

from quintet.presentation.wording import counted


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return users, codes, usages and decisions of the snapshot `marts`; "no data" without any.

    Needs `marts.dim_promo_code.source_rows`: the number of file rows merged into a code.
    """
    try:
        users, usages, codes, code_rows = marts.execute("""
            select
                (select count(*) from marts.fct_promo_users),
                (select count(*) from marts.fct_promo_usages),
                (select count(*) from marts.dim_promo_code),
                (select coalesce(sum(source_rows), 0) from marts.dim_promo_code)
        """).fetchall()[0]
        blocked, to_review, clusters = marts.execute("""
            select
                count(*) filter (decision = 'block'),
                count(*) filter (decision = 'review'),
                count(distinct cluster_id)
            from marts.fct_abuse_scores
        """).fetchall()[0]
        unknown_codes, unknown_users = marts.execute("""
            select count(*) filter (not is_code_known), count(*) filter (not is_user_known) from marts.fct_promo_usages
        """).fetchall()[0]
        worlds, (world, precision) = marts.execute("""
            select count(*), arg_min((world, average_precision), average_precision) from ml.abuse_worlds
        """).fetchall()[0]
        (model,) = marts.execute("select any_value(kind) from ml.abuse_model").fetchall()[0]
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if not (users or usages or codes):
        return "no data"
    unknown = [
        f"{count:,} of an unknown {name}" for count, name in ((unknown_codes, "code"), (unknown_users, "user")) if count
    ]
    of_unknown = f" ({', '.join(unknown)})" if unknown else ""
    return (
        f"{counted(users, 'user')}, {counted(codes, 'code')} (merged from {counted(code_rows, 'row')}), "
        f"{counted(usages, 'usage')}{of_unknown}; "
        f"{counted(blocked, 'user')} to block, {to_review:,} to review, {counted(clusters, 'cluster')} ({model} model; "
        f"worst of {counted(worlds, 'generated world')} without labels: {world}, average precision {precision:.2f})"
    )
