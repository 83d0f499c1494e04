"""Write the active abuse model with its card, and the score of every account, to the warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from quintet.ml.model_registry import ModelRegistry, ModelVersion
from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import EVIDENCE, EvidenceMatrix, gather
from quintet.promotions.identity import KINDS, KeyRules, identity_key_table
from quintet.promotions.model import AbuseModel
from quintet.promotions.model_card import (
    coefficients,
    figures,
    precision_recall,
    shared_key_share,
    stability,
    threshold_table,
)
from quintet.promotions.models import active_model
from quintet.promotions.policy import Policy
from quintet.promotions.score import Scored, scored
from quintet.promotions.training import Choice, choose_model, settled_labels
from quintet.warehouse.database import transaction

_TEXT, _REAL, _WHOLE, _YES_NO = pa.string(), pa.float64(), pa.int64(), pa.bool_()

MODEL_TABLES: Mapping[str, pa.Schema] = {
    "ml.abuse_model": pa.schema(
        [
            *(("model_version", _TEXT), ("kind", _TEXT), ("sha256", _TEXT), ("trained_at", pa.timestamp("us"))),
            *(("review_from", _REAL), ("block_from", _REAL), ("reason_from", _REAL), ("content", _TEXT)),
        ]
    ),
    "ml.abuse_trainings": pa.schema(
        [
            *(("trained_at", pa.timestamp("us")), ("model_version", _TEXT), ("learnt_version", _TEXT)),
            *(("is_promoted", _YES_NO), ("why", _TEXT), ("accounts", _WHOLE), ("labelled_abusers", _WHOLE)),
            *(("labelled_honest", _WHOLE), ("contradicting_labels", _WHOLE), ("shared_key_share", _REAL)),
            *(("version_before", _TEXT), ("score_psi", _REAL)),
        ]
    ),
    "ml.abuse_model_figures": pa.schema(
        [("scores_of", _TEXT), ("measure", _TEXT), ("value", _REAL), ("low", _REAL), ("high", _REAL), ("n", _WHOLE)]
    ),
    "ml.abuse_model_thresholds": pa.schema(
        [("threshold", _REAL), ("flagged", _WHOLE), ("abusers", _WHOLE), ("precision", _REAL), ("recall", _REAL)]
    ),
    "ml.abuse_model_curve": pa.schema([("threshold", _REAL), ("precision", _REAL), ("recall", _REAL)]),
    "ml.abuse_model_weights": pa.schema([("evidence", _TEXT), ("log_odds", _REAL)]),
    "ml.abuse_model_groups": pa.schema(
        [
            *(("sharing", _TEXT), ("accounts", _WHOLE), ("labelled_honest", _WHOLE), ("honest_blocked", _WHOLE)),
            *(("labelled_abusers", _WHOLE), ("abusers_blocked", _WHOLE)),
        ]
    ),
}
"""The tables of a training; `ml.abuse_trainings` gains a row each time, the others are replaced."""

SCORE_TABLES: Mapping[str, pa.Schema] = {
    "ml.abuse_scores": pa.schema(
        [
            *(("user_id", _TEXT), ("score", _REAL), ("decision", _TEXT), ("reasons", pa.list_(_TEXT))),
            *(("cluster_id", _TEXT), ("cluster_size", _WHOLE), ("model_version", _TEXT)),
        ]
    ),
    "ml.abuse_links": pa.schema([("user_id", _TEXT), ("linked_user_id", _TEXT), ("weight", _REAL)]),
    "ml.abuse_shared_keys": pa.schema([("user_id", _TEXT), ("kind", _TEXT), ("key", _TEXT), ("sharers", _WHOLE)]),
    "ml.abuse_evidence": pa.schema([("user_id", _TEXT), *((name, _REAL) for name in EVIDENCE)]),
}
"""The tables of a scoring, each replaced."""

_THRESHOLD_STEPS = 100
_MOST_CURVE_POINTS = 400

_USERS = """
    select user_id, created_at, email, phone, first_name, last_name, ip_address, device_id, dob, user_agent,
        is_email_verified, is_phone_verified
    from {table}
"""
_USAGES = "select user_id, promo_code, used_at from {table}"
_LABELS = """
    select user_id, is_abuser, null::timestamp as labelled_at from intermediate.int_promo_users_current
    where is_abuser is not null
    union all
    select user_id, is_abuser, labelled_at from ops.abuse_labels
"""

# The key of a code burst has days in it; people know only the code.
_SHARED_KEYS = """
    with own_key as (
        select distinct user_id, kind, key from identity_key
    ),

    shared_key as (
        select kind, key, count(*) as sharers
        from own_key
        join most_sharers using (kind)
        group by kind, key
        having sharers between 2 and any_value(most_sharers.most)
    ),

    in_cluster as (
        select user_id from scores where cluster_size > 1
    )

    select
        user_id,
        kind,
        case when kind = 'code_burst' then regexp_replace(key, '\\|[ab]\\|-?[0-9]+$', '') else key end as key,
        max(sharers) as sharers
    from own_key
    join shared_key using (kind, key)
    semi join in_cluster using (user_id)
    group by all
    order by all
