"""The evidence of an account: what is known of it, its cluster as a graph, and the accounts of the cluster."""

from __future__ import annotations

import duckdb
import pandas as pd
from fastapi import Request

from quintet.cases.store import Case
from quintet.presentation.design import Column, format_value
from quintet.promotions import cluster_charts, overview
from quintet.web.cases.evidence import Evidence
from quintet.web.rendering import Panel, Table

_FACTS = """
    select email, phone, first_name || ' ' || last_name, ip_address, device_id, strftime(created_at, '%Y-%m-%d %H:%M'),
        score, decision, cluster_id, (select count(*) from marts.fct_promo_usages where user_id = $user)
    from marts.fct_promo_users left join marts.fct_abuse_scores using (user_id) where user_id = $user
"""
_LABELS = ("E-mail", "Phone", "Name", "IP address", "Device", "Signed up at (UTC)")
_MEMBERS = (
    Column("user_id", "Account", "identifier"),
    Column("score", "Score", "decimal"),
    Column("decision", "Decision"),
    Column("email", "E-mail"),
    Column("phone", "Phone"),
    Column("ip_address", "IP address"),
)


def evidence(_: Request, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return what is known of an account and of its cluster."""
    if marts is None:
        return Evidence(problem="Promotions are not published yet.")
    rows = marts.execute(_FACTS, {"user": case.subject_id}).fetchall()
    if not rows:
        return Evidence(problem=f"The current snapshot has no account {case.subject_id}.")
    ((*values, score, decision, cluster, uses),) = rows
    facts = {label: str(value) for label, value in zip(_LABELS, values, strict=True) if value}
    facts |= {"Score": format_value(score, "decimal"), "Decision": decision or "none", "Uses of codes": f"{uses:,}"}
    figures, tables = [], []
    if cluster is not None:
        members = overview.cluster_members(marts, cluster)
        graph = cluster_charts.cluster_graph(members, overview.cluster_keys(marts, cluster))
        figures.append(Panel(graph))
        tables.append(_members(members))
    return Evidence(facts, (), figures, tables)


def _members(members: pd.DataFrame) -> Table:
    return Table(members, _MEMBERS, "Accounts of the cluster", len(members))
