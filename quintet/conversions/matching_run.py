"""One run of matching over the warehouse: the active model, the matches, the reasons and the report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pandas as pd

from quintet.conversions.candidates import MatchInput
from quintet.conversions.fit import gate, train
from quintet.conversions.inference import Inference, infer_here
from quintet.conversions.match import MatchRun, match, placebo, write_reasons
from quintet.conversions.match_report import match_report
from quintet.conversions.matching_model import MatchingModel
from quintet.ml.life_cycle import Candidate, promote
from quintet.ml.model_registry import ModelRegistry, ModelVersion
from quintet.warehouse.database import transaction

SCHEMA = "matching"
"""The schema of the working tables, in the warehouse's own file."""

MATCH_TABLES = tuple(f"{SCHEMA}.{name}" for name in ("matches", "unmatched_conversions", "unmatched_broker_rows"))
"""The tables of `SCHEMA` that the dbt models read."""

REPORT_TABLES = tuple(
    f"ml.matching_{name}"
    for name in ("summary", "clocks", "lags", "weights", "calibration", "certainty", "placebo", "changes", "model")
)
"""The trained parameters, and the quality of the matches."""

DATA = MatchInput("intermediate.int_conversions", "intermediate.int_broker_rows", "ops.pair_verdicts")

SETTLED_LINKS = 10_000
"""A model that was trained on this many links of a partner is settled: more rows would hardly change it."""


@dataclass(frozen=True)
class MatchingOutcome:
    """The result of a run. training_reason: why a model was trained, None where the active model stayed."""

    model: MatchingModel
    training_reason: str | None
    run: MatchRun


def run_matching(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    now: dt.datetime,
    code: str,
    *,
    retrain: bool = False,
    inference: Inference = infer_here,
    log: Callable[[str], object] = print,
) -> MatchingOutcome:
    """Bring matches, reasons and report up to date with `DATA`; return what was done.

    connection: to the warehouse. code: the code version; results of another version are rebuilt. retrain: train a new
    version of the model in any case. inference: where pairs are inferred; the result is the same everywhere.
    """
    _drop_results_of_other_code(connection, code)
    model, training_reason = _active_model(connection, registry, now, retrain, log)
    run = match(connection, DATA, model, SCHEMA, inference)
    log(f"matched {run.blocks_rematched} of {run.blocks} days with model {model.version}; the others are unchanged")
    write_reasons(connection, DATA, model, SCHEMA)
    rates = placebo(connection, DATA, model, schema=f"{SCHEMA}_placebo", inference=inference)
    _write_report(connection, registry, model, rates)
    return MatchingOutcome(model, training_reason, run)


def _drop_results_of_other_code(connection: duckdb.DuckDBPyConnection, code: str) -> None:
    schemas = connection.execute(
        "select schema_name from duckdb_schemas() where database_name = current_database() "
        "and (schema_name = $schema or starts_with(schema_name, $schema || '_'))",
        {"schema": SCHEMA},
    ).fetchall()
    made_by = f"{SCHEMA}.made_by"
    if (SCHEMA,) in schemas and connection.execute(f"select code from {made_by}").fetchall() == [(code,)]:
        return
    with transaction(connection):
        for (schema,) in schemas:
            connection.execute(f"drop schema {schema} cascade")
        connection.execute(f"create schema {SCHEMA}")
        connection.execute(f"create table {made_by} as select ?::varchar as code", [code])


def _active_model(
    connection: duckdb.DuckDBPyConnection,
    registry: ModelRegistry,
    now: dt.datetime,
    retrain: bool,
    log: Callable[[str], object],
) -> tuple[MatchingModel, str | None]:
    at_hand = _rows_at_hand(connection)
    model = _registered_model(registry, registry.current())
    reason = "asked for" if retrain else _reason_to_train(model, registry, at_hand)
    if model is not None and reason is None:
        return model, None
    log(f"training a matching model: {reason}")
    training = train(connection, DATA)
    new = training.model
    if min(at_hand["conversions"], at_hand["broker_rows"]) == 0:  # a model of one empty side is not worth registering
        return new, reason
    verdict = promote(registry, Candidate(new.version, new.to_json(), at_hand), gate(training, model), str(reason), now)
    log(f"the promotion gate {'passes' if verdict.passes else 'refuses'} model {new.version}: {verdict.why}")
    if verdict.passes or model is None:
        return new, reason
    return model, None


def _rows_at_hand(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of conversions, of broker rows, and `rows of <partner>` for each partner."""
    [(conversions,)] = connection.execute(f"select count(*) from {DATA.conversions}").fetchall()
    partners = connection.execute(
        f"select partner, count(*) from {DATA.broker_rows} group by all order by all"
    ).fetchall()
    rows = sum(count for _, count in partners)
    return {"conversions": conversions, "broker_rows": rows} | {f"rows of {name}": count for name, count in partners}


def _registered_model(registry: ModelRegistry, entry: ModelVersion | None) -> MatchingModel | None:
    """Return the model of a version; None without a version, or where it is of another method."""
    if entry is None:
        return None
    try:
        return MatchingModel.from_json(registry.text(entry.version))
    except ValueError:
        return None


def _reason_to_train(model: MatchingModel | None, registry: ModelRegistry, at_hand: dict[str, int]) -> str | None:
    """Return why a model must be trained without a request; None where the active model suffices.

    While a partner has few links, every run trains on all rows: the result then depends on the rows alone, not on the
    order in which they arrived. From `SETTLED_LINKS` on, a model stays until retraining is requested.
    """
    current = registry.current()
    if current is None:
        return "there is none yet"
    if model is None:
        return "the active model is of another method"
    partners = [name.removeprefix("rows of ") for name in at_hand if name.startswith("rows of ")]
    new = [name for name in partners if name not in model.partners]
    if new:
        return f"new partners: {', '.join(new)}"
    few = [name for name in partners if model.partners[name].rows * model.partners[name].row_link_share < SETTLED_LINKS]
    if few and at_hand != dict(current.trained_from):
        return f"more rows, and fewer than {SETTLED_LINKS:,} links seen so far of {', '.join(few)}"
    return None


def _write_report(
    connection: duckdb.DuckDBPyConnection, registry: ModelRegistry, model: MatchingModel, rates: pd.DataFrame
) -> None:
    kept = [each for each in registry.versions() if each.version == model.version]
    used = [each for each in registry.versions() if each.version in registry.used_before()[-1:]]
    earlier = used[0] if kept and used else None
    tables = dict(match_report(connection, model, rates, SCHEMA, _registered_model(registry, earlier)))
    with transaction(connection):
        for name, frame in tables.items():
            connection.register("report", frame)
            connection.execute(f"create or replace table ml.matching_{name} as from report")
            connection.unregister("report")
        connection.execute(
            "create or replace table ml.matching_model as select ?::varchar as version, ?::timestamp as trained_at, "
            "?::varchar as reason, ?::varchar as version_before",
            [
                model.version,
                kept[0].trained_at if kept else None,
                kept[0].reason if kept else None,
                earlier.version if earlier else None,
            ],
        )