"""


@dataclass(frozen=True)
class Trained:
    """The result of a training: the choice, the active model in the registry, and the version that scored before."""

    choice: Choice
    saved: ModelVersion
    version_before: str | None


def train_model(
    connection: duckdb.DuckDBPyConnection, registry: ModelRegistry, policy: Policy, trained_at: dt.datetime
) -> Trained:
    """Train on the labels of the warehouse, activate the model that passes the gate, and write its card.

    connection: to the warehouse. trained_at: UTC without zone. Raises RegistryError if the active model cannot be read.
    """
    accounts = _accounts(connection)
    ids = accounts.user_id.to_pylist()
    label, contradicting = settled_labels(connection.execute(_LABELS).df(), ids)
    current = active_model(registry)
    choice = choose_model(accounts, label, current)
    model = choice.model
    matrix = gather(accounts, model.population)
    score = model.scores(matrix.columns)
    drift, before = _drift(connection, score)
    is_labelled = np.isfinite(label)
    trained_from = {"accounts": len(accounts), "labelled": int(is_labelled.sum())}
    saved = registry.keep(model.version, model.to_json(), trained_at, choice.why, trained_from)
    training = pa.Table.from_pylist(
        [
            {
                "trained_at": trained_at,
                "model_version": model.version,
                "learnt_version": choice.training.model.version if choice.training else None,
                "is_promoted": choice.training is not None and choice.training.model.version == model.version,
                "why": choice.why,
                "accounts": len(accounts),
                "labelled_abusers": int((label[is_labelled] == 1).sum()),
                "labelled_honest": int((label[is_labelled] == 0).sum()),
                "contradicting_labels": len(contradicting),
                "shared_key_share": shared_key_share(matrix.columns),
                "version_before": before,
                "score_psi": None if np.isnan(drift) else drift,
            }
        ],
        MODEL_TABLES["ml.abuse_trainings"],
    )
    frames = _card(choice, label, score, matrix, policy)
    frames["ml.abuse_model"] = pd.DataFrame(
        [
            {
                "model_version": model.version,
                "kind": model.kind,
                "sha256": saved.sha256,
                "trained_at": trained_at,
                **asdict(policy),
                "content": model.to_json(),
            }
        ]
    )
    frames["ml.abuse_model_groups"] = _groups(
        accounts, label, policy.decisions(score), choice.model.population.key_rules
    )
    with transaction(connection):
        for table, frame in frames.items():
            replace_table(connection, table, _arrow(frame, MODEL_TABLES[table]))
        _append(connection, "ml.abuse_trainings", training)
    return Trained(choice, saved, before)


def write_scores(connection: duckdb.DuckDBPyConnection, registry: ModelRegistry, policy: Policy) -> Scored:
    """Score every account of the warehouse with the active model and replace `SCORE_TABLES`, all or none.

    Raises LookupError if no model is active: call `train_model` first.
    """
    model = active_model(registry)
    if model is None:
        raise LookupError(f"no model is active in {registry.folder}; materialise ml/abuse_model first")
    accounts = _accounts(connection)
    matrix = gather(accounts, model.population)
    result = scored(accounts, matrix, model, policy)
    evidence = pa.table(
        [accounts.user_id, *(pa.array(column) for column in matrix.columns.T)],
        schema=SCORE_TABLES["ml.abuse_evidence"],
    )
    tables = {
        "ml.abuse_scores": _arrow(result.scores, SCORE_TABLES["ml.abuse_scores"]),
        "ml.abuse_links": _arrow(result.links, SCORE_TABLES["ml.abuse_links"]),
        "ml.abuse_shared_keys": _shared_keys(connection, accounts, result.scores, model.population.key_rules),
        "ml.abuse_evidence": evidence,
    }
    with transaction(connection):
        for table, content in tables.items():
            replace_table(connection, table, content)
    return result


def replace_table(connection: duckdb.DuckDBPyConnection, table: str, content: pa.Table) -> None:
    """Create the table from the content, or replace it."""
    connection.register("content_of_table", content)
    connection.execute(f"create or replace table {table} as select * from content_of_table").fetchall()
    connection.unregister("content_of_table")


def model_of_snapshot(cursor: duckdb.DuckDBPyConnection) -> tuple[AbuseModel, Policy] | None:
    """Return the model and the policy behind the scores of a snapshot; None without any."""
    try:
        rows = cursor.execute("select content, review_from, block_from, reason_from from ml.abuse_model").fetchall()
    except duckdb.CatalogException:  # the domain was not built yet
        return None
    return (AbuseModel.from_json(rows[0][0]), Policy(*rows[0][1:])) if rows else None


def accounts_of_snapshot(cursor: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
    """Return users and usages of a snapshot as `accounts_of` takes them."""
    return _tables(cursor, "marts.fct_promo_users", "marts.fct_promo_usages")


def _tables(cursor: duckdb.DuckDBPyConnection, users: str, usages: str) -> tuple[pa.Table, pa.Table]:
    return (
        cursor.sql(_USERS.format(table=users)).to_arrow_table(),
        cursor.sql(_USAGES.format(table=usages)).to_arrow_table(),
    )


def _accounts(connection: duckdb.DuckDBPyConnection) -> Accounts:
    given = _tables(connection, "intermediate.int_promo_users_current", "intermediate.int_promo_usages")
    return accounts_of(*given)


def _arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the frame with the columns and types of the schema."""
    return pa.table([pa.array(frame[field.name].tolist(), field.type, from_pandas=True) for field in schema], schema)


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.register("rows_of_table", rows)
    connection.execute(f"create table if not exists {table} as select * from rows_of_table limit 0").fetchall()
    connection.execute(f"insert into {table} by name select * from rows_of_table").fetchall()
    connection.unregister("rows_of_table")


