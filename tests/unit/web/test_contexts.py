"""Contexts of templates: each template uses the names and attributes of its context, and renders with it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import types
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict, get_args, get_origin, get_type_hints

import altair as alt
import pandas as pd
import pytest
from jinja2 import UndefinedError, meta, nodes
from markupsafe import Markup

from quintet.cases.kind import Choice
from quintet.cases.kind import Option as VerdictOption
from quintet.cases.store import Case
from quintet.conversions.insights import Insight
from quintet.domains import DOMAINS
from quintet.lending.decision_log import DecisionRecord
from quintet.presentation.design import Column, Figure
from quintet.web import contexts, lending_contexts
from quintet.web.cases.evidence import Evidence
from quintet.web.pages import conversions_parts, insurance, promotions
from quintet.web.pages.payments_words import SeriesState
from quintet.web.problems import Problem
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Shell, Table, environment, render

MODULES = [importlib.import_module(name) for domain in DOMAINS for name in domain.web]
CONTEXTS: dict[str, type] = dict(contexts.CONTEXTS)
for module in MODULES:
    CONTEXTS |= getattr(module, "CONTEXTS", {})

TYPES = {each.__name__: each for each in (Insight, DecisionRecord, SeriesState, Problem, Case, Evidence)} | {
    "Choice": Choice,
    "VerdictOption": VerdictOption,
}
"""What `contexts` imports for type checking alone."""


def hints_of(kind: type) -> dict[str, Any]:
    """Return the names of a context, dataclass or model with their types."""
    return get_type_hints(kind, localns=TYPES if typing.is_typeddict(kind) else None)


def source_of(template: str) -> str:
    environment_ = environment()
    assert environment_.loader is not None
    return environment_.loader.get_source(environment_, template)[0]


def pages() -> list[str]:
    return [name for name in environment().list_templates() if 'extends "base.html"' in source_of(name)]


# -- names and attributes ----------------------------------------------------------------------------------------------


def unknown_names(source: str, context: type) -> set[str]:
    """Return the names in a template that its context lacks, and attributes that their types lack, as a.b."""
    tree = environment().parse(source)
    known = hints_of(context)
    names = meta.find_undeclared_variables(tree) - environment().globals.keys() - {"shell"} - _declared(tree)
    return {name for name in names if name not in known} | set(_unknown_attributes(tree, known))


def _declared(tree: nodes.Template) -> set[str]:
    """Return what the template imports or defines for its blocks."""
    imported = {node.target for node in tree.find_all(nodes.Import)}
    assigned = {node.target.name for node in tree.find_all(nodes.Assign) if isinstance(node.target, nodes.Name)}
    return imported | assigned | {node.name for node in tree.find_all(nodes.Macro)}


def _unknown_attributes(node: nodes.Node, known: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node, nodes.Getattr):
        owner = _plain(_type_of(node.node, known))
        if _has_fields(owner) and node.attr not in hints_of(owner) and not hasattr(owner, node.attr):
            yield f"{owner.__name__}.{node.attr}"
    if isinstance(node, nodes.For):
        inner = dict(known) | dict(_bound(node.target, _element(_plain(_type_of(node.iter, known)))))
        yield from _unknown_attributes(node.iter, known)
        for child in (*node.body, *node.else_):
            yield from _unknown_attributes(child, inner)
        return
    for child in node.iter_child_nodes():
        yield from _unknown_attributes(child, known)


def _type_of(node: nodes.Node, known: Mapping[str, Any]) -> Any:
    if isinstance(node, nodes.Name):
        return known.get(node.name, Any)
    if isinstance(node, nodes.Getattr):
        owner = _plain(_type_of(node.node, known))
        return hints_of(owner).get(node.attr, Any) if _has_fields(owner) else Any
    return Any


def _plain(kind: Any) -> Any:
    """Return the type without None and NotRequired."""
    if get_origin(kind) is NotRequired:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (types.UnionType, typing.Union):
        (*others,) = [one for one in get_args(kind) if one is not types.NoneType]
        return _plain(others[0]) if len(others) == 1 else Any
    return kind


def _has_fields(kind: Any) -> bool:
    return typing.is_typeddict(kind) or dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields")


def _element(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) in (abc.Sequence, list, tuple) and get_args(kind) else Any


def _bound(target: nodes.Node, element: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(target, nodes.Name):
        yield target.name, element
    elif isinstance(target, nodes.Tuple):
        parts = get_args(element) if get_origin(element) is tuple else ()
        for place, item in enumerate(target.items):
            yield from _bound(item, parts[place] if place < len(parts) else Any)


def test_every_page_has_a_context_and_no_context_lacks_its_page() -> None:
    assert set(pages()) == CONTEXTS.keys()


@pytest.mark.parametrize("template", sorted(CONTEXTS))
def test_a_template_uses_only_what_its_context_has(template: str) -> None:
    assert unknown_names(source_of(template), CONTEXTS[template]) == set()


@pytest.mark.parametrize("template", sorted(CONTEXTS))
def test_a_context_has_only_what_its_template_uses(template: str) -> None:
    used = meta.find_undeclared_variables(environment().parse(source_of(template)))
    assert hints_of(CONTEXTS[template]).keys() - used == set()


class Small(TypedDict):
    table: Table
    kpis: typing.Sequence[Kpi]
    pairs: typing.Sequence[tuple[str, Option]]
    trace: lending_contexts.TraceContext | None


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("{{ table.caption }}{% for kpi in kpis %}{{ kpi.label }}{% endfor %}{{ shell.title }}", set()),
        ("{{ tabel }}", {"tabel"}),
        ("{{ table.captoin }}", {"Table.captoin"}),
        ("{% for kpi in kpis %}{{ kpi.lable }}{% endfor %}", {"Kpi.lable"}),
        ("{% for name, option in pairs %}{{ name }}{{ option.vlaue }}{% endfor %}", {"Option.vlaue"}),
        ("{% if trace %}{{ trace.record.decision }}{{ trace.recrod }}{% endif %}", {"TraceContext.recrod"}),
        ("{{ trace.record.decison }}", {"DecisionRecord.decison"}),
    ],
)
def test_an_unknown_name_or_attribute_is_found(source: str, unknown: set[str]) -> None:
    assert unknown_names(source, Small) == unknown


# -- rendering ---------------------------------------------------------------------------------------------------------

COLUMNS = (Column("a", "A", "count"),)
FRAME = pd.DataFrame({"a": [1, 2]})
FIGURE = Figure("a", "A", "2.", alt.Chart(FRAME).mark_bar().encode(x="a:Q"), FRAME, COLUMNS)


class _EveryFigure(dict[str, Panel]):
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> Panel:
        return Panel(dataclasses.replace(FIGURE, name=name))


SAMPLES: dict[Any, Any] = {
    Table: Table(FRAME, COLUMNS, "Table", 2),
    Kpi: Kpi("Users", 5.0, "count"),
    Panel: Panel(FIGURE),
    FilterBar: FilterBar("/", [Filter("a", "A", "select", [Option("x", "X")], ["x"])]),
    contexts.Figures: _EveryFigure(a=Panel(FIGURE)),
    str: "2026-11-30T10:00:00",
    Markup: Markup("<figure></figure>"),
    int: 7,
    float: 0.5,
    bool: True,
    dt.datetime: dt.datetime(2026, 11, 30),
}
ROW = {
    "incident_id": "0a", "name": "denied", "severity": "critical", "state": "firing", "source": "live",
    "started_at": "2026-11-30T10:00:00Z", "ended_at": None, "reason": "Why.", "acknowledged_by": None,
    "explained": [], "loss": None,
    "user_id": "u1", "decision": "block", "score": 0.9, "label": "abuser", "cluster_id": "u0", "cluster_size": 2,
    "sentences": ["Why."], "threshold": 0.5, "version": "v", "error": "none",
}  # fmt: skip


def sample_of(kind: Any, *, is_full: bool) -> Any:
    """Return a value of a type; with `is_full`, optional values are there and sequences have an element."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind == contexts.Figures or origin is None:
        plain = SAMPLES.get(kind)
        return _with_fields(kind, is_full=is_full) if plain is None and kind is not Any else plain
    if origin is typing.Literal:
        return parts[0]
    inner = [sample_of(part, is_full=is_full) for part in parts if part not in (Any, Ellipsis, types.NoneType)]
    return _made_of(origin, inner, is_full=is_full)


