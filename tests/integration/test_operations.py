"""The alert rules are valid PromQL over metrics that exist, and the page says what to do for each."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from quintet.domains import open_state_store
from quintet.replication import metrics as stream_metrics
from quintet.settings import load_settings
from quintet.state.audit import Entry, record, utc_text
from quintet.web.app import create_app

_NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
_OF_PROMETHEUS = {"up"}


def _rules(project: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((project / "deploy" / "prometheus-rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _selected(node: Any) -> Iterator[str]:
    """Yield the names of the metrics in a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name
    for name in ("vector_selector", "expr", "lhs", "rhs", "args", "vs"):
        found = getattr(node, name, None)
        for child in found if isinstance(found, list) else [found] if found is not None else []:
            yield from _selected(child)


def _families(text: str) -> set[str]:
    """Return every name under which Prometheus stores the metrics, also of families without a sample."""
    names = set()
    for family in text_string_to_metric_families(text):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + end for end in ends}
    return names


@pytest.fixture
def metrics(tmp_path: Path) -> set[str]:
    """Return the names of the metrics of the service and of the stream."""
    return _families(_scraped(tmp_path)) | _families(generate_latest(stream_metrics.REGISTRY).decode())


def _scraped(home: Path) -> str:
    key = "a-long-admin-key"
    settings = load_settings({"QUINTET_HOME": str(home), "QUINTET_ADMIN_KEY": key})
    with TestClient(create_app(settings, "code", lambda: _NOW)) as client:
        answer = client.get("/metrics", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    return answer.text


def _unknown(rules: list[dict[str, Any]], known: set[str]) -> set[str]:
    return {name for rule in rules for name in _selected(promql_parser.parse(rule["expr"]))} - known - _OF_PROMETHEUS


def test_every_rule_reads_metrics_that_exist(project: Path, metrics: set[str]) -> None:
    rules = _rules(project)
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    assert _unknown(rules, metrics) == set()


def test_a_rule_over_an_unknown_metric_is_found(metrics: set[str]) -> None:
    rule = {"expr": 'sum(rate(quintet_no_such_total{a="b"}[5m])) / (1 + quintet_outbox_oldest_seconds) > 1'}
    assert _unknown([rule], metrics) == {"quintet_no_such_total"}
    with pytest.raises(ValueError, match=r"unclosed|unexpected|parse|invalid"):
        promql_parser.parse("sum(rate(quintet_no_such_total[5m])")


def _panels(project: Path) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads((project / "deploy" / "grafana-dashboard.json").read_text("utf-8"))[
        "panels"
    ]
    return panels


def test_every_panel_of_the_dashboard_reads_metrics_that_exist(project: Path, metrics: set[str]) -> None:
    panels = _panels(project)
    queries = [target for panel in panels for target in panel["targets"]]
    assert len(queries) > 10
    assert _unknown(queries, metrics) == set()
    read = {name for query in queries for name in _selected(promql_parser.parse(query["expr"]))}
    alerted = {name for rule in _rules(project) for name in _selected(promql_parser.parse(rule["expr"]))}
    assert alerted - read - _OF_PROMETHEUS == set(), "an alert has no picture"


def test_the_panels_of_the_dashboard_do_not_overlap_and_have_titles_and_units(project: Path) -> None:
    panels = _panels(project)
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)


def test_the_page_says_what_to_do_for_each_alert(project: Path) -> None:
    text = (project / "docs" / "operations.md").read_text("utf-8")
    headings = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    rules = _rules(project)
    assert headings == {rule["alert"] for rule in rules}
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_the_age_of_the_last_backup_is_a_metric(tmp_path: Path) -> None:
    assert "\nquintet_backup_age_seconds " not in _scraped(tmp_path)
    with closing(open_state_store(tmp_path / "online")) as store:
        record(store, Entry(utc_text(_NOW - dt.timedelta(hours=3)), "ana", "command", "backup", "b.tar", "done"))
    assert "\nquintet_backup_age_seconds 10800.0" in _scraped(tmp_path)
    assert "\nquintet_outbox_oldest_seconds 0.0" in _scraped(tmp_path)
