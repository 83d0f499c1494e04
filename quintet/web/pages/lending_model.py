"""The scoring model's card, and the what-if: how other limits would have decided past applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pandas as pd
from fastapi import Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from quintet.lending import model_charts as charts
from quintet.lending import performance_charts
from quintet.lending.performance import in_words
from quintet.lending.scoring import REASONS
from quintet.lending.what_if import CUT_OFFS, WhatIf, compare, decide_by_cut_off
from quintet.presentation.design import Column, Figure, format_value
from quintet.presentation.wording import counted
from quintet.web.lending_contexts import ModelContext, WhatIfContext
from quintet.web.pages.downloads import csv_answer, with_query
from quintet.web.pages.lending_tabs import lending_tabs
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("lending:read", include_in_schema=False)
ROUTERS = (router,)

MODEL_PATH = "/lending/model"
WHAT_IF_PATH = "/lending/what-if"

_VERSIONS = (
    Column("version", "Model"),
    Column("state", "State"),
    Column("trained", "Trained at (UTC)", "moment"),
    Column("ended_loans", "Ended loans", "count"),
    Column("why", "Why"),
    Column("sha256", "SHA-256"),
)
_SCORED = "amount, default_probability, outcome, decision, by_rules, is_scored"
_NOTHING = "the scoring model is not published yet; `make run SELECT=lending` builds it"


def _table(cursor: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    try:
        return cursor.execute(f"from ml.{name}").df()
    except duckdb.CatalogException:
        raise ProblemError(503, _NOTHING) from None


def _chosen(cursor: duckdb.DuckDBPyConnection) -> str:
    training = _table(cursor, "lending_model_training")
    return str(training["chosen"].iloc[0]) if len(training) and training["chosen"].notna().all() else "scorecard"


def _why_no_model(cursor: duckdb.DuckDBPyConnection) -> str | None:
    """Return why there is no scoring model; None where there is one."""
    training = _table(cursor, "lending_model_training")
    if not len(training) or training["model_version"].notna().all():
        return None
    return f"{training['why'].iloc[0]}. Until then the policy decides alone, and refers what needs a score."


_MODEL_FIGURES: Mapping[str, Callable[[duckdb.DuckDBPyConnection], Figure]] = {
    "lending-model-figures": lambda cursor: charts.model_figures(_table(cursor, "lending_model_figures")),
    "lending-calibration": lambda cursor: charts.calibration(
        _table(cursor, "lending_model_calibration"), _chosen(cursor)
    ),
    "lending-points-distribution": lambda cursor: charts.distribution(_table(cursor, "lending_model_distribution")),
    "lending-points": lambda cursor: charts.points(_table(cursor, "lending_model_points")),
    "lending-fairness": lambda cursor: charts.fairness(_table(cursor, "lending_model_fairness")),
    "lending-performance": lambda cursor: performance_charts.performance(_table(cursor, "lending_model_performance")),
    "lending-stability": lambda cursor: charts.stability(_table(cursor, "lending_model_stability")),
}


@router.get(MODEL_PATH)
def model_card(request: Request) -> Response:
    """Show how good the scoring model is, for whom, and whether it still fits."""

    def make(snapshot: Any) -> ModelContext:
        cursor = snapshot.cursor
        versions = _table(cursor, "lending_models")
        moments = pd.to_datetime(versions["trained_at"])
        versions = versions.assign(trained=[f"{moment:%Y-%m-%d %H:%M}" for moment in moments])
        figures = {name: make_figure(cursor) for name, make_figure in _MODEL_FIGURES.items()}
        return {
            "tabs": lending_tabs(MODEL_PATH),
            "kpis": _model_kpis(cursor),
            "figures": {name: Panel(figure, f"{MODEL_PATH}/{name}.csv") for name, figure in figures.items()},
            "facts": _facts(cursor),
            "no_model": _why_no_model(cursor),
            "versions": Table(versions, _VERSIONS, "Saved models", len(versions), nothing="None yet."),
            "reasons": REASONS,
        }

    return show_snapshot(request, "lending_model.html", "Scoring model", make)


@router.get(f"{MODEL_PATH}/{{name}}.csv")
def model_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure of the card."""
    if name not in _MODEL_FIGURES:
        raise ProblemError(404, f"there is no figure {name}; there are {', '.join(_MODEL_FIGURES)}")
    with service_of(request).snapshots.read() as snapshot:
        figure = _MODEL_FIGURES[name](snapshot.cursor)
        return csv_answer(name, figure.table, figure.columns)


