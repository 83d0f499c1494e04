"""The promotions page: who abuses codes, how sure that is, and what to do about a user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import duckdb
import pandas as pd
from fastapi import Form, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from quintet.presentation.design import Column, Figure, format_value
from quintet.presentation.wording import counted
from quintet.promotions import chart_parts, charts, cluster_charts, model_charts, overview
from quintet.promotions.reasons import explained
from quintet.promotions.result_tables import model_of_snapshot
from quintet.promotions.rules import ActiveRules
from quintet.promotions.service import PromotionsService
from quintet.promotions.store import last_labels
from quintet.web.addresses import redirect
from quintet.web.audit import audited
from quintet.web.contexts import PromotionsContext
from quintet.web.forms import as_request_fault
from quintet.web.pages.downloads import csv_answer
from quintet.web.pages.promotions_card import model_card
from quintet.web.pages.promotions_rules import PATH as RULES_PATH
from quintet.web.pages.promotions_try import PATH, TRY_PATH, form_fields, scoring
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Tab, Table
from quintet.web.routes.promotions import LabelGiven, store_label
from quintet.web.security import guarded_router
from quintet.web.service import service_of

_reading = guarded_router("promotions:read", include_in_schema=False)
_labelling = guarded_router("promotions:label", include_in_schema=False)
ROUTERS = (_reading, _labelling, scoring)
LABEL_PATH = f"{PATH}/labels"
TABS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "clusters": ("Clusters and queue", ("cluster-graph",)),
    "activity": ("Sign-ups and uses", ("registrations-and-usages", "top-users", "clusters-by-uses", "top-codes")),
    "certainty": ("How sure we are", ("score-histogram", "precision-and-recall")),
    "model": ("Model card", ("model-figures", "model-weights")),
    "try": ("Try a sign-up", ()),
}
"""The tabs of the page, each with its label and figures; the first one is shown by default."""

_MOST_TO_JUDGE = 12
_MOST_LABELS = 20
_MOST_CLUSTERS = 200
_CLUSTER_COLUMNS = (
    Column("cluster_id", "Cluster", "identifier"),
    Column("accounts", "Accounts", "count"),
    Column("blocked", "To block", "count"),
    Column("to_review", "To review", "count"),
    Column("highest_score", "Highest score", "decimal"),
    Column("uses", "Uses", "count"),
    Column("top_code", "Code used most"),
    Column("shared", "Shares"),
    Column("labelled_abusers", "Labelled abusers", "count"),
    Column("labelled_honest", "Labelled honest", "count"),
)
_MEMBER_COLUMNS = (
    Column("user_id", "Account", "identifier"),
    Column("score", "Score", "decimal"),
    Column("decision", "Decision"),
    Column("codes", "Reasons"),
    Column("created", "Signed up at (UTC)", "moment"),
    Column("email", "E-mail"),
    Column("phone", "Phone"),
    Column("ip_address", "IP address"),
    Column("label", "Label"),
)
_LABEL_COLUMNS = (
    Column("at", "Labelled at (UTC)", "moment"),
    Column("user_id", "User", "identifier"),
    Column("label", "Label"),
    Column("labelled_by", "By"),
    Column("note", "Why"),
)


@_reading.get(PATH)
def promotions(request: Request) -> Response:
    """Show who abuses codes and how sure that is."""
    store = service_of(request).store
    labels = last_labels(store, _MOST_LABELS)
    rules = service_of(request).of(PromotionsService).index.rules
    version = rules.active.rules.version if rules.active is not None else ""

    def make(snapshot: Any) -> PromotionsContext:
        cursor = snapshot.cursor
        if model_of_snapshot(cursor) is None:
            raise ProblemError(503, "promotions are not published yet; `make run SELECT=promotions` builds them")
        query = _Query(cursor, request.query_params)
        given = {label.user_id: label.is_abuser for label in reversed(labels)}
        clusters = overview.clusters(cursor)
        members = overview.cluster_members(cursor, query.cluster) if query.cluster else pd.DataFrame()
        shown = [name for name in TABS[query.tab][1] if name != "cluster-graph" or query.cluster]
        figures = {name: FIGURES[name](cursor, query) for name in shown}
        population = model_of_snapshot(cursor)
        return {
            "tab": query.tab,
            "tabs": [Tab(label, query.tab_address(name), name == query.tab) for name, (label, _) in TABS.items()],
            "filters": FilterBar(PATH, query.filters(clusters), query.problem),
            "announcement": counted(len(clusters), "cluster"),
            "kpis": _key_figures(cursor),
            "figures": {
                name: Panel(figure, query.with_query(f"{PATH}/figures/{name}.csv")) for name, figure in figures.items()
            },
            "threshold": query.threshold,
            "thresholds": _thresholds(cursor).to_dict("records"),
            "at_threshold": model_charts.at_threshold(_thresholds(cursor), query.threshold),
            "clusters": Table(
                _in_words(clusters).head(_MOST_CLUSTERS),
                _CLUSTER_COLUMNS,
                "Clusters",
                len(clusters),
                f"{PATH}/figures/clusters.csv",
                ("cluster_id", f"{PATH}?cluster={{cluster_id}}#cluster"),
                "No two accounts look like one person's.",
            ),
            "cluster": query.cluster,
            "members": Table(_members(members, given), _MEMBER_COLUMNS, "Accounts of the cluster", len(members)),
            "to_judge": _to_judge(cursor, query.user, given, rules) if query.tab == "clusters" else [],
            "user": query.user,
            "labels": Table(
                pd.DataFrame(
                    [
                        {
                            "at": f"{label.labelled_at:%Y-%m-%d %H:%M}",
                            "user_id": label.user_id,
                            "label": "abuser" if label.is_abuser else "honest",
                            "labelled_by": label.labelled_by,
                            "note": label.note,
                        }
                        for label in labels
                    ],
                    columns=[column.name for column in _LABEL_COLUMNS],
                ),
                _LABEL_COLUMNS,
                "Last labels",
                len(labels),
                nothing="No user is confirmed or cleared yet.",
            ),
            "card": model_card(cursor) if query.tab == "model" else None,
            "review_from": format_value(population[1].review_from if population else None, "decimal"),
            "block_from": format_value(population[1].block_from if population else None, "decimal"),
            "label_path": LABEL_PATH,
            "try_path": TRY_PATH,
            "rules_path": RULES_PATH,
            "try_fields": form_fields({}),
        }

    return show_snapshot(request, "promotions.html", "Promotions", make, varying=repr((labels, version)))


@_reading.get(f"{PATH}/figures/{{name}}.csv")
@audited("promotions.download")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure, with all rows."""
    with service_of(request).snapshots.read() as snapshot:
        cursor = snapshot.cursor
        query = _Query(cursor, request.query_params)
        if query.problem:
            raise ProblemError(422, query.problem)
        if name == "clusters":
            return csv_answer(name, _in_words(overview.clusters(cursor)), _CLUSTER_COLUMNS)
        if name not in FIGURES:
            raise ProblemError(404, f"there is no figure {name}; there are {', '.join(FIGURES)}")
        figure = FIGURES[name](cursor, query)
        return csv_answer(name, figure.table, figure.columns)