def _drift(connection: duckdb.DuckDBPyConnection, score: np.ndarray) -> tuple[float, str | None]:
    """Return the stability index of the scores against the last scoring, and the version of the latter."""
    try:
        before = connection.execute("select score, model_version from ml.abuse_scores").df()
    except duckdb.CatalogException:  # nothing was scored yet
        return float("nan"), None
    if before.empty:
        return float("nan"), None
    return stability(before["score"].to_numpy(dtype=float), score), str(before["model_version"].iloc[0])


def _card(
    choice: Choice, label: np.ndarray, score: np.ndarray, matrix: EvidenceMatrix, policy: Policy
) -> dict[str, pd.DataFrame]:
    """Return the tables of figures. Without labels of both classes those that need them have no row."""
    frames = {name: pd.DataFrame(columns=MODEL_TABLES[name].names) for name in _OF_LABELS}
    frames["ml.abuse_model_weights"] = coefficients(choice.model)
    rows = np.flatnonzero(np.isfinite(label))
    is_abuser = label[rows].astype(bool)
    if not len(rows) or is_abuser.all() or not is_abuser.any():
        return frames
    active = _held_back(choice, rows, score)
    cluster = matrix.component
    compared = pd.DataFrame(list(_figure_rows(choice, rows, is_abuser, active, cluster, policy)))
    curve = precision_recall(is_abuser, active)
    frames["ml.abuse_model_figures"] = compared
    frames["ml.abuse_model_thresholds"] = threshold_table(is_abuser, active, _THRESHOLD_STEPS)
    # Thin a curve of many points evenly, and keep its ends.
    shown = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MOST_CURVE_POINTS)).round().astype(int))
    frames["ml.abuse_model_curve"] = curve.iloc[shown]
    return frames


_OF_LABELS = ("ml.abuse_model_figures", "ml.abuse_model_thresholds", "ml.abuse_model_curve")


def _held_back(choice: Choice, rows: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return scores of the labelled accounts by the active model; for a new one, from folds that exclude them."""
    training = choice.training
    if training is not None and choice.model.version == training.model.version:
        return training.logistic
    return score[rows]


def _figure_rows(
    choice: Choice,
    rows: np.ndarray,
    is_abuser: np.ndarray,
    active: np.ndarray,
    cluster: np.ndarray,
    policy: Policy,
) -> Iterator[dict[str, object]]:
    """Yield the figures of the active model, and of those it was compared with."""
    compared = {"in_force": (rows, is_abuser, active)}
    training = choice.training
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
    judged = pa.table({"user_id": user_id, "label": pa.array(label), "decision": pa.array(decision.tolist(), _TEXT)})
    with duckdb.connect(config={"threads": 2}) as connection:
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


def _shared_keys(
    connection: duckdb.DuckDBPyConnection, accounts: Accounts, scores: pd.DataFrame, rules: KeyRules
) -> pa.Table:
    """Return the keys that accounts of a cluster share, without hubs."""
    most = pa.table({"kind": [kind.name for kind in KINDS], "most": [kind.most_sharers or 2**31 for kind in KINDS]})
    given = {
        "identity_key": identity_key_table(accounts, rules),
        "most_sharers": most,
        "scores": pa.table({"user_id": accounts.user_id, "cluster_size": scores["cluster_size"].to_numpy()}),
    }
    for name, table in given.items():
        connection.register(name, table)
    found = connection.sql(_SHARED_KEYS).to_arrow_table()
    for name in given:
        connection.unregister(name)
    return found.cast(SCORE_TABLES["ml.abuse_shared_keys"])
