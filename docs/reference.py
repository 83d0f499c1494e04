"""Pages of the documentation's reference that are made from the code when the site is built."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import prometheus_client
from prometheus_client.registry import Collector
from typer.main import get_command

from cli.__main__ import app as command_line
from quintet.described_tables import MODELS, read_models
from quintet.domains import DOMAINS, SCOPES
from quintet.lending.policy import read_policy
from quintet.replication import metrics as stream
from quintet.settings import load_settings
from quintet.web.app import create_app
from quintet.web.routes.docs import document

_REASONS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "insurance": (
        ("Why a figure is missing", "quintet.insurance.normalise", "REASONS"),
        ("Why a ratio of a summary is missing", "quintet.insurance.performance", "RATIO_REASONS"),
    ),
    "promotions": (("Why an account is suspected", "quintet.promotions.reasons", "SENTENCES"),),
    "conversions": (("Why a row has no match", "quintet.conversions.match", "REASONS"),),
    "payments": (("Which rule found an incident", "quintet.payments.incidents", "NAMES_OF_RULES"),),
    "lending": (("Why the score is not better", "quintet.lending.scoring", "REASONS"),),
}
"""By domain: heading, module and name of a mapping from code to sentence."""

_SHOWN_COLUMNS = 4
"""The most columns of a table in a diagram."""


def pages() -> dict[str, str]:
    """Return the generated pages as Markdown, by their path in the site."""
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings({"QUINTET_HOME": home})
        app = create_app(settings, "documentation")
        described = document(app)
        collectors = [app.state.service.metrics.registry, stream.REGISTRY]
        metrics_page = metrics(dict(zip(("The service", "The stream"), collectors, strict=True)))
        app.state.service.store.close()
    return {
        "reference/diagrams.md": diagrams(read_models(MODELS)),
        "reference/api.md": api(described),
        "reference/metrics.md": metrics_page,
        "reference/reason-codes.md": reason_codes(),
        "reference/command-line.md": commands(get_command(command_line)),
    }


# -- tables ------------------------------------------------------------------------------------------------------------


def diagrams(groups: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return the page with a diagram of the tables of each domain. groups: what `read_models` returns."""
    parts = [
        "# How the tables join",
        "Made from the dbt models: a line joins the tables that share a key. `PK` identifies a row, `FK` is the key of "
        "another table. [Columns](../tables.md) has all columns.",
    ]
    for group, tables in groups.items():
        if group == "ml":
            continue
        drawn = _entities(group, tables)
        if drawn:
            parts += [f"## {group.capitalize()}", f"```mermaid\n{drawn}\n```"]
    return "\n\n".join(parts) + "\n"


def _entities(group: str, tables: list[dict[str, Any]]) -> str:
    keys = {table["name"]: table["key"] for table in tables}
    # of several tables with the same key the dimension with the shortest name owns it
    ranked = sorted(keys, key=lambda name: (not name.startswith("dim_"), len(name)))
    owners = {keys[name][0]: name for name in reversed(ranked) if len(keys[name]) == 1}
    lines = ["erDiagram", f"  accTitle: The tables of {group} and the keys that join them"]
    for table in tables:
        name, names = table["name"], [column["name"] for column in table["columns"]]
        foreign = [column for column in names if owners.get(column, name) != name]
        lines += [f'  {owners[column]} ||--o{{ {name} : "{column}"' for column in foreign]
        shown = list(dict.fromkeys([*keys[name], *foreign, *names]))
        shown = shown[: max(_SHOWN_COLUMNS, len(keys[name]) + len(foreign))]
        types = {column["name"]: _word(column["type"]) for column in table["columns"]}
        marks = {column: _mark(column, keys[name], foreign) for column in shown}
        lines += [f"  {name} {{", *(f"    {types[column]} {column}{marks[column]}" for column in shown), "  }"]
    return "\n".join(lines)


def _word(data_type: str) -> str:
    """Return a type as one word, which is all that a diagram takes."""
    return re.sub(r"\W+", "_", data_type or "any").strip("_")


