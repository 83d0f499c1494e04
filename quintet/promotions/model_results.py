"""Train and promote the abuse model, and write it with its card to the warehouse."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from quintet.ml.life_cycle import Candidate, promote
from quintet.ml.model_registry import ModelRegistry, ModelVersion, Verdict
from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EvidenceMatrix, Gathering, gather
from quintet.promotions.identity import KINDS, KeyRules, identity_key_table
from quintet.promotions.injected_rings import inject_rings
from quintet.promotions.model import SCORECARD, AbuseModel, scorecard
from quintet.promotions.model_card import (
    coefficients,
    figures,
    precision_recall,
    shared_key_share,
    stability,
    threshold_table,
)
from quintet.promotions.models import LABELLED, active_model
from quintet.promotions.policy import Policy
from quintet.promotions.result_tables import (
    MODEL_TABLES,
    TEXT,
    accounts_of_warehouse,
    arrow,
    model_of_snapshot,
    replace_table,
)
from quintet.promotions.training import Choice, Training, choose_model, settled_labels
from quintet.warehouse.connect import connect_closed
from quintet.warehouse.database import transaction

_THRESHOLD_STEPS = 100

_MOST_CURVE_POINTS = 400

_LABELS = """
    select user_id, is_abuser, null::timestamp as labelled_at from intermediate.int_promo_users_current
    where is_abuser is not null
    union all
    select user_id, is_abuser, labelled_at from ops.abuse_labels
"""


@dataclass(frozen=True)
class Trained:
    """The result of a run: the active model and its entry in the registry, the gate's verdict, and the training."""

    model: AbuseModel
    saved: ModelVersion
    verdict: Verdict
    choice: Choice


def train_model(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    policy: Policy,
    trained_at: dt.datetime,
    *,
    retrain: bool = False,
    gathering: Gathering = gather,
) -> Trained:
    """Train on the labels of the warehouse, activate the model that passes the gate, and write its card.

    connection: to the warehouse. trained_at: UTC without zone. retrain: whether a person asked for it; every run
    trains. gathering: where evidence is gathered. Raises RegistryError if the active model cannot be read.
    """
    accounts = accounts_of_warehouse(connection)
    ids = accounts.user_id.to_pylist()
    label, contradicting = settled_labels(connection.execute(_LABELS).df(), ids)
    rings = inject_rings(accounts)
    choice = choose_model(accounts, label, active_model(registry), rings=rings, policy=policy, gathering=gathering)
    is_labelled = np.isfinite(label)
    counts = {"accounts": len(accounts), LABELLED: int(is_labelled.sum())}
    reason = "asked for" if retrain else f"{counts[LABELLED]:,} labels"
    trained = _promoted(registry, choice, counts, reason, trained_at)
    model = trained.model
    matrix = gathering(accounts, model.population)
    score = model.scores(matrix.columns)
    before = _scores_before(connection, ids, policy)
    drift = stability(before.score, score) if before is not None else float("nan")
    training = pa.Table.from_pylist(
        [
            {
                "trained_at": trained_at,
                "model_version": model.version,
                "trained_version": choice.training.model.version if choice.training else None,
                "is_promoted": choice.training is not None and trained.verdict.passes,
                "why": trained.verdict.why,
                "accounts": len(accounts),
                "labelled_abusers": int((label[is_labelled] == 1).sum()),
                "labelled_honest": int((label[is_labelled] == 0).sum()),
                "contradicting_labels": len(contradicting),
                "shared_key_share": shared_key_share(matrix.columns),
                "version_before": before.version if before is not None else None,
                "score_psi": None if np.isnan(drift) else drift,
                "labels_of_people": _labels_of_people(connection),
                "decisions_changed": before.changed(policy.decisions(score)) if before is not None else None,
            }
        ],
        MODEL_TABLES["ml.abuse_trainings"],
    )
    frames = _figures_of_active(connection, registry, trained, label, score, matrix, policy)
    frames["ml.abuse_model_weights"] = coefficients(model)
    frames["ml.abuse_model"] = pd.DataFrame(
        [
            {
                "model_version": model.version,
                "kind": model.kind,
                "sha256": trained.saved.sha256,
                "trained_at": pd.Timestamp(trained.saved.trained_at),
                **asdict(policy),
                "content": model.to_json(),
            }
        ]
    )
    card = model if model.kind == SCORECARD else scorecard(model.population)
    frames["ml.abuse_model_rings"] = pd.concat(
        caught.assign(scores_of=name)
        for name, caught in rings.caught({"active": model, "scorecard": card}, policy).items()
    )
    frames["ml.abuse_model_groups"] = _groups(accounts, label, policy.decisions(score), model.population.key_rules)
    with transaction(connection):
        for table, frame in frames.items():
            replace_table(connection, table, arrow(frame, MODEL_TABLES[table]))
        _append(connection, "ml.abuse_trainings", training)
    return trained