def _made_of(origin: Any, inner: list[Any], *, is_full: bool) -> Any:
    if origin in (types.UnionType, typing.Union):
        return inner[0] if is_full else None
    if origin is abc.Mapping:
        return ROW if len(inner) < 2 else dict([inner]) if is_full else {}
    if origin in (abc.Sequence, list):
        return inner if is_full else []
    return tuple(inner) if origin is tuple else inner[0]


def _with_fields(kind: Any, *, is_full: bool) -> Any:
    values = {name: sample_of(hint, is_full=is_full) for name, hint in hints_of(kind).items()}
    if typing.is_typeddict(kind):
        return values
    if hasattr(kind, "model_fields"):
        return kind(**{name: values[name] for name in kind.model_fields})
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind)})


def full_context(template: str, *, is_full: bool) -> dict[str, Any]:
    context = sample_of(CONTEXTS[template], is_full=is_full)
    if template == "lending_decisions.html" and is_full:
        context["trace"]["problem"] = None
    if template == "payments.html" and is_full:
        context["figures"] |= {"checkout": Markup(), "evaluation": Markup()}
    if template == "promotions.html" and is_full:
        context["card"]["facts"] = {"Review from": "0.5", "Block from": "0.9"}
    if template == "reports.html":
        context["problem"] = None
    if template == "error.html":
        context["problem"].status = 422
    return dict(context)


SHELL = Shell("Title", "/")


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("template", sorted(CONTEXTS))
def test_a_template_renders_with_its_context(template: str, is_full: bool) -> None:
    html = render(template, SHELL, **full_context(template, is_full=is_full))

    assert "<title>Title · Quintet</title>" in html


def renders(template: str, context: Mapping[str, Any]) -> bool:
    try:
        render(template, SHELL, **context)
    except (UndefinedError, TypeError):  # a filter of Python refuses an undefined name with a TypeError
        return False
    return True


@pytest.mark.parametrize("template", sorted(CONTEXTS))
def test_a_template_does_not_render_without_a_name_of_its_context(template: str) -> None:
    context = full_context(template, is_full=True)
    variants = [context, context | {"is_live": False}] if "is_live" in context else [context]
    alone = {"compared": None} if "compared" in context else {}
    tabs = (*conversions_parts.TABS, *promotions.TABS, *insurance.TABS) if "tab" in context else ()
    variants += [context | alone | {"tab": tab} for tab in tabs]
    for name in context:
        lacking = [{key: value for key, value in variant.items() if key != name} for variant in variants]
        assert not all(renders(template, each) for each in lacking), name
