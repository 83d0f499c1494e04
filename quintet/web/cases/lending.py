"""The evidence of a loan application: the trace of its decision, or what the loan book says."""

from __future__ import annotations

import duckdb
from fastapi import Request

from quintet.cases.store import Case
from quintet.lending.cases import sentences_of
from quintet.lending.service import LendingService
from quintet.presentation.design import format_value
from quintet.web.cases.evidence import Evidence
from quintet.web.pages.lending_decisions import trace_of
from quintet.web.service import service_of


def evidence(request: Request, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return the trace of an application that the service decided, else the figures of its decision in the build."""
    deciding = service_of(request).of(LendingService).decisions
    if deciding.log.of_application(int(case.subject_id)) is not None:
        return Evidence(trace=trace_of(deciding, case.subject_id))
    if marts is None:
        return Evidence(problem="Lending is not published yet.")
    rows = marts.execute(
        "select client_id, applied_on, amount, score, points, reasons, model_version, policy_version "
        "from marts.fct_application_decisions where application_id = ?",
        [int(case.subject_id)],
    ).fetchall()
    if not rows:
        return Evidence(problem=f"The current snapshot has no open application {case.subject_id}.")
    ((client, applied_on, amount, score, points, reasons, model, policy),) = rows
    facts = {
        "Client": str(client),
        "Applied on": str(applied_on),
        "Amount": format_value(amount, "money"),
        "Probability of default": format_value(score, "percent"),
        "Points": format_value(points, "count"),
        "Model": model or "none",
        "Policy": policy,
    }
    sentences = sentences_of(service_of(request).settings)
    return Evidence(facts, [sentences.get(code, code) for code in reasons])
