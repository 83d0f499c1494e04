"""What was taken in and how far it has come.

Belongs here: reading and writing the marks on batches (`ops.batches.modelled_at`) and on the build (`ops.build`), and
taking in what the service recorded (`ops.report_runs`, `ops.abuse_judgements`, `ops.abuse_labels`,
`ops.loan_decisions`). The loader itself writes the batches (`load.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import duckdb
import pandas as pd

from quintet.warehouse.inbox import InboxFile


def loaded_batches(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """(dataset, batch) of every batch in the raw tables, in order."""
    return connection.execute(
        "select dataset, batch_id from ops.batches where status = 'loaded' order by all"
    ).fetchall()


def loaded_contents(connection: duckdb.DuckDBPyConnection, dataset: str) -> set[str]:
    """The hashes of the contents of a dataset that were loaded."""
    rows = connection.execute(
        "select content_sha256 from ops.batches where dataset = ? and status = 'loaded'", [dataset]
    ).fetchall()
    return {row[0] for row in rows}


def record_file(
    connection: duckdb.DuckDBPyConnection,
    file: InboxFile,
    sha256: str,
    status: str,
    rows: int,
    message: str | None,
    now: dt.datetime,
) -> None:
    """Record a file that no raw table holds; an earlier record of the same content gives way.

    status: `loaded` or `rejected`. now: UTC without zone.
    """
    connection.execute(
        "insert or replace into ops.batches by name select $dataset as dataset, $batch_id as batch_id, "
        "$sha256 as content_sha256, $file as file, $format as format, $bytes as bytes, $arrived_at as arrived_at, "
        "$file_date::date as file_date, $file_number::bigint as file_number, $effective_date as effective_date, "
        "$rows as rows, $rows as loaded, 0 as rejected, $status as status, $message::varchar as message, "
        "$now as loaded_at, $now as modelled_at",
        {
            "dataset": file.dataset,
            "batch_id": sha256[:16],
            "sha256": sha256,
            "file": file.name,
            "format": file.path.suffix.removeprefix("."),
            "bytes": file.bytes,
            "arrived_at": file.arrived_at,
            "file_date": file.date_in_name,
            "file_number": file.number_in_name,
            "effective_date": file.date_in_name or file.arrived_at.date(),
            "rows": rows,
            "status": status,
            "message": message,
            "now": now,
        },
    )


def mark_modelled(
    connection: duckdb.DuckDBPyConnection, batches: Collection[tuple[str, str]], modelled_at: dt.datetime
) -> None:
    """Note that the models have taken these batches in; a batch that came meanwhile stays unmarked."""
    connection.execute(
        "update ops.batches set modelled_at = ? where modelled_at is null "
        "and (dataset, batch_id) in (select unnest(?::struct(dataset varchar, batch_id varchar)[], recursive := true))",
        [modelled_at, [{"dataset": dataset, "batch_id": batch_id} for dataset, batch_id in batches]],
    )


def build_fingerprint(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The fingerprint of the code that built the models last, None before the first build."""
    row = connection.execute("select fingerprint from ops.build").fetchone()
    return None if row is None else str(row[0])


def set_build_fingerprint(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> None:
    """Note which code built the models."""
    connection.execute("delete from ops.build")
    connection.execute("insert into ops.build values (?)", [fingerprint])


def take_in_report_runs(connection: duckdb.DuckDBPyConnection, runs: pd.DataFrame) -> int:
    """Add the runs of reports that are not there yet; gives how many are there then.

    runs: with the columns of `ops.report_runs`; times as ISO 8601 text with their zone.
    """
    connection.register("runs", runs)
    connection.execute(
        "insert into ops.report_runs by name "
        "select * replace (written_at::timestamptz at time zone 'UTC' as written_at) from runs "
        "where run_id not in (select run_id from ops.report_runs)"
    ).fetchall()
    connection.unregister("runs")
    ((count,),) = connection.execute("select count(*) from ops.report_runs").fetchall()
    return int(count)


def last_judgement(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last judgement of a sign-up that was taken in, 0 where there is none."""
    ((last,),) = connection.execute("select coalesce(max(judgement_id), 0) from ops.abuse_judgements").fetchall()
    return int(last)


def take_in_judgements(connection: duckdb.DuckDBPyConnection, judgements: pd.DataFrame) -> int:
    """Add the judgements that are not there yet; gives how many are there then.

    judgements: with the columns of `ops.abuse_judgements`; times as ISO 8601 text with their zone, reasons as JSON.
    """
    connection.register("judgements", judgements)
    connection.execute(
        "insert into ops.abuse_judgements by name "
        "select * replace (judged_at::timestamptz at time zone 'UTC' as judged_at, "
        "from_json(reasons, '[\"varchar\"]') as reasons) from judgements "
        "where judgement_id not in (select judgement_id from ops.abuse_judgements)"
    ).fetchall()
    connection.unregister("judgements")
    ((count,),) = connection.execute("select count(*) from ops.abuse_judgements").fetchall()
    return int(count)


def take_in_labels(connection: duckdb.DuckDBPyConnection, labels: pd.DataFrame) -> int:
    """Add the labels that are not there yet, likewise; gives how many are there then."""
    connection.register("labels", labels)
    connection.execute(
        "insert into ops.abuse_labels by name "
        "select * replace (labelled_at::timestamptz at time zone 'UTC' as labelled_at, is_abuser = 1 as is_abuser) "
        "from labels where label_id not in (select label_id from ops.abuse_labels)"
    ).fetchall()
    connection.unregister("labels")
    ((count,),) = connection.execute("select count(*) from ops.abuse_labels").fetchall()
    return int(count)


def last_loan_decision(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last loan decision that was taken in, 0 where there is none."""
    ((last,),) = connection.execute("select coalesce(max(decision_number), 0) from ops.loan_decisions").fetchall()
    return int(last)


def take_in_loan_decisions(connection: duckdb.DuckDBPyConnection, decisions: pd.DataFrame) -> int:
    """Add the loan decisions that are not there yet; gives how many are there then.

    decisions: with the columns of `ops.loan_decisions` and perhaps more; times as ISO 8601 text with their zone,
    reasons as JSON.
    """
    connection.register("decisions", decisions)
    connection.execute(
        "insert into ops.loan_decisions by name "
        "select decision_number, application_id, decision_id, client_id, application, asked_by, "
        "decided_at::timestamptz at time zone 'UTC' as decided_at, decision, "
        "from_json(reasons, '[\"varchar\"]') as reasons, score, points, model_version, policy_version, figures, "
        "applied_lsn, shortfall, challenger, waited_ms, latency_ms from decisions "
        "where decision_number not in (select decision_number from ops.loan_decisions)"
    ).fetchall()
    connection.unregister("decisions")
    ((count,),) = connection.execute("select count(*) from ops.loan_decisions").fetchall()
    return int(count)