def _mark(column: str, key: list[str], foreign: list[str]) -> str:
    marks = [mark for mark, columns in (("PK", key), ("FK", foreign)) if column in columns]
    return f" {', '.join(marks)}" if marks else ""


# -- the API -----------------------------------------------------------------------------------------------------------


def api(described: Mapping[str, Any]) -> str:
    """Return the page of all routes from the OpenAPI document."""
    parts = [
        "# The API",
        "Made from the OpenAPI document. `/docs` of a running service has the same, with every field and a form to "
        "try each route; `/openapi.json` is the document itself. A key is sent as `Authorization: Bearer KEY`.",
        "## Scopes",
        _table(("scope", "allows"), ((f"`{name}`", text) for name, text in SCOPES.items())),
    ]
    tags: dict[str, list[str]] = {}
    for path, item in described["paths"].items():
        for method, operation in item.items():
            tags.setdefault((operation.get("tags") or ["others"])[0], []).append(_operation(path, method, operation))
    for tag, operations in tags.items():
        parts += [f"## {tag.capitalize()}", *operations]
    return "\n\n".join(parts) + "\n"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [f"### {method.upper()} {path}", operation.get("description") or operation.get("summary", "")]
    rows = [
        (f"`{one['name']}`", one["in"], "yes" if one.get("required") else "no", one.get("description", ""))
        for one in operation.get("parameters", [])
    ]
    if rows:
        parts.append(_table(("parameter", "in", "required", "meaning"), rows))
    statuses = ", ".join(f"{status} {answer['description']}" for status, answer in operation["responses"].items())
    return "\n\n".join([*parts, f"Answers: {statuses}."])


# -- metrics, reasons, commands ----------------------------------------------------------------------------------------


def metrics(registries: Mapping[str, prometheus_client.CollectorRegistry]) -> str:
    """Return the page of all metrics, from the registries by the process that has them."""
    parts = [
        "# Metrics",
        "Made from the code, in the format of Prometheus. [Operate](../operations.md) has the alerts.",
    ]
    for title, registry in registries.items():
        rows = sorted((f"`{name}`", kind, text, labels) for name, kind, text, labels in _families(registry))
        parts += [f"## {title}", _table(("metric", "type", "meaning", "labels"), rows)]
    return "\n\n".join(parts) + "\n"


def _families(registry: Collector | prometheus_client.CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = sorted({label for sample in family.samples for label in sample.labels if label != "le"})
        yield name, family.type, family.documentation, ", ".join(f"`{label}`" for label in labels)


def reason_codes() -> str:
    """Return the page of all reason codes, by domain."""
    parts = [
        "# Reason codes",
        "Made from the code and the policy. A program compares the code; a person reads the sentence.",
    ]
    for domain in DOMAINS:
        parts.append(f"## {domain.title}")
        for heading, module, name in _REASONS[domain.name]:
            codes: Mapping[str, str] = getattr(importlib.import_module(module), name)
            parts += [f"### {heading}", _table(("code", "meaning"), ((f"`{code}`", codes[code]) for code in codes))]
    policy = read_policy()
    rows = ((f"`{code}`", sentence) for code, sentence in policy.sentences.items())
    parts += ["### Why the policy decides", _table(("code", "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


def commands(root: Any) -> str:
    """Return the page of the command line, as `--help` prints it. root: the command that Typer builds."""
    parts = [
        "# The command `quintet`",
        "Made from the code: what `--help` prints. [Commands](../commands.md) has the targets of make.",
    ]
    parts += [f"## {name}\n\n```text\n{text}\n```" for name, text in _helps(root, root.name or "quintet", None)]
    return "\n\n".join(parts) + "\n"


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.context_class(command, parent=parent, info_name=name.rpartition(" ")[2], terminal_width=100)
    yield name, command.get_help(context).strip()
    for child, found in getattr(command, "commands", {}).items():
        if not found.hidden:
            yield from _helps(found, f"{name} {child}", context)


def _table(heads: tuple[str, ...], rows: Any) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    escaped = ([" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in escaped)])