def _promoted(
    registry: ModelRegistry, choice: Choice, counts: Mapping[str, int], reason: str, now: dt.datetime
) -> Trained:
    """Register the trained model with its verdict, and activate it, or the scorecard where no trained model is active.

    The scorecard needs no labels, so it does not go through the gate.
    """
    verdict = choice.verdict
    if choice.training is not None:
        new = choice.training.model
        candidate = Candidate(new.version, new.to_json(), counts)
        verdict = promote(registry, candidate, verdict, reason, now)
        if verdict.passes:
            return Trained(new, registry.active(), verdict, choice)
    stays, current = choice.stays, registry.current()
    if current is None or current.version != stays.version:
        registry.register(stays.version, stays.to_json(), now, verdict.why, counts)
    return Trained(stays, registry.active(), verdict, choice)


_FORMER_COLUMNS = {"learnt_version": "trained_version"}
"""Columns that an earlier release named otherwise."""


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.register("rows_of_table", rows)
    connection.execute(f"create table if not exists {table} as select * from rows_of_table limit 0").fetchall()
    columns = {name for name, *_ in connection.execute(f"describe {table}").fetchall()}
    for former, name in _FORMER_COLUMNS.items():
        if former in columns:
            connection.execute(f"alter table {table} rename column {former} to {name}")
            columns.add(name)
    for name, kind, *_ in connection.execute("describe rows_of_table").fetchall():
        if name not in columns:  # in a table of an earlier release
            connection.execute(f"alter table {table} add column {name} {kind}").fetchall()
    connection.execute(f"insert into {table} by name select * from rows_of_table").fetchall()
    connection.unregister("rows_of_table")


@dataclass(frozen=True)
class _Before:
    """The last scoring: its model's version and its scores.

    known: the places, among the accounts of now, of those that it scored. known_score: their scores then. policy:
    decides both then and now.
    """

    version: str
    score: np.ndarray
    known: np.ndarray
    known_score: np.ndarray
    policy: Policy

    def changed(self, decision: np.ndarray) -> int:
        """Return how many of the accounts that were scored before get another decision."""
        return int((self.policy.decisions(self.known_score) != decision[self.known]).sum())


def _scores_before(connection: duckdb.DuckDBPyConnection, user_ids: Sequence[str], policy: Policy) -> _Before | None:
    """Return the last scoring; None if nothing was scored yet."""
    try:
        before = connection.execute("select user_id, score, model_version from ml.abuse_scores").df()
    except duckdb.CatalogException:
        return None
    if before.empty:
        return None
    score = before["score"].to_numpy(dtype=float)
    place = pd.Index(user_ids).get_indexer(pd.Index(before["user_id"]))
    known = place >= 0
    return _Before(str(before["model_version"].iloc[0]), score, place[known], score[known], policy)


