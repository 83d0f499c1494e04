"""The decisions page: speed, correctness and reasons of decisions, and one decision from raw data to outcome."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from urllib.parse import urlencode

import pandas as pd
from fastapi import Request
from starlette.responses import Response

from quintet.lending import decision_charts as charts
from quintet.lending import decision_tables as tables
from quintet.lending.application import LARGEST_ID
from quintet.lending.decision_log import DecisionRecord
from quintet.lending.decisions import Decisions
from quintet.lending.explanation import reproduction, rules_of
from quintet.lending.feature_registry import features
from quintet.lending.policy import Policy
from quintet.lending.scoring import APPLICATION_FIELDS, REASONS
from quintet.lending.service import LendingService
from quintet.presentation.design import Column, Figure, format_value
from quintet.presentation.wording import counted
from quintet.replicated import COMMITTED_AT
from quintet.web.audit import audited
from quintet.web.forms import whole_number
from quintet.web.lending_contexts import DecisionsContext, TraceContext
from quintet.web.pages.downloads import csv_answer
from quintet.web.pages.lending_tabs import lending_tabs
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("lending:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/lending/decisions"

_MOST_DECISIONS = 20_000
_MOST_FOR_DRIFT = 2_000
_SHOWN = 50


@dataclass(frozen=True)
class _Window:
    label: str
    length: dt.timedelta
    every: str


_WINDOWS = {
    "hour": _Window("Last hour", dt.timedelta(hours=1), "1min"),
    "day": _Window("Last day", dt.timedelta(days=1), "15min"),
    "week": _Window("Last week", dt.timedelta(days=7), "2h"),
}
_LAST_COLUMNS = (
    Column("decided_at", "Decided at (UTC)", "moment"),
    Column("application_id", "Application", "identifier"),
    Column("client_id", "Client", "identifier"),
    Column("decision", "Decision"),
    Column("codes", "Reasons"),
    Column("score", "Probability of default", "percent"),
    Column("model_version", "Model"),
    Column("latency_ms", "Time", "decimal", "ms"),
)
_FIGURE_COLUMNS = (Column("figure", "Figure"), Column("value", "Value"), Column("unit", "Unit"), Column("from", "From"))


@router.get(PATH)
@audited("decisions.read")
def decisions(request: Request) -> Response:
    """Show whether decisions are fast, right and explained."""
    service = service_of(request)
    lending = service.of(LendingService)
    deciding = lending.decisions
    window = _window(request)
    asked = request.query_params.get("application", "").strip()
    rows, before = _rows(deciding, window, service.clock())
    policy = deciding.serving.now.policy
    figures = _figures(rows, before, window, policy)
    query = urlencode({"window": _name(window)})
    last = rows.tail(_SHOWN).iloc[::-1]
    codes = last["reasons"].map(lambda text: ", ".join(json.loads(text)))
    context: DecisionsContext = {
        "tabs": lending_tabs(PATH),
        "filters": _filters(window, asked),
        "announcement": counted(len(rows), "decision"),
        "faults": deciding.serving.now.faults,
        "active": _active(deciding),
        "incomplete": lending.features.incomplete(),
        "committed_at": lending.features.store.fact(COMMITTED_AT),
        "kpis": _key_figures(rows, before, window),
        "figures": {name: Panel(figure, f"{PATH}/figures/{name}.csv?{query}") for name, figure in figures.items()},
        "trace": trace_of(deciding, asked) if asked else None,
        "table": Table(
            last.assign(codes=codes),
            _LAST_COLUMNS,
            "Last decisions",
            len(rows),
            f"{PATH}/figures/decisions.csv?{query}",
            link=("application_id", "/lending/applications/{application_id}"),
            nothing="No application was decided in this time. Try `make simulate`.",
        ),
        "is_bounded": len(rows) == _MOST_DECISIONS,
        "most": _MOST_DECISIONS,
    }
    return show(request, "lending_decisions.html", "Loan decisions", context)


@router.get(f"{PATH}/figures/{{name}}.csv")
@audited("decisions.download")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure, or the decisions themselves."""
    service = service_of(request)
    deciding = service.of(LendingService).decisions
    window = _window(request)
    rows, before = _rows(deciding, window, service.clock())
    if name == "decisions":
        shown = rows.drop(columns=["figures", "challenger"])
        return csv_answer(name, shown, [Column(str(column), str(column)) for column in shown])
    figures = _figures(rows, before, window, deciding.serving.now.policy)
    if name not in figures:
        raise ProblemError(404, f"there is no figure {name}; there are {', '.join(figures)}")
    return csv_answer(name, figures[name].table, figures[name].columns)


def _window(request: Request) -> _Window:
    return _WINDOWS.get(request.query_params.get("window", ""), _WINDOWS["day"])


def _name(window: _Window) -> str:
    return next(name for name, each in _WINDOWS.items() if each is window)


def _filters(window: _Window, asked: str) -> FilterBar:
    options = [Option(name, each.label) for name, each in _WINDOWS.items()]
    return FilterBar(
        PATH,
        [
            Filter("window", "Time", "select", options, [_name(window)], _WINDOWS["day"].label),
            Filter("application", "Trace application", "text", (), [asked] if asked else [], "its id"),
        ],
        None if _asked_id(asked) is not None or not asked else _no_id(asked),
    )


