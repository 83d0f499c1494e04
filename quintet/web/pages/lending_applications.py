"""Lending's first page: the decisions on open applications; and the page of one application, and of one client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import duckdb
import pandas as pd
from fastapi import Path, Request
from starlette.responses import Response

from quintet.lending.application import LARGEST_ID
from quintet.lending.feature_registry import features
from quintet.lending.policy import Policy
from quintet.lending.scoring import REASONS
from quintet.lending.service import LendingService
from quintet.lending.verdicts import REJECT, FinalDecision, final_decision
from quintet.presentation.design import MISSING, Column, format_value, is_missing
from quintet.presentation.wording import counted
from quintet.web.audit import about, audited
from quintet.web.lending_contexts import ApplicationContext, ApplicationsContext, ClientContext, PublishedDecision
from quintet.web.pages.downloads import csv_answer, with_query
from quintet.web.pages.lending_decisions import trace_of
from quintet.web.pages.lending_tabs import lending_tabs
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("lending:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/lending"
APPLICATION_PATH = "/lending/applications/{application_id}"
CLIENT_PATH = "/lending/clients/{client_id}"

_DECISIONS = {"reject": "Rejected", "refer": "Referred to a person", "approve": "Approved"}
_APPLICATION_COLUMNS = (
    Column("application_id", "Application", "identifier"),
    Column("client_id", "Client", "identifier"),
    Column("applied_on", "Applied on"),
    Column("amount", "Amount", "money"),
    Column("decision", "Decision"),
    Column("because", "Because", "sentence"),
    Column("score", "Probability of default", "percent"),
)
_REASON_COLUMNS = (
    Column("sentence", "Reason", "sentence"),
    Column("code", "Code"),
    *(Column(name, label, "count") for name, label in _DECISIONS.items()),
)
_FEATURE_COLUMNS = (
    Column("name", "Feature"),
    Column("value", "Value"),
    Column("unit", "Unit"),
    Column("definition", "Meaning", "sentence"),
)
_SELECT = (
    "select application_id, client_id, applied_on::varchar as applied_on, amount, decision, reasons, score, points, "
    "model_version, policy_version from marts.fct_application_decisions"
)


@router.get(PATH)
@audited("applications.read")
def applications(request: Request) -> Response:
    """Show how open applications are decided, and why."""
    chosen = request.query_params.get("decision", "")
    policy = _policy(request)

    def make(snapshot: Any) -> ApplicationsContext:
        cursor = snapshot.cursor
        known = chosen in _DECISIONS
        rows = _worded(_rows(cursor, "where $decision in ('', decision)", decision=chosen if known else ""), policy)
        counts = dict(
            cursor.execute("select decision, count(*) from marts.fct_application_decisions group by 1").fetchall()
        )
        options = [Option(name, label) for name, label in _DECISIONS.items()]
        problem = f"decision: {chosen[:40]!r} is none of {', '.join(_DECISIONS)}" if chosen and not known else None
        return {
            "tabs": lending_tabs(PATH),
            "filters": FilterBar(
                PATH, [Filter("decision", "Decision", "select", options, [chosen] if known else [])], problem
            ),
            "announcement": counted(len(rows), "application"),
            "kpis": _key_figures(counts),
            "table": Table(
                rows,
                _APPLICATION_COLUMNS,
                "Open applications",
                len(rows),
                with_query(f"{PATH}/applications.csv", [("decision", chosen)] if known else []),
                ("application_id", APPLICATION_PATH),
                "No application is open. The loan book comes from a dump in `data/raw/loan_book`, or from a stream.",
            ),
            "reasons": _reason_table(cursor, policy),
        }

    return show_snapshot(request, "lending_applications.html", "Lending", make, varying=_version(policy))


@router.get(f"{PATH}/applications.csv")
@audited("applications.download")
def applications_csv(request: Request) -> Response:
    """Return all open applications with their decisions."""
    chosen = request.query_params.get("decision", "")
    with service_of(request).snapshots.read() as snapshot:
        rows = _worded(_rows(snapshot.cursor, "where $decision in ('', decision)", decision=chosen), _policy(request))
    return csv_answer("applications", rows, _APPLICATION_COLUMNS)


@router.get(APPLICATION_PATH)
@audited("applications.read")
def application(request: Request, application_id: Annotated[int, Path(ge=0, le=LARGEST_ID)]) -> Response:
    """Show how one application is decided and why, with the trace of its live decision if there is one."""
    deciding = service_of(request).of(LendingService).decisions
    record = deciding.log.of_application(application_id)
    policy = _policy(request)
    final = final_decision(service_of(request).store, application_id)

    def make(snapshot: Any) -> ApplicationContext:
        rows = _rows(snapshot.cursor, "where application_id = $id", id=application_id)
        if rows.empty and record is None:
            raise ProblemError(404, f"there is no open application {application_id}, and the log has no decision of it")
        first = None if rows.empty else rows.iloc[0]
        decided = record.decision if record is not None else None if first is None else str(first["decision"])
        is_rejected = (final.decision if final is not None else decided) == REJECT
        client = first["client_id"] if first is not None else record.client_id if record else 0
        return {
            "tabs": lending_tabs(PATH),
            "application_id": application_id,
            "client_id": int(client),
            "published": None if first is None else _published(first),
            "decided": _DECISIONS.get(str(first["decision"]), "") if first is not None else "",
            "reasons": _sentences(first["reasons"], policy) if first is not None else [],
            "features": _features_of(snapshot.cursor, int(client)),
            "trace": trace_of(deciding, str(application_id)) if record is not None else None,
            "final": _final_words(final),
            "notice": f"/v1/lending/applications/{application_id}/notice?format=pdf" if is_rejected else "",
        }

    return show_snapshot(
        request,
        "lending_application.html",
        f"Application {application_id}",
        make,
        varying=f"{_version(policy)} {record.decision_id if record else ''} {final}",
    )


@router.get(CLIENT_PATH)
@audited("clients.read")
def client(request: Request, client_id: Annotated[int, Path(ge=0, le=LARGEST_ID)]) -> Response:
    """Show what is known about one client, and the client's applications."""
    about(request, "client", client_id)
    policy = _policy(request)

    def make(snapshot: Any) -> ClientContext:
        known = _features_of(snapshot.cursor, client_id)
        rows = _worded(_rows(snapshot.cursor, "where client_id = $id", id=client_id), policy)
        if not known.total_rows and rows.empty:
            raise ProblemError(404, f"there is no client {client_id}")
        return {
            "tabs": lending_tabs(PATH),
            "client_id": client_id,
            "features": known,
            "table": Table(
                rows,
                _APPLICATION_COLUMNS,
                "Open applications of this client",
                len(rows),
                link=("application_id", APPLICATION_PATH),
                nothing="This client has no open application.",
            ),
        }

    return show_snapshot(request, "lending_client.html", f"Client {client_id}", make, varying=_version(policy))


