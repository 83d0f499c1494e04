"""The published figures of the real promotions files, compared with plain SQL on the files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from scipy import stats

from quintet.promotions.overview import top_codes, top_users
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.statements import missing


@pytest.mark.real_data
def test_the_top_users_and_codes_are_those_of_the_files(real: Quintet, real_data: Path) -> None:
    (file,) = (real_data / "promo_usages").glob("*.csv")
    source = f"read_csv('{file}', all_varchar = true)"
    with open_snapshot(real.snapshot) as snapshot:
        codes, users = top_codes(snapshot), top_users(snapshot)
    expected = duckdb.sql(
        f"select promo_code, count(*) as uses from {source} group by 1 order by 2 desc, 1 limit 10"
    ).fetchall()
    most, tied = duckdb.sql(
        f"select max(uses), count(*) from (select count(*) as uses from {source} group by user_id)"
    ).fetchall()[0]

    assert list(codes.rows[["promo_code", "uses"]].itertuples(index=False, name=None)) == expected
    assert expected[0] == ("7618", 36)
    assert (set(users.rows["uses"]), users.tied) == ({most}, tied)


@pytest.mark.real_data
def test_two_thirds_of_the_real_abusers_are_blocked_and_no_others(real: Quintet) -> None:
    with open_snapshot(real.snapshot) as snapshot:
        ((blocked, honest_blocked, abusers, scored),) = snapshot.execute(
            "select count(*) filter (decision = 'block' and is_abuser), "
            "count(*) filter (decision = 'block' and not is_abuser), count(*) filter (is_abuser), count(score) "
            "from marts.fct_promo_users left join marts.fct_abuse_scores using (user_id)"
        ).fetchall()
        worth = dict(
            snapshot.execute("select measure, value from ml.abuse_model_figures where scores_of = 'active'").fetchall()
        )

    assert honest_blocked == 0
    assert blocked / abusers >= 0.66
    assert scored == 8_998
    assert worth["average_precision"] >= 0.67


_PAGE = Path(__file__).parents[2] / "docs" / "promotions.md"


def stated(snapshot: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the statements of the page on the real files, with the figures of a snapshot."""

    def row(query: str) -> tuple[float, ...]:
        ((*values,),) = snapshot.execute(query).fetchall()
        return tuple(values)

    scored = "(select * from marts.fct_abuse_scores join marts.fct_promo_users using (user_id))"
    neither = "not is_email_verified and not is_phone_verified"
    blocked, abusers = row(
        f"select count(*) filter (decision = 'block' and is_abuser), count(*) filter (is_abuser) from {scored}"
    )
    missed, unlinked, missed_neither, honest, honest_neither = row(
        f"select count(*) filter (is_abuser), count(*) filter (is_abuser and len(reasons) = 0), "
        f"count(*) filter (is_abuser and {neither}), count(*) filter (not is_abuser), "
        f"count(*) filter (not is_abuser and {neither}) from {scored} where decision = 'allow'"
    )
    p_value = stats.fisher_exact(
        [[missed_neither, missed - missed_neither], [honest_neither, honest - honest_neither]]
    ).pvalue
    reasons = dict(
        snapshot.execute(
            f"select reason, count(*) from (select unnest(reasons) as reason from {scored} where is_abuser) group by 1"
        ).fetchall()
    )
    figure = dict(
        snapshot.execute(
            "select scores_of, value from ml.abuse_model_figures where measure = 'average_precision'"
        ).fetchall()
    )
    ((low, high),) = snapshot.execute(
        "select low, high from ml.abuse_model_figures where measure = 'average_precision' and scores_of = 'active'"
    ).fetchall()
    in_clusters, blocked_in_clusters, pairs = row(
        f"select count(*), count(*) filter (decision = 'block'), (select count(*) from marts.fct_abuse_links) "
        f"from {scored} where cluster_size > 1"
    )
    (sharing,) = row("select last(shared_key_share order by trained_at) from ml.abuse_trainings")
    codes, code_rows = row("select count(*), sum(source_rows) from marts.dim_promo_code where source_rows > 1")
    uses, added = row(
        "select count(*), sum(source_rows - 1) from marts.fct_promo_usages "
        "join marts.dim_promo_code using (promo_code) where source_rows > 1"
    )
    assert blocked_in_clusters == 4
    return [
        f"{blocked} of the {abusers} abusers are blocked, and no honest user is",
        f"recall {blocked / abusers:.0%}. Average precision is {figure['active']:.2f} ({low:.2f} to {high:.2f} in 95%",
        f"{figure['logistic_on_later_sign_ups']:.2f} for the regression on later sign-ups",
        f"{figure['scorecard']:.2f} for the scorecard and {figure['boosting']:.2f} for gradient boosting",
        f"Of the other {missed}, {missed - unlinked} share something with another account",
        f"{missed_neither} of them verified neither e-mail nor phone",
        f"against {honest_neither / honest:.0%} of the honest (Fisher's exact test: p = {p_value:.0e})".replace(
            "e-0", "e-"
        ),
        f"phones in unusual formats ({reasons['PHONE_MALFORMED']} users)",
        f"codes used within 60 days of the sign-up ({reasons['ACCOUNT_AGE_LT_60D']})",
        f"names in odd capitals ({reasons['NAME_CASE_ODD']}), ages ({reasons['AGE_IMPLAUSIBLE']}) and e-mail domains "
        f"({reasons['EMAIL_DOMAIN_RARE']})",
        f"{sharing:.0%} of the accounts have some key in common",
        f"{in_clusters} accounts share enough to form {pairs} pairs. Four of these accounts are blocked",
        f"{codes} codes are in the codes file more than once, on {code_rows} rows. {uses} of the 8,990 uses",
        f"would add {added} rows",
    ]


@pytest.mark.real_data
def test_the_page_states_the_figures_of_the_run(real: Quintet) -> None:
    with open_snapshot(real.snapshot) as snapshot:
        assert missing(stated(snapshot), _PAGE.read_text("utf-8")) == []


def test_a_figure_that_the_run_does_not_have_is_found() -> None:
    page = "140 of the 196 abusers\nare blocked. The other 56 look honest."
    assert missing(["140 of the 196 abusers are blocked", "33 of them verified neither"], page) == [
        "33 of them verified neither"
    ]
