"""The tables of the abuse model and of its scores: their columns, the scores of every account, and reading them."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pandas as pd
import pyarrow as pa

from quintet.ml.model_registry import ModelRegistry
from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import EVIDENCE, Gathering, gather
from quintet.promotions.identity import KINDS, KeyRules, identity_key_table
from quintet.promotions.model import AbuseModel
from quintet.promotions.models import active_model
from quintet.promotions.policy import Policy
from quintet.promotions.rules import GRAMMAR, figure_schema, figure_table
from quintet.promotions.score import Scored, scored
from quintet.rules.recorded import recorded_evaluator
from quintet.warehouse.database import transaction

TEXT, _REAL, _WHOLE, _YES_NO = pa.string(), pa.float64(), pa.int64(), pa.bool_()

MODEL_TABLES: Mapping[str, pa.Schema] = {
    "ml.abuse_model": pa.schema(
        [
            *(("model_version", TEXT), ("kind", TEXT), ("sha256", TEXT), ("trained_at", pa.timestamp("us"))),
            *(("review_from", _REAL), ("block_from", _REAL), ("reason_from", _REAL), ("content", TEXT)),
        ]
    ),
    "ml.abuse_trainings": pa.schema(
        [
            *(("trained_at", pa.timestamp("us")), ("model_version", TEXT), ("trained_version", TEXT)),
            *(("is_promoted", _YES_NO), ("why", TEXT), ("accounts", _WHOLE), ("labelled_abusers", _WHOLE)),
            *(("labelled_honest", _WHOLE), ("contradicting_labels", _WHOLE), ("shared_key_share", _REAL)),
            *(("version_before", TEXT), ("score_psi", _REAL), ("labels_of_people", _WHOLE)),
            ("decisions_changed", _WHOLE),
        ]
    ),
    "ml.abuse_model_figures": pa.schema(
        [("scores_of", TEXT), ("measure", TEXT), ("value", _REAL), ("low", _REAL), ("high", _REAL), ("n", _WHOLE)]
    ),
    "ml.abuse_model_thresholds": pa.schema(
        [("threshold", _REAL), ("flagged", _WHOLE), ("abusers", _WHOLE), ("precision", _REAL), ("recall", _REAL)]
    ),
    "ml.abuse_model_curve": pa.schema([("threshold", _REAL), ("precision", _REAL), ("recall", _REAL)]),
    "ml.abuse_model_weights": pa.schema([("evidence", TEXT), ("log_odds", _REAL)]),
    "ml.abuse_model_rings": pa.schema(
        [
            *(("scores_of", TEXT), ("grouped_by", TEXT), ("rings", TEXT), ("accounts", _WHOLE)),
            *(("flagged", _REAL), ("blocked", _REAL)),
        ]
    ),
    "ml.abuse_model_groups": pa.schema(
        [
            *(("sharing", TEXT), ("accounts", _WHOLE), ("labelled_honest", _WHOLE), ("honest_blocked", _WHOLE)),
            *(("labelled_abusers", _WHOLE), ("abusers_blocked", _WHOLE)),
        ]
    ),
}
"""The tables of a training; `ml.abuse_trainings` gains a row each time, the others are replaced."""

SCORE_TABLES: Mapping[str, pa.Schema] = {
    "ml.abuse_scores": pa.schema(
        [
            *(("user_id", TEXT), ("score", _REAL), ("decision", TEXT), ("reasons", pa.list_(TEXT))),
            *(("cluster_id", TEXT), ("cluster_size", _WHOLE), ("model_version", TEXT)),
        ]
    ),
    "ml.abuse_links": pa.schema([("user_id", TEXT), ("linked_user_id", TEXT), ("weight", _REAL)]),
    "ml.abuse_shared_keys": pa.schema([("user_id", TEXT), ("kind", TEXT), ("key", TEXT), ("sharers", _WHOLE)]),
    "ml.abuse_evidence": pa.schema([("user_id", TEXT), *((name, _REAL) for name in EVIDENCE)]),
    "ml.abuse_figures": figure_schema(),
}
"""The tables of a scoring, each replaced."""


_USERS = """
    select user_id, created_at, email, phone, first_name, last_name, ip_address, device_id, dob, user_agent,
        is_email_verified, is_phone_verified
    from {table}
"""
_USAGES = "select user_id, promo_code, used_at from {table}"

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
        case kind
            when 'code_burst' then regexp_replace(key, '\\|[ab]\\|-?[0-9]+$', '')
            when 'code_agent' then regexp_replace(key, '\\|-?[0-9a-f]+$', '')
            else key
        end as key,
        max(sharers) as sharers
    from own_key
    join shared_key using (kind, key)
    semi join in_cluster using (user_id)
    group by all
    order by all
"""


def write_scores(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    policy: Policy,
    at_s: float = 0.0,
    gathering: Gathering = gather,
) -> Scored:
    """Score every account of the warehouse with the active model and rules, and replace `SCORE_TABLES`, all or none.

    at_s: now in Unix seconds, for entries of lists that expire. gathering: where evidence is gathered. Raises
    LookupError if no model is active: call `train_model` first.
    """
    model = active_model(registry)
    if model is None:
        raise LookupError(f"no model is active in {registry.folder}; materialise ml/abuse_model first")
    accounts = accounts_of_warehouse(connection)
    matrix = gathering(accounts, model.population)
    result = scored(accounts, matrix, model, policy, recorded_evaluator(connection, GRAMMAR), at_s)
    evidence = pa.table(
        [accounts.user_id, *(pa.array(column) for column in matrix.columns.T)],
        schema=SCORE_TABLES["ml.abuse_evidence"],
    )
    tables = {
        "ml.abuse_scores": arrow(result.scores, SCORE_TABLES["ml.abuse_scores"]),
        "ml.abuse_links": arrow(result.links, SCORE_TABLES["ml.abuse_links"]),
        "ml.abuse_shared_keys": _shared_keys(connection, accounts, result.scores, model.population.key_rules),
        "ml.abuse_evidence": evidence,
        "ml.abuse_figures": figure_table(result.judged),
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


def accounts_of_warehouse(connection: duckdb.DuckDBPyConnection) -> Accounts:
    """Return the current accounts of the warehouse."""
    given = _tables(connection, "intermediate.int_promo_users_current", "intermediate.int_promo_usages")
    return accounts_of(*given)


def arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the frame with the columns and types of the schema."""
    return pa.table([pa.array(frame[field.name].tolist(), field.type, from_pandas=True) for field in schema], schema)


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
