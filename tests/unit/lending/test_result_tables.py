"""The tables of the model card: complete, typed, and equal to an independent computation."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from quintet.lending.feature_registry import features
from quintet.lending.model_card import age_band, input_stability
from quintet.lending.models import Promotion, registry_of
from quintet.lending.policy import read_policy
from quintet.lending.result_tables import MODEL_TABLES, write_model_results
from quintet.lending.scoring import REASONS
from quintet.lending.tables import training_rows, write_training_set
from quintet.lending.what_if import score_applications
from tests.unit.lending.training import make_training_set

Run = tuple[duckdb.DuckDBPyConnection, Promotion]


def test_every_table_is_filled_with_its_columns_and_types(run: Run) -> None:
    for table, kinds in MODEL_TABLES.items():
        described = run[0].execute(f"describe {table}").fetchall()
        assert {name: kind.lower() for name, kind, *_ in described} == dict(kinds)
        assert run[0].execute(f"select count(*) from {table}").fetchall()[0][0] > 0, table


def test_the_figures_equal_an_independent_computation(run: Run) -> None:
    trained = run[1].trained
    assert trained is not None
    aucs = run[0].execute("select scores_of, value, low, high from ml.lending_model_figures where measure = 'auc'")
    for kind, value, low, high in aucs.fetchall():
        assert value == pytest.approx(roc_auc_score(trained.tested["is_default"], trained.tested[kind]))
        assert low < value < high


def test_the_points_of_every_application_add_up_from_the_bins(run: Run) -> None:
    added = (
        run[0]
        .execute("""
        with bins as (select * from ml.lending_model_points where input <> 'base'),
        awarded as (
            unpivot (select application_id, coalesce(amount, -1) as amount, duration_days,
                coalesce(late_payments_share, -1) as late_payments_share,
                coalesce(days_since_first_loan, -1) as days_since_first_loan,
                coalesce(days_since_last_late_payment, -1) as days_since_last_late_payment,
                paid_loans_count from ml.lending_training_set)
            on columns(* exclude application_id) into name input value value
        )
        select count(*), count(*) filter (
            scores.points = (select points from ml.lending_model_points where input = 'base') + added.points
        )
        from (
            select application_id, sum(points) as points
            from awarded join bins on bins.input = awarded.input and (
                (bins.is_null and value = -1) or (not bins.is_null and value <> -1
                and value >= coalesce(lower, -1e18) and value < coalesce(upper, 1e18)))
            group by application_id
        ) as added
        join ml.lending_scores as scores using (application_id)
    """)
        .fetchall()
    )
    assert added == [(2_500, 2_500)]


def test_reasons_are_codes_with_a_sentence_and_rejections_have_one(run: Run) -> None:
    codes = run[0].execute("select distinct unnest(reasons) from ml.lending_scores").fetchall()
    assert {code for (code,) in codes} <= set(REASONS)
    bare = run[0].execute(
        "select count(*) from ml.lending_scores where decision <> 'approve' and len(decision_reasons) = 0"
    )
    assert bare.fetchall() == [(0,)]


def test_age_bands_cover_all_applications_and_the_highest_share_has_the_ratio_one(run: Run) -> None:
    bands = run[0].execute("from ml.lending_model_fairness").df()
    assert bands["applications"].sum() == 2_500
    assert bands["approval_ratio"].max() == 1
    assert (bands["approvals"] + bands["referrals"] + bands["rejections"] == bands["applications"]).all()


def test_an_age_on_the_edge_is_of_the_older_band_and_none_is_unknown() -> None:
    ages = pd.Series([18.0, 24.99, 25.0, 61.99, 62.0, np.nan])
    expected = ["below 25", "below 25", "25 to 34", "50 to 61", "62 and above", "unknown"]
    assert age_band(ages).tolist() == expected


def test_a_shift_of_an_input_shows_in_its_stability_and_in_no_other(run: Run, training_set: pd.DataFrame) -> None:
    model, trained = run[1].model, run[1].trained
    assert model is not None
    assert trained is not None
    is_late = pd.to_datetime(training_set["applied_on"]) > pd.Timestamp(trained.split_day)
    shifted = training_set.assign(amount=np.where(is_late, training_set["amount"] * 3, training_set["amount"]))
    before, after = (
        input_stability(model, rows, score_applications(rows, model, read_policy()), trained.split_day)
        .set_index("input")["psi"]
        .to_dict()
        for rows in (training_set, shifted)
    )
    assert before["amount"] < 0.1
    assert after["amount"] > 0.25
    assert after["default_probability"] > before["default_probability"]
    assert after["duration_days"] == before["duration_days"]


def test_without_applications_all_tables_are_there_and_empty(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema ml")
        write_training_set(connection, training_rows(tmp_path / "nothing", features()), features())
        promotion = write_model_results(connection, registry_of(tmp_path), read_policy(), dt.datetime(2020, 1, 1))
        assert promotion.why == "no loan has ended yet"
        for table, kinds in MODEL_TABLES.items():
            frame = connection.execute(f"from {table}").df()
            assert len(frame) == (table == "ml.lending_model_training")
            assert list(frame.columns) == list(kinds)
        assert connection.execute("select model_version, why from ml.lending_model_training").fetchall() == [
            (None, "no loan has ended yet")
        ]
    assert not registry_of(tmp_path).folder.exists()


def test_without_a_model_the_policy_decides_the_open_applications_and_the_reason_is_kept(tmp_path: Path) -> None:
    rows = make_training_set(60)
    with duckdb.connect() as connection:
        connection.execute("create schema ml")
        write_training_set(connection, rows, features())
        promotion = write_model_results(connection, registry_of(tmp_path), read_policy(), dt.datetime(2020, 1, 1))
        assert promotion.model is None
        decided = connection.execute(
            "select application_id, decision, default_probability, model_version from ml.lending_scores order by all"
        ).fetchall()
        ((why,),) = connection.execute("select why from ml.lending_model_training").fetchall()
    assert [row[0] for row in decided] == rows.loc[rows["is_open"], "application_id"].tolist()
    assert {row[2:] for row in decided} == {(None, None)}
    assert {row[1] for row in decided} <= {"approve", "refer", "reject"}
    assert "refer" in {row[1] for row in decided}
    assert "training needs" in why


def test_the_card_is_that_of_the_active_model_and_not_of_a_refused_one(tmp_path: Path) -> None:
    registry, policy = registry_of(tmp_path), read_policy(Path("policy/lending.toml"))
    rows, more = make_training_set(2_500), make_training_set(3_000)
    noise = more["outcome"].sample(frac=1.0, random_state=1).to_numpy()  # outcomes of other loans
    ended_on = pd.to_datetime(more["applied_on"]) + pd.Timedelta(days=30)
    worse = more.assign(outcome=noise, outcome_on=ended_on.where(pd.notna(noise), None))
    cards = ("figures", "calibration", "points")
    facts = "select model_version, chosen, split_day, ended_loans, tested_loans from ml.lending_model_training"

    with duckdb.connect() as connection:
        connection.execute("create schema ml")

        def publish(applications: pd.DataFrame) -> list[list[tuple[object, ...]]]:
            write_training_set(connection, applications, features())
            write_model_results(connection, registry, policy, dt.datetime(2026, 1, 1))
            queries = [facts, *(f"from ml.lending_model_{name} order by all" for name in cards)]
            return [connection.execute(query).fetchall() for query in queries]

        first = publish(rows)
        assert all(first)
        assert publish(worse) == first, "a refused model leaves the card as it is"
        next(registry.folder.glob("*.attachment.json")).unlink()
        assert publish(worse)[1:] == [[], [], []], "a model of an earlier release has no card"
