"""Write the scoring model's results to the warehouse: model card, every application's score, and the what-if."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import duckdb
import pandas as pd

from quintet.lending.model_card import (
    calibration,
    distribution,
    fairness,
    figures,
    input_stability,
    points_per_bin,
)
from quintet.lending.model_training import Trained
from quintet.lending.models import Promotion, state_of, train_and_promote
from quintet.lending.performance import PERFORMANCE_COLUMNS, performance
from quintet.lending.policy import Policy
from quintet.lending.scoring import ScoringModel
from quintet.lending.tables import TRAINING_SET
from quintet.lending.what_if import cut_off_table, score_applications
from quintet.ml.model_registry import ModelRegistry
from quintet.warehouse.database import transaction

_BOOK = {
    "amount": "double",
    "expected_loss": "double",
    "expected_loss_share": "double",
    "known_outcomes": "bigint",
    "defaults": "bigint",
    "default_share": "double",
    "default_share_low": "double",
    "default_share_high": "double",
}

MODEL_TABLES: Mapping[str, Mapping[str, str]] = {
    "ml.lending_models": {
        "version": "varchar",
        "state": "varchar",
        "trained_at": "timestamp",
        "why": "varchar",
        "sha256": "varchar",
        "ended_loans": "bigint",
    },
    "ml.lending_model_training": {
        "trained_at": "timestamp",
        "model_version": "varchar",
        "chosen": "varchar",
        "why": "varchar",
        "split_day": "date",
        "ended_loans": "bigint",
        "early_loans": "bigint",
        "tested_loans": "bigint",
        "policy_version": "varchar",
    },
    "ml.lending_model_figures": {
        "scores_of": "varchar",
        "measure": "varchar",
        "value": "double",
        "low": "double",
        "high": "double",
        "n": "bigint",
    },
    "ml.lending_model_calibration": {
        "scores_of": "varchar",
        "bin": "bigint",
        "loans": "bigint",
        "mean_probability": "double",
        "defaults": "bigint",
        "default_share": "double",
        "low": "double",
        "high": "double",
    },
    "ml.lending_model_points": {
        "input": "varchar",
        "bin": "bigint",
        "lower": "double",
        "upper": "double",
        "is_null": "boolean",
        "points": "bigint",
        "loans": "bigint",
        "default_share": "double",
        "reason": "varchar",
    },
    "ml.lending_model_fairness": {
        "age_band": "varchar",
        "applications": "bigint",
        "approvals": "bigint",
        "referrals": "bigint",
        "rejections": "bigint",
        "approval_share": "double",
        "approval_ratio": "double",
        "loans": "bigint",
        "default_share": "double",
        "mean_probability": "double",
        "auc": "double",
        "auc_low": "double",
        "auc_high": "double",
    },
    "ml.lending_model_stability": {
        "input": "varchar",
        "psi": "double",
        "null_before": "double",
        "null_after": "double",
    },
    "ml.lending_model_performance": PERFORMANCE_COLUMNS,
    "ml.lending_model_distribution": {
        "points": "bigint",
        "decision": "varchar",
        "outcome": "varchar",
        "applications": "bigint",
    },
    "ml.lending_scores": {
        "application_id": "bigint",
        "client_id": "bigint",
        "applied_on": "date",
        "amount": "double",
        "outcome": "varchar",
        "is_open": "boolean",
        "default_probability": "double",
        "points": "bigint",
        "reasons": "varchar[]",
        "decision": "varchar",
        "decision_reasons": "varchar[]",
        "by_rules": "varchar",
        "is_scored": "boolean",
        "model_version": "varchar",
        "policy_version": "varchar",
    },
    "ml.lending_what_if": {
        "approve_below": "double",
        "reject_from": "double",
        "is_active": "boolean",
        "applications": "bigint",
        "approvals": "bigint",
        "referrals": "bigint",
        "rejections": "bigint",
        "approval_share": "double",
        **_BOOK,
        "swapped_in_applications": "bigint",
        "swapped_in_known_outcomes": "bigint",
        "swapped_in_default_share": "double",
        "swapped_out_applications": "bigint",
        "swapped_out_known_outcomes": "bigint",
        "swapped_out_default_share": "double",
    },
}
"""The tables that a run replaces, with the types of their columns. Without a model, `lending_model_training` says why,
`lending_scores` has the open applications, decided by the policy alone, and the others are empty."""


def write_model_results(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    policy: Policy,
    now: dt.datetime,
    *,
    retrain: bool = False,
) -> Promotion:
    """Train a model, activate it if it passes the gate, score every application with the active one, write all tables.

    connection: to the warehouse. now: UTC without zone. retrain: train a new version even if few loans are new. Raises
    LeakError if an input depends on the outcome.
    """
    training_set = connection.execute(f"from {TRAINING_SET} order by application_id").df()
    promotion = train_and_promote(registry, training_set, now, retrain=retrain)
    frames, training = {"ml.lending_models": state_of(registry)}, _NO_TRAINING
    version = None if promotion.model is None else promotion.model.version
    decided = training_set if promotion.model is not None else training_set[training_set["is_open"].astype(bool)]
    scored = score_applications(decided, promotion.model, policy)
    frames["ml.lending_scores"] = scored.assign(model_version=version, policy_version=policy.version)
    if promotion.model is not None:
        frames["ml.lending_what_if"] = cut_off_table(scored, policy)
        frames["ml.lending_model_distribution"] = distribution(scored)
        training, card = _card_of(registry, promotion.model, promotion.trained, training_set, scored)
        issued = scored[training_set["is_issued"].astype(bool)]
        split_day = None if training["split_day"] is None else dt.date.fromisoformat(str(training["split_day"]))
        frames |= card | {"ml.lending_model_performance": performance(issued, split_day)}
    row = {"trained_at": now, "model_version": version, "why": promotion.why, "policy_version": policy.version}
    frames["ml.lending_model_training"] = pd.DataFrame([{**row, **training}])
    with transaction(connection):
        for table, kinds in MODEL_TABLES.items():
            _write(connection, table, frames.get(table, pd.DataFrame(columns=list(kinds))), kinds)
    return promotion


_NO_TRAINING: Mapping[str, Any] = MappingProxyType(
    dict.fromkeys(("chosen", "split_day", "ended_loans", "early_loans", "tested_loans"))
)


def _card_of(
    registry: ModelRegistry,
    active: ScoringModel,
    trained: Trained | None,
    training_set: pd.DataFrame,
    scored: pd.DataFrame,
) -> tuple[Mapping[str, Any], dict[str, pd.DataFrame]]:
    """The training of the active model, and its card: as measured when it was trained, not that of a refused one.

    Without a card, as for a model of an earlier release, both are empty.
    """
    if trained is not None and trained.model.version == active.version:
        training, card = _training(trained), _measured(trained, scored)
        tables = {table: _without_nan(frame).to_dict("list") for table, frame in card.items()}
        registry.attach(active.version, json.dumps({"training": training, "tables": tables}, default=str))
    elif (text := registry.attachment(active.version)) is not None:
        kept = json.loads(text)
        training = kept["training"]
        card = {table: pd.DataFrame(columns) for table, columns in kept["tables"].items()}
    else:
        return _NO_TRAINING, {}
    split_day = dt.date.fromisoformat(str(training["split_day"]))
    return training, card | {"ml.lending_model_stability": input_stability(active, training_set, scored, split_day)}


def _training(trained: Trained) -> dict[str, Any]:
    return {
        "chosen": trained.chosen,
        "split_day": trained.split_day,
        "ended_loans": len(trained.ended),
        "early_loans": len(trained.early),
        "tested_loans": len(trained.tested),
    }


def _measured(trained: Trained, scored: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        "ml.lending_model_figures": figures(trained),
        "ml.lending_model_calibration": calibration(trained),
        "ml.lending_model_points": points_per_bin(trained),
        "ml.lending_model_fairness": fairness(trained, scored),
    }


def _without_nan(frame: pd.DataFrame) -> pd.DataFrame:
    plain = frame.astype("object")
    return plain.where(plain.notna(), None)


def _write(connection: duckdb.DuckDBPyConnection, table: str, rows: pd.DataFrame, kinds: Mapping[str, str]) -> None:
    columns = ", ".join(f"{name}::{kind} as {name}" for name, kind in kinds.items())
    connection.register("lending_results", _without_nan(rows[list(kinds)]))
    connection.execute(f"create or replace table {table} as select {columns} from lending_results").fetchall()
    connection.unregister("lending_results")
