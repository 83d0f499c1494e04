"""The published figures of the real promotions files, compared with plain SQL on the files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from quintet.promotions.overview import top_codes, top_users
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet


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
