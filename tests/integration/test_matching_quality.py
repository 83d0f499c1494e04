"""The share of links found, the calibration, and the handling of irregular input."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions.fit import MOST_FALSE_MATCHES, fit
from quintet.conversions.match import REASONS, match, placebo, write_reasons
from quintet.conversions.match_report import match_report
from quintet.conversions.matching_model import MatchingModel
from tests.integration.matching_worlds import DATA, START, make_world, minutes, open_world


def _run(conversions: pd.DataFrame, rows: pd.DataFrame) -> tuple[duckdb.DuckDBPyConnection, MatchingModel]:
    connection = open_world(conversions, rows)
    model = fit(connection, DATA)
    match(connection, DATA, model)
    write_reasons(connection, DATA, model)
    return connection, model


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    [(number,)] = connection.execute(f"select count(*) from {query}").fetchall()
    return number


def _figures(connection: duckdb.DuckDBPyConnection, rows: int) -> tuple[float, float]:
    """Return F1 against the truth in the row's id, and the mean calibration error by decile of the likely pairs."""
    matched = _count(connection, "matching.matches where tier = 'matched'")
    right = "split_part(broker_row_id, '-', 2)::bigint = conversion_id"
    found = _count(connection, f"matching.matches where tier = 'matched' and {right}")
    [(error,)] = connection.execute(
        f"""
        select sum(pairs * abs(mean - share)) / sum(pairs)
        from (
            select count(*) as pairs, avg(match_probability) as mean, avg(({right})::integer) as share
            from matching.match_pairs where countries_agree and match_probability > 0.2
            group by floor(match_probability * 10)
        )
        """
    ).fetchall()
    return 2 * found / (matched + rows), error


def test_lags_of_seconds_are_matched_nearly_all(random_seed):
    conversions, rows = make_world(4_000, 10, random_seed, offset_seconds=-18_000)
    connection, _ = _run(conversions, rows)
    assert _figures(connection, len(rows))[0] > 0.98


def test_lags_of_minutes_are_matched_better_than_by_the_last_conversion_and_as_well_as_expected(random_seed):
    conversions, rows = make_world(8_000, 30, random_seed, lags=minutes, offset_seconds=7_200)
    connection, model = _run(conversions, rows)
    f1, error = _figures(connection, len(rows))
    [(matched, right)] = connection.execute("""
        select count(*), count(*) filter (where split_part(broker_row_id, '-', 2)::bigint = conversion_id)
        from (
            from broker_rows asof join conversions
            on ip_iso2 = country_iso2 and broker_at - interval 2 hour >= created_at
            qualify row_number() over (partition by conversion_id order by broker_at, broker_row_id) = 1
        )
    """).fetchall()
    assert f1 > 2 * right / (matched + len(rows)) + 0.01
    assert error < 0.03
    summary = match_report(connection, model, placebo(connection, DATA, model, [5]))["summary"]
    assert summary.set_index("figure")["value"]["expected_f1"] == pytest.approx(f1, abs=0.03)


def test_partners_have_clocks_and_lags_of_their_own():
    parts = [
        make_world(3_000, 10, 1, offset_seconds=7_200),
        make_world(3_000, 10, 2, lags=minutes, partner="two", offset_seconds=-18_000),
    ]
    conversions, rows = (pd.concat(side) for side in zip(*parts, strict=True))
    connection, model = _run(conversions, rows)
    offsets = {name: [stretch.offset_seconds for stretch in each.clock] for name, each in model.partners.items()}
    assert offsets == {"one": [7_200], "two": [-18_000]}
    assert model.partners["one"].lag.horizon_seconds < 60 < model.partners["two"].lag.horizon_seconds
    ids = "conversion_id), count(distinct broker_row_id), count(*"
    [counts] = connection.execute(f"select count(distinct {ids}) from matching.matches").fetchall()
    assert len(set(counts)) == 1


