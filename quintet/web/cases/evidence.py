"""What a person sees beside a verdict: facts, sentences, figures and tables, and the trace of a decision."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
from fastapi import Request

from quintet.cases.kind import CaseKind
from quintet.cases.store import Case
from quintet.web.lending_contexts import TraceContext
from quintet.web.rendering import Panel, Table


@dataclass(frozen=True)
class Evidence:
    """The evidence of a case. facts: labels and texts. problem: why there is none, or not all of it."""

    facts: Mapping[str, str] = field(default_factory=dict)
    sentences: Sequence[str] = ()
    figures: Sequence[Panel] = ()
    tables: Sequence[Table] = ()
    trace: TraceContext | None = None
    problem: str = ""


def evidence_of(request: Request, kind: CaseKind, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return the evidence of a case. marts: of the current snapshot, None without one."""
    if case.is_decided and case.verdict == "withdrawn":
        return Evidence(problem=f"This case is closed: {case.reason}.")
    if not kind.evidence:
        return Evidence()
    found: Evidence = importlib.import_module(kind.evidence).evidence(request, case, marts)
    return found