def _final_words(final: FinalDecision | None) -> str:
    if final is None:
        return ""
    decision = _DECISIONS.get(final.decision, final.decision)
    return f"{decision} by {final.decided_by} on {final.decided_at:%Y-%m-%d %H:%M} UTC: {final.reason}"


def _rows(cursor: duckdb.DuckDBPyConnection, condition: str, **values: object) -> pd.DataFrame:
    order = "order by list_position(['reject', 'refer', 'approve'], decision), applied_on desc, application_id"
    return cursor.execute(f"{_SELECT} {condition} {order}", values).df()


def _published(row: pd.Series) -> PublishedDecision:
    return cast(PublishedDecision, {name: row[name] for name in PublishedDecision.__annotations__})


def _worded(rows: pd.DataFrame, policy: Policy | None) -> pd.DataFrame:
    """Return the applications with their reasons in words."""
    words = [" ".join(sentence for _, sentence in _sentences(codes, policy)) for codes in rows["reasons"]]
    return rows.assign(because=pd.Series(words, index=rows.index, dtype="str"))


def _sentences(codes: Sequence[str], policy: Policy | None) -> list[tuple[str, str]]:
    """Return reason codes with their sentences; a code of a former policy stands for itself."""
    own: Mapping[str, str] = policy.sentences if policy is not None else {}
    return [(code, own.get(code) or REASONS.get(code, code)) for code in codes]


def _key_figures(counts: Mapping[str, int]) -> list[Kpi]:
    total = sum(counts.values())
    basis = f"of {counted(total, 'open application')}"
    return [
        Kpi(label, counts.get(name, 0) / total if total else None, "percent", basis=f"{counts.get(name, 0):,} {basis}")
        for name, label in _DECISIONS.items()
    ]


def _reason_table(cursor: duckdb.DuckDBPyConnection, policy: Policy | None) -> Table:
    rows = cursor.execute(
        "select code, "
        + ", ".join(f"count(*) filter (where decision = '{name}') as {name}" for name in _DECISIONS)
        + " from (select unnest(reasons) as code, decision from marts.fct_application_decisions) "
        "group by code order by reject desc, refer desc, code"
    ).df()
    sentences = [sentence for _, sentence in _sentences(rows["code"].tolist(), policy)]
    return Table(
        rows.assign(sentence=pd.Series(sentences, dtype="str")),
        _REASON_COLUMNS,
        "Reasons, by decision",
        len(rows),
        nothing="No application has a reason.",
    )


def _features_of(cursor: duckdb.DuckDBPyConnection, client_id: int) -> Table:
    """Return what the snapshot knows about a client; no rows for an unknown client."""
    found = cursor.execute("select * from marts.fct_client_features where client_id = ?", [client_id]).df()
    known = {} if found.empty else found.iloc[0].to_dict()
    rows = [
        {"name": one.name, "value": _figure(known[one.name]), "unit": one.unit, "definition": one.definition}
        for one in features()
        if one.name in known
    ]
    day = f" on {format_value(known['as_of'], 'text')[:10]}" if known else ""
    return Table(
        pd.DataFrame(rows, columns=[column.name for column in _FEATURE_COLUMNS]),
        _FEATURE_COLUMNS,
        f"What was known{day}",
        len(rows),
        nothing="The snapshot has no features of this client: there is no loan before the application.",
    )


def _figure(value: Any) -> str:
    return MISSING if is_missing(value) else f"{value:,.6g}"


def _policy(request: Request) -> Policy | None:
    policy: Policy | None = service_of(request).of(LendingService).decisions.serving.now.policy
    return policy


def _version(policy: Policy | None) -> str:
    return policy.version if policy is not None else ""