def _rows(deciding: Decisions, window: _Window, now: dt.datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the decisions of the window and of the equally long window before it; bounded."""
    begin = now - window.length
    rows = deciding.log.since((begin - window.length).isoformat(), _MOST_DECISIONS)
    rows["decided_at"] = pd.to_datetime(rows["decided_at"], utc=True, format="ISO8601").dt.tz_localize(None)
    for name in ("score", "latency_ms", "waited_ms"):
        rows[name] = rows[name].astype("float64")
    is_within = rows["decided_at"] >= pd.Timestamp(begin.replace(tzinfo=None))
    return rows[is_within].reset_index(drop=True), rows[~is_within].reset_index(drop=True)


def _figures(rows: pd.DataFrame, before: pd.DataFrame, window: _Window, policy: Policy | None) -> dict[str, Figure]:
    reference, recent = before.tail(_MOST_FOR_DRIFT), rows.tail(_MOST_FOR_DRIFT)
    is_split = len(reference) < tables.FEWEST_FOR_DRIFT
    if is_split:  # too few before the window: its first half is the reference
        reference, recent = rows.iloc[: len(rows) // 2].tail(_MOST_FOR_DRIFT), rows.iloc[len(rows) // 2 :]
        recent = recent.tail(_MOST_FOR_DRIFT)
    cuts = (policy.approve_below, policy.reject_from) if policy is not None else (None, None)
    found = (
        charts.latency_figure(tables.latencies(rows, window.every)),
        charts.shares_figure(tables.shares(rows, window.every)),
        charts.scores_figure(tables.scores(rows), len(rows), *cuts),
        charts.reasons_figure(tables.reasons(rows), len(rows)),
        charts.drift_figure(tables.drift(reference, recent), is_split),
    )
    return {figure.name: figure for figure in found}


def _key_figures(rows: pd.DataFrame, before: pd.DataFrame, window: _Window) -> list[Kpi]:
    latency = tables.latencies(rows, window.every)
    decided = len(rows)

    def share(frame: pd.DataFrame, decision: str) -> float | None:
        return float((frame["decision"] == decision).mean()) if len(frame) else None

    def change(decision: str) -> float | None:
        now, then = share(rows, decision), share(before, decision)
        return None if now is None or then is None else now - then

    against = f"against the {_name(window)} before" if len(before) else ""
    basis = counted(decided, "decision")
    median = format_value(float(rows["latency_ms"].median()), "decimal") if decided else None
    referred = rows[rows["decision"] == "refer"]
    short = referred["degraded_reason"].notna().mean()
    bases = {"refer": f"{format_value(short, 'percent')} of them without features or score"} if len(referred) else {}
    return [
        Kpi("99th percentile", float(rows["latency_ms"].quantile(0.99)) if decided else None, "decimal", "ms",
            trend=latency["p99_ms"].tolist(), basis=f"median {median}, limit {charts.LIMIT_MS:,} ms" if median else ""),
        Kpi("Lag of the stream", float(rows["waited_ms"].quantile(0.99)) if decided else None, "decimal", "ms",
            trend=latency["waited_p99_ms"].tolist(), basis="99th percentile, until features cover a commit"),
        *(
            Kpi(label, share(rows, name), "percent", change=change(name), change_against=against,
                change_kind="points", basis=bases.get(name, basis))
            for name, label in (("approve", "Approved"), ("refer", "Referred"), ("reject", "Rejected"))
        ),
    ]  # fmt: skip


def _active(deciding: Decisions) -> list[tuple[str, str]]:
    now = deciding.serving.now
    found = [
        ("Policy", now.policy.version if now.policy else "none"),
        ("Model", now.model.model.version if now.model else "none"),
    ]
    return [*found, ("Challenger", now.challenger.model.version if now.challenger else "none")]


def _asked_id(asked: str) -> int | None:
    return whole_number(asked, LARGEST_ID)


def _no_id(asked: str) -> str:
    return f"application {asked[:40]!r} is not an id; use a whole number"


def trace_of(deciding: Decisions, asked: str) -> TraceContext:
    """Return one decision from request to answer, or why there is none."""
    number = _asked_id(asked)
    if number is None:
        return {"problem": _no_id(asked)}
    record = deciding.log.of_application(number)
    if record is None:
        return {"problem": f"the log has no decision of application {asked}"}
    text = deciding.log.artefact(record.policy_sha256)
    answer = json.loads(record.answer)
    return {
        "problem": None,
        "record": record,
        "raw": json.dumps(json.loads(record.application), indent=2),
        "figures": _figure_table(record),
        "has_features": not json.loads(record.figures).keys() <= set(APPLICATION_FIELDS),
        "score_reasons": [(code, REASONS.get(code, "")) for code in json.loads(record.score_reasons or "[]")],
        "rules": rules_of(record, text),
        "reasons": [(reason["code"], reason["sentence"]) for reason in answer["reasons"]],
        "challenger": json.loads(record.challenger) if record.challenger else None,
        "answer": json.dumps(answer, indent=2, ensure_ascii=False),
        "reproduced": reproduction(deciding.log, record),
    }


def _figure_table(record: DecisionRecord) -> Table:
    units = {feature.name: feature.unit for feature in features()}
    rows = [
        {
            "figure": name,
            "value": "missing" if value is None else f"{value:,.6g}",
            "unit": units.get(name, "days" if name == "duration_days" else "currency of the loans"),
            "from": "stream" if name in units else "application",
        }
        for name, value in json.loads(record.figures).items()
    ]
    return Table(pd.DataFrame(rows), _FIGURE_COLUMNS, "What was known", len(rows))