def _facts(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = _table(cursor, "lending_model_performance")
    return _training_facts(cursor) | ({"Performance": in_words(rows).capitalize()} if len(rows) else {})


def _training_facts(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    training = _table(cursor, "lending_model_training").to_dict("records")
    if not training or pd.isna(training[0]["model_version"]):
        return {}
    row = training[0]
    if pd.isna(row["split_day"]):
        return {"Active": row["model_version"], "Why": row["why"], "Policy": row["policy_version"]}
    return {
        "Active": row["model_version"],
        "Why": row["why"],
        "Trained on": counted(row["ended_loans"], "ended loan"),
        "Tested on": f"{counted(row['tested_loans'], 'loan')} applied for after {row['split_day']:%Y-%m-%d}, "
        f"by models trained on {counted(row['early_loans'], 'loan')} that had ended by then",
        "Policy": row["policy_version"],
    }


def _model_kpis(cursor: duckdb.DuckDBPyConnection) -> list[Kpi]:
    figures = _table(cursor, "lending_model_figures")
    own = figures[figures["scores_of"] == _chosen(cursor)].set_index("measure")
    drift = _table(cursor, "lending_model_stability").set_index("input")["psi"]
    kpis = []
    for measure, label in charts.MEASURES.items():
        row = own.loc[measure].to_dict() if measure in own.index else {}
        loans = f"{int(row['n']):,} later loans" if row else ""
        interval = f"{row['low']:.3f} to {row['high']:.3f}; " if row and pd.notna(row["low"]) else ""
        kpi_basis = interval + loans
        kpis.append(
            Kpi(label, row.get("value"), "percent", basis=kpi_basis)
            if measure == "calibration_error"
            else Kpi(label, row.get("value"), "decimal", basis=kpi_basis)
        )
    psi = float(drift["default_probability"]) if "default_probability" in drift else None
    return [*kpis, Kpi("Drift of the score", psi, "decimal", "PSI", basis="below 0.1 is stable")]


class _Limits:
    """The requested limits; the active policy's where none are requested."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, query: QueryParams) -> None:
        self.cut_offs = _table(cursor, "lending_what_if")
        self.problem: str | None = None
        active = self.cut_offs[self.cut_offs["is_active"].astype(bool)].to_dict("records")
        own = active[0] if active else {"approve_below": 0.2, "reject_from": 0.4}
        self.before = (float(own["approve_below"]), float(own["reject_from"]))
        self.approve_below = self._limit(query, "approve_below", self.before[0])
        self.reject_from = self._limit(query, "reject_from", self.before[1])
        if self.approve_below > self.reject_from and self.problem is None:
            self.problem = "approve_below is above reject_from; lower approve_below or raise reject_from"
        if self.problem is not None:
            self.approve_below, self.reject_from = self.before

    def _limit(self, query: QueryParams, name: str, default: float) -> float:
        text = query.get(name) or ""
        if not text:
            return default
        try:
            limit = float(text)
        except ValueError:
            limit = -1.0
        if not 0 <= limit <= 1:
            self.problem = f"{name} is {text[:20]!r}; it must be a number from 0 to 1, such as 0.25"
            return default
        return limit

    @property
    def query(self) -> list[tuple[str, str]]:
        """Return the limits that differ from the active policy's."""
        pairs = (
            ("approve_below", self.approve_below, self.before[0]),
            ("reject_from", self.reject_from, self.before[1]),
        )
        return [(name, f"{limit:g}") for name, limit, own in pairs if limit != own]

    def filters(self) -> list[Filter]:
        """Return the filters of the two limits."""
        return [
            _limit_filter("approve_below", "Approve below", self.approve_below, self.before[0]),
            _limit_filter("reject_from", "Reject from", self.reject_from, self.before[1]),
        ]


def _limit_filter(name: str, label: str, chosen: float, own: float) -> Filter:
    limits = sorted({*CUT_OFFS, chosen} - {own})
    options = [Option(f"{limit:g}", f"{limit:.0%}") for limit in limits]
    selected = [] if chosen == own else [f"{chosen:g}"]
    return Filter(name, label, "select", options, selected, nothing=f"{own:.0%}, active")


def _what_if(cursor: duckdb.DuckDBPyConnection, limits: _Limits) -> WhatIf:
    scored = cursor.execute(
        f"select {_SCORED} from ml.lending_scores where model_version is not null order by application_id"
    ).df()
    after = decide_by_cut_off(scored, limits.approve_below, limits.reject_from)
    return compare(scored, scored["decision"].to_numpy(), after)


@router.get(WHAT_IF_PATH)
def what_if(request: Request) -> Response:
    """Show what other limits would have decided, lent and lost."""

    def make(snapshot: Any) -> WhatIfContext:
        cursor = snapshot.cursor
        limits = _Limits(cursor, request.query_params)
        found = _what_if(cursor, limits)
        figures = {
            "lending-cut-offs": charts.cut_offs(limits.cut_offs, limits.approve_below),
            "lending-swaps": charts.swaps(found.swaps if len(limits.cut_offs) else found.swaps.head(0)),
        }
        words = f"Approve below {limits.approve_below:.0%}, reject from {limits.reject_from:.0%}"
        return {
            "tabs": lending_tabs(WHAT_IF_PATH),
            "filters": FilterBar(WHAT_IF_PATH, limits.filters(), limits.problem),
            "announcement": words,
            "words": words,
            "kpis": _what_if_kpis(found),
            "no_model": _why_no_model(cursor),
            "figures": {
                name: Panel(figure, with_query(f"{WHAT_IF_PATH}/{name}.csv", limits.query))
                for name, figure in figures.items()
            },
        }

    return show_snapshot(request, "lending_what_if.html", "What if", make)


@router.get(f"{WHAT_IF_PATH}/{{name}}.csv")
def what_if_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure of the what-if."""
    with service_of(request).snapshots.read() as snapshot:
        limits = _Limits(snapshot.cursor, request.query_params)
        if limits.problem:
            raise ProblemError(422, limits.problem)
        if name == "lending-cut-offs":
            figure = charts.cut_offs(limits.cut_offs, limits.approve_below)
        elif name == "lending-swaps":
            figure = charts.swaps(_what_if(snapshot.cursor, limits).swaps)
        else:
            raise ProblemError(404, f"there is no figure {name}; there are lending-cut-offs, lending-swaps")
        return csv_answer(name, figure.table, figure.columns)


def _what_if_kpis(found: WhatIf) -> list[Kpi]:
    before, after = found.policies.to_dict("records")
    swapped = {row["swap"]: row for row in found.swaps.to_dict("records")}
    against = "against the active policy"

    def change(name: str) -> float | None:
        return after[name] / before[name] - 1 if before[name] else None

    kpis = [
        Kpi("Approvals", after["approvals"], "count", change=change("approvals"), change_against=against,
            basis=f"{format_value(after['approval_share'], 'percent')} of "
            f"{counted(after['applications'], 'application')}"),
        Kpi("Lent", after["amount"], "money", change=change("amount"), change_against=against,
            basis="amounts of approvals"),
        Kpi("Expected loss", after["expected_loss"], "money", change=change("expected_loss"), change_against=against,
            better=False, basis=f"{format_value(after['expected_loss_share'], 'percent')} of what is lent"),
    ]  # fmt: skip
    for way, label in (("in", "New approvals"), ("out", "No longer approved")):
        row = swapped[way]
        rate = f"{format_value(row['default_share'], 'percent')} not repaid, of {row['known_outcomes']:,} known"
        basis = rate if row["known_outcomes"] else "no outcome is known" if row["applications"] else "no application"
        kpis.append(Kpi(label, row["applications"], "count", basis=basis))
    return kpis