def _world_of(change: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    conversions, rows = make_world(2_000, 10, 1)
    moment = pd.to_datetime(START, unit="s")
    late_by = pd.to_timedelta(np.random.default_rng(1).integers(1, 4, len(rows)), unit="D")
    return {
        "regular": lambda: (conversions, rows),
        "no conversion": lambda: (conversions[:0], rows),
        "no row": lambda: (conversions, rows[:0]),
        "nothing": lambda: (conversions[:0], rows[:0]),
        "one of each": lambda: (conversions[:1], rows[:1]),
        "one country": lambda: (conversions.assign(country_iso2="US"), rows.assign(ip_iso2="US")),
        "one second": lambda: (conversions.assign(created_at=moment), rows.assign(broker_at=moment)),
        "a lag of days": lambda: (conversions, rows.assign(broker_at=rows["broker_at"] + late_by)),
        "ids given twice": lambda: (pd.concat([conversions, conversions[:100].assign(country_iso2="BR")]), rows),
        "no country": lambda: (conversions.assign(country_iso2=None), rows.assign(ip_iso2=None)),
    }[change]()


@pytest.mark.parametrize(
    "change",
    [
        *("regular", "no conversion", "no row", "nothing", "one of each", "one country", "one second"),
        *("a lag of days", "ids given twice", "no country"),
    ],
)
def test_with_any_input_every_row_is_matched_once_or_has_a_reason(change):
    conversions, rows = _world_of(change)
    connection = duckdb.connect()
    connection.register("given_conversions", conversions)
    connection.register("given_rows", rows)
    connection.execute(
        "create table conversions as select conversion_id, country_iso2::varchar as country_iso2, created_at "
        "from given_conversions"
    )
    connection.execute(
        "create table broker_rows as select * replace (residency_iso2::varchar as residency_iso2, "
        "ip_iso2::varchar as ip_iso2) from given_rows"
    )
    model = fit(connection, DATA)
    match(connection, DATA, model)
    write_reasons(connection, DATA, model)
    matched = _count(connection, "matching.matches where tier = 'matched'")
    assert _count(connection, "matching.unmatched_conversions") + matched == conversions["conversion_id"].nunique()
    assert _count(connection, "matching.unmatched_broker_rows") + matched == len(rows)
    assert _count(connection, "matching.matches where lag_seconds < 0") == 0
    for table in ("conversions", "broker_rows"):
        reasons = connection.execute(f"select distinct reason from matching.unmatched_{table}").fetchall()
        assert {reason for (reason,) in reasons} <= REASONS.keys()
    if change in ("no conversion", "no row", "nothing", "one second", "a lag of days", "no country"):
        assert matched <= 0.02 * len(conversions)
    else:
        assert matched >= 0.9 * len(rows)


def test_a_country_without_conversions_and_a_partner_without_a_model_are_reasons():
    conversions, rows = make_world(2_000, 10, 1)
    connection, model = _run(conversions, rows)
    connection.execute("insert into broker_rows select 'me', 'one', min(broker_at), null, 'ME' from broker_rows")
    connection.execute("insert into broker_rows select 'new', 'two', min(broker_at), null, 'US' from broker_rows")
    match(connection, DATA, model)
    write_reasons(connection, DATA, model)
    reasons = connection.execute(
        "select reason from matching.unmatched_broker_rows where broker_row_id in ('me', 'new') order by broker_row_id"
    ).fetchall()
    assert reasons == [("country_never_seen",), ("partner_not_learned",)]


def test_another_country_within_seconds_is_in_review():
    conversions, rows = make_world(2_000, 10, 1)
    abroad = rows.index[::50]
    rows.loc[abroad, "ip_iso2"] = np.where(rows.loc[abroad, "ip_iso2"] == "US", "DE", "US")
    connection, _ = _run(conversions, rows)
    ids = ", ".join(f"'{name}'" for name in rows.loc[abroad, "broker_row_id"])
    assert _count(connection, f"matching.matches where tier = 'review' and broker_row_id in ({ids})") > 0.7 * len(
        abroad
    )


@pytest.mark.real_data
def test_the_real_files_match_as_expected(real):
    connection = duckdb.connect()
    connection.execute(f"attach '{real.snapshot}' as snapshot (read_only)")
    connection.execute(
        "create table conversions as select conversion_id, country_iso2, created_at from snapshot.marts.fct_conversions"
    )
    connection.execute(
        "create table broker_rows as select broker_row_id, broker_source_file as partner, broker_at, "
        "residency_iso2, ip_iso2 from snapshot.marts.fct_broker_rows"
    )
    model = fit(connection, DATA)
    match(connection, DATA, model)
    [(matched, rows, ids, least)] = connection.execute(
        "select count(*), count(distinct broker_row_id), count(distinct conversion_id), min(lag_seconds) "
        "from matching.matches where tier = 'matched'"
    ).fetchall()
    assert matched == rows == ids
    assert matched >= 0.94 * 61_840
    assert least >= 0
    assert placebo(connection, DATA, model)["false_match_rate"].max() <= MOST_FALSE_MATCHES