@_labelling.post(LABEL_PATH)
@audited("labels.set")
def confirm_or_clear(
    request: Request,
    user_id: Annotated[str, Form()],
    verdict: Annotated[str, Form()],
    replace: Annotated[bool, Form()] = False,
    back: Annotated[str, Form()] = "",
) -> Response:
    """Store a label and return to the page."""
    if verdict not in ("abuser", "honest"):
        raise ProblemError(422, f"verdict is {verdict[:40]!r}; it must be abuser or honest")
    with as_request_fault("form"):
        given = LabelGiven(user_id=user_id, is_abuser=verdict == "abuser", note=None, replace=replace)
    store_label(request, given)
    query = f"?{urlencode({'user': back})}" if back else ""
    return redirect(request, f"{PATH}{query}#to-judge")


class _Query:
    """The selection in the page's address; an invalid value falls back to the default and sets `problem`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, given: QueryParams) -> None:
        found = model_of_snapshot(cursor)
        self.problem: str | None = None
        self.tab = given.get("tab", "") or "clusters"
        if self.tab not in TABS:
            self.problem, self.tab = f"tab is {self.tab[:40]!r}; it must be one of {', '.join(TABS)}", "clusters"
        self.user = given.get("user", "").strip()
        self.cluster = given.get("cluster", "").strip()
        self.grain = self._grain(cursor, given.get("grain", ""))
        self.threshold = self._threshold(given.get("threshold", ""), found[1].review_from if found else 0.5)
        self._query = [(name, value) for name, value in given.items() if name in ("cluster", "grain", "threshold")]

    def with_query(self, path: str) -> str:
        """Return the path with the selection."""
        return f"{path}?{urlencode(self._query)}" if self._query else path

    def tab_address(self, tab: str) -> str:
        """Return the address of a tab with the selection."""
        pairs = [*([("tab", tab)] if tab != "clusters" else []), *self._query]
        return f"{PATH}?{urlencode(pairs)}" if pairs else PATH

    def filters(self, clusters: pd.DataFrame) -> list[Filter]:
        """Return the filters of the page."""
        options = [
            Option(row["cluster_id"], f"{row['cluster_id'][:13]} ({row['accounts']})")
            for row in clusters.head(_MOST_CLUSTERS).to_dict("records")
        ]
        grains = [Option(grain, grain.capitalize()) for grain in overview.GRAINS]
        if self.tab == "activity":
            return [Filter("grain", "Time by", "select", grains, [self.grain], "By the span")]
        if self.tab != "clusters":
            return []
        return [
            Filter("cluster", "Cluster", "select", options, [self.cluster] if self.cluster else [], "None"),
            Filter("user", "User", "text", (), [self.user] if self.user else [], "Id of a user"),
        ]

    def _grain(self, cursor: duckdb.DuckDBPyConnection, text: str) -> overview.Grain:
        for grain in overview.GRAINS:
            if text == grain:
                return grain
        if text:
            self.problem = f"grain is {text[:40]!r}; it must be one of {', '.join(overview.GRAINS)}"
        return overview.grain_of(cursor)

    def _threshold(self, text: str, default: float) -> float:
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if 0 <= value <= 1:
            return value
        self.problem = f"threshold is {text[:40]!r}; it must be a number from 0 to 1"
        return default


def _thresholds(cursor: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    rows = cursor.execute("from ml.abuse_model_thresholds order by threshold").df()
    return rows.astype(object).where(rows.notna(), None) if rows.empty else rows.assign(
        precision=rows["precision"].fillna(0.0)
    )  # fmt: skip


def _cluster(cursor: duckdb.DuckDBPyConnection, query: _Query) -> Figure:
    members = overview.cluster_members(cursor, query.cluster)
    return cluster_charts.cluster_graph(members, overview.cluster_keys(cursor, query.cluster))


FIGURES: Mapping[str, Any] = {
    "registrations-and-usages": lambda cursor, query: charts.registrations_and_usages(
        overview.timeline(cursor, query.grain), query.grain
    ),
    "top-users": lambda cursor, _: charts.top_users(overview.top_users(cursor)),
    "clusters-by-uses": lambda cursor, _: charts.clusters_by_uses(overview.clusters(cursor, by="uses")),
    "top-codes": lambda cursor, _: charts.top_codes(overview.top_codes(cursor)),
    "score-histogram": lambda cursor, query: model_charts.score_histogram(
        overview.score_histogram(cursor), query.threshold
    ),
    "precision-and-recall": lambda cursor, query: model_charts.precision_and_recall(
        cursor.execute("from ml.abuse_model_thresholds order by threshold").df(), query.threshold
    ),
    "cluster-graph": _cluster,
    "model-figures": lambda cursor, _: model_charts.model_figures(cursor.execute("from ml.abuse_model_figures").df()),
    "model-weights": lambda cursor, _: model_charts.model_weights(cursor.execute("from ml.abuse_model_weights").df()),
}
"""Every figure of the page by its name, made from a cursor and the selection."""


def _key_figures(cursor: duckdb.DuckDBPyConnection) -> list[Kpi]:
    ((users, usages, share),) = cursor.execute(
        "select (select count(*) from marts.fct_promo_users), (select count(*) from marts.fct_promo_usages), "
        "(select arg_max(shared_key_share, trained_at) from ml.abuse_trainings)"
    ).fetchall()
    decided = overview.decisions(cursor)
    ((clusters, accounts),) = cursor.execute(
        "select count(*), coalesce(sum(accounts), 0) from marts.agg_abuse_clusters"
    ).fetchall()
    worth = cursor.execute(
        "select value, low, high, n from ml.abuse_model_figures "
        "where scores_of = 'active' and measure = 'average_precision'"
    ).fetchall()
    value, basis = None, "no labels of both classes"
    if worth:
        value, low, high, n = worth[0]
        basis = f"{low:.1%} to {high:.1%}, {n:,} labelled users"
    return [
        Kpi("Users", users, "count", basis=f"{counted(usages, 'use')} of codes"),
        Kpi("To block", decided["block"], "count", basis=f"of {counted(users, 'user')}, by the policy"),
        Kpi("To review", decided["review"], "count", basis=f"of {counted(users, 'user')}, by the policy"),
        Kpi("Clusters", clusters, "count", basis=f"{counted(int(accounts), 'account')}; {_share(share)} share a key"),
        Kpi("Average precision", value, "percent", basis=basis),
    ]


def _share(value: float | None) -> str:
    return format_value(value, "percent")


def _in_words(clusters: pd.DataFrame) -> pd.DataFrame:
    return clusters.assign(
        shared=[", ".join(chart_parts.KINDS[kind] for kind in kinds) for kinds in clusters["shares"]],
    )


def _members(members: pd.DataFrame, given: Mapping[str, bool]) -> pd.DataFrame:
    if members.empty:
        return pd.DataFrame(columns=[column.name for column in _MEMBER_COLUMNS])
    return members.assign(
        codes=[", ".join(codes) for codes in members["reasons"]],
        created=members["created_at"].dt.strftime("%Y-%m-%d %H:%M"),
        label=members["user_id"].map(given).fillna(members["is_abuser"]).map({True: "abuser", False: "honest"}),
    )


def _label_in_words(is_abuser: Any) -> str | None:
    if is_abuser is None or pd.isna(is_abuser):
        return None
    return "abuser" if is_abuser else "honest"


def _to_judge(
    cursor: duckdb.DuckDBPyConnection, user: str, given: Mapping[str, bool], rules: ActiveRules
) -> list[dict[str, Any]]:
    """Return the users to judge: the requested one, else the unlabelled ones to review or block, likeliest first."""
    found = model_of_snapshot(cursor)
    rows = cursor.execute(
        """
        select user_id, score, decision, reasons, cluster_id, cluster_size, is_abuser
        from marts.fct_abuse_scores left join marts.fct_promo_users using (user_id)
        where case when $user <> '' then user_id = $user
            else is_abuser is null and decision <> 'allow' and not list_contains($labelled, user_id) end
        order by decision = 'review' desc, score desc, user_id limit $most
        """,
        {"user": user, "labelled": list(given), "most": _MOST_TO_JUDGE},
    ).df()
    listed = rows.to_dict("records")
    for row in listed:
        row["sentences"] = (
            [(rules.reason(code) or explained(code, found[0].population)).sentence for code in row["reasons"]]
            if found
            else []
        )
        row["label"] = _label_in_words(given.get(row["user_id"], row["is_abuser"]))
        row["cluster_id"] = None if pd.isna(row["cluster_id"]) else row["cluster_id"]
    return [{str(name): value for name, value in row.items()} for row in listed]