def _labels_of_people(connection: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = connection.execute("select count(distinct user_id) from ops.abuse_labels").fetchall()
    return int(count)


_OF_LABELS = ("ml.abuse_model_figures", "ml.abuse_model_thresholds", "ml.abuse_model_curve")


def _figures_of_active(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    trained: Trained,
    label: np.ndarray,
    score: np.ndarray,
    matrix: EvidenceMatrix,
    policy: Policy,
) -> dict[str, pd.DataFrame]:
    """Return the tables `_OF_LABELS` of the active model: as measured when it was trained, not those of a refused one.

    For a model of an earlier release, which the tables describe already, they stay.
    """
    training, version = trained.choice.training, trained.model.version
    if training is not None and trained.verdict.passes:
        frames = _measured(training, label, score, matrix, policy)
        card = {name: frame.astype(object).where(frame.notna(), None).to_dict("list") for name, frame in frames.items()}
        registry.attach(version, json.dumps(card, default=float))
        return frames
    if trained.model.kind == SCORECARD:  # it was not trained, so every label is unseen
        return _measured(None, label, score, matrix, policy)
    if (text := registry.attachment(version)) is not None:
        return {name: pd.DataFrame(columns) for name, columns in json.loads(text).items()}
    found = model_of_snapshot(connection)
    if found is not None and found[0].version == version:
        return {"ml.abuse_model_figures": connection.execute(_FORMER_FIGURES).df()}
    return {name: pd.DataFrame(columns=MODEL_TABLES[name].names) for name in _OF_LABELS}


_FORMER_FIGURES = """
    select * replace (case scores_of when 'in_force' then 'active' else scores_of end as scores_of)
    from ml.abuse_model_figures
"""
"""The figures in the table, which an earlier release labels otherwise."""


def _measured(
    training: Training | None,
    label: np.ndarray,
    score: np.ndarray,
    matrix: EvidenceMatrix,
    policy: Policy,
) -> dict[str, pd.DataFrame]:
    """Return the tables `_OF_LABELS`, without a row unless there are labels of both classes."""
    frames = {name: pd.DataFrame(columns=MODEL_TABLES[name].names) for name in _OF_LABELS}
    rows = np.flatnonzero(np.isfinite(label))
    is_abuser = label[rows].astype(bool)
    if not len(rows) or is_abuser.all() or not is_abuser.any():
        return frames
    # a new model's scores are of folds that exclude the account
    active = score[rows] if training is None else training.logistic
    compared = pd.DataFrame(list(_figure_rows(training, rows, is_abuser, active, matrix.component, policy)))
    curve = precision_recall(is_abuser, active)
    frames["ml.abuse_model_figures"] = compared
    frames["ml.abuse_model_thresholds"] = threshold_table(is_abuser, active, _THRESHOLD_STEPS)
    # Thin a curve of many points evenly, and keep its ends.
    shown = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MOST_CURVE_POINTS)).round().astype(int))
    frames["ml.abuse_model_curve"] = curve.iloc[shown]
    return frames


def _figure_rows(
    training: Training | None,
    rows: np.ndarray,
    is_abuser: np.ndarray,
    active: np.ndarray,
    cluster: np.ndarray,
    policy: Policy,
) -> Iterator[dict[str, object]]:
    """Yield the figures of the active model, and of those it was compared with."""
    compared = {"active": (rows, is_abuser, active)}
    if training is not None:
        compared |= {
            "scorecard": (training.rows, training.is_abuser, training.card),
            "logistic": (training.rows, training.is_abuser, training.logistic),
            "boosting": (training.rows, training.is_abuser, training.boosted),
        }
        if len(training.later_rows):
            later = np.isin(training.rows, training.later_rows)
            compared["logistic_on_later_sign_ups"] = (training.later_rows, training.is_abuser[later], training.later)
    for name, (of_rows, truth, scores) in compared.items():
        for measure, estimate in figures(truth, scores, cluster[of_rows], policy).items():
            yield {"scores_of": name, "measure": measure, "n": len(of_rows), **asdict(estimate)}


def _groups(accounts: Accounts, label: np.ndarray, decision: np.ndarray, rules: KeyRules) -> pd.DataFrame:
    """Return decisions on labelled accounts by how many share their address: honest people share one too."""
    keys = identity_key_table(accounts, rules)
    user_id = accounts.user_id
    judged = pa.table({"user_id": user_id, "label": pa.array(label), "decision": pa.array(decision.tolist(), TEXT)})
    with connect_closed(threads=2) as connection:
        connection.register("identity_key", keys)
        connection.register("judged", judged)
        return connection.execute(_BY_SHARING).df()


_MOST_OF_IP = next(kind.most_sharers for kind in KINDS if kind.name == "ip")

_BY_SHARING = f"""
    with on_address as (
        select user_id, count(*) over (partition by key) as sharers
        from (select distinct user_id, key from identity_key where kind = 'ip')
    ),

    sharing as (
        select
            judged.*,
            case
                when sharers is null then 'no public address known'
                when sharers = 1 then 'address of one account'
                when sharers <= 5 then 'address of 2 to 5 accounts, as in households'
                when sharers <= {_MOST_OF_IP} then 'address of 6 to {_MOST_OF_IP} accounts, as in offices'
                else 'address of more than {_MOST_OF_IP} accounts, as of carriers'
            end as sharing
        from judged
        left join on_address using (user_id)
    )

    select
        sharing,
        count(*) as accounts,
        count(*) filter (label = 0) as labelled_honest,
        count(*) filter (label = 0 and decision = 'block') as honest_blocked,
        count(*) filter (label = 1) as labelled_abusers,
        count(*) filter (label = 1 and decision = 'block') as abusers_blocked
    from sharing
    group by sharing
    order by sharing
"""
