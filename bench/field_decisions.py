"""The lending policy beside zen-engine: the same applications, the same decisions and reasons."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.field_contestant import Contestant
from bench.measure import Line, MissingError
from quintet.lending.policy import Policy, read_policy
from quintet.lending.scoring import Scored

_AMOUNTS = (None, 0.0, 0.3, 0.6, 1.0, 5.0, 20.0, 60.0, 400.0, 5_000.0, 20_000.0)
_LEAST = 10_000

Application = tuple[dict[str, float | None], Scored]
Outcome = tuple[str, tuple[str, ...]]


def beside_zen(quick: bool, folder: Path) -> list[Line]:
    """Decide the same applications in turns; the engine's faster form counts."""
    policy, (count, rounds) = read_policy(), (2_000, 1) if quick else (20_000, 5)
    applications = _applications(policy, count)
    given = {
        "expression": _as_expression(policy),
        "graph": _as_graph(_as_expression(policy)),
        "codes": [*(rule.code for rule in policy.rules), policy.no_history_code, policy.score_code],
        "rows": [row | {"probability": score.default_probability} for row, score in applications],
    }
    (folder / "given.json").write_text(json.dumps(given), "utf-8")
    what = f"policy: decisions a second, {count:,} applications"
    try:
        with Contestant.of_field("zen", "policy", folder) as engine:
            turns = [(_decide(policy, applications), engine.ask(None)) for _ in range(rounds)]
    except MissingError as missing:
        own = count / statistics.median(_decide(policy, applications)[0] for _ in range(rounds))
        return [Line(what, f"{own:,.0f}", "", True, f"skipped: {missing}")]
    own = count / statistics.median(seconds for (seconds, _), _ in turns)
    forms = {
        form: count / statistics.median(theirs["seconds"][form] for _, theirs in turns)
        for form in ("graph", "expression")
    }
    (_, outcomes), theirs = turns[0]
    others = [[(decision, tuple(reasons)) for decision, reasons in theirs["outcomes"][form]] for form in forms]
    equal = sum(len({*same}) == 1 for same in zip(outcomes, *others, strict=True))
    said = ", ".join(f"zen-engine's {form} {rate:,.0f}" for form, rate in forms.items())
    return [
        Line(
            what,
            f"{own:,.0f}",
            f"as fast as the comparator, or {_LEAST:,}",
            own >= min(_LEAST, *forms.values()),
            f"{said}; here a decision takes {1e3 / own:.3f} ms" if own < max(forms.values()) else said,
        ),
        Line("policy: equal decisions and reasons", f"{equal:,} of {count:,}", "all", equal == count, is_exact=True),
    ]


def _applications(policy: Policy, count: int) -> list[Application]:
    rng = np.random.default_rng(3)
    names = sorted(policy.needs)
    rows = rng.choice(np.array(_AMOUNTS, dtype=object), (count, len(names))).tolist()
    scores = [Scored(one, 500, ()) for one in rng.uniform(0, 0.6, count).tolist()]
    return [(dict(zip(names, values, strict=True)), score) for values, score in zip(rows, scores, strict=True)]


def _decide(policy: Policy, applications: Sequence[Application]) -> tuple[float, list[Outcome]]:
    began = time.perf_counter()
    outcomes = [policy.decide(row, score) for row, score in applications]
    return time.perf_counter() - began, [(one.decision, tuple(one.reasons)) for one in outcomes]


_RELATIONS = {"=": "=="}


def _as_expression(policy: Policy) -> str:
    """Return the policy as one expression of zen-engine: the strictest decision, 0 to 2, and which reasons hold."""

    def condition(one: Any) -> str:
        if one.relation in ("missing", "known"):
            return f"({one.name} {'==' if one.relation == 'missing' else '!='} null)"
        relation = _RELATIONS.get(one.relation, one.relation)
        return f"({one.name} != null and {one.name} {relation} {one.number})"

    level = {"approve": 0, "refer": 1, "reject": 2}
    rules = [f"({' and '.join(map(condition, rule.when))})" for rule in policy.rules]
    levels = [f"({rule} ? {level[one.decision]} : 0)" for rule, one in zip(rules, policy.rules, strict=True)]
    score = f"(probability >= {policy.reject_from} ? 2 : (probability < {policy.approve_below} ? 0 : 1))"
    first = f"((amount != null and amount <= {policy.approve_up_to}) ? 0 : 1)"
    none = f"({' and '.join(map(condition, policy.no_history))})"
    strictest = f"max([{', '.join([*levels, f'({none} ? {first} : {score})'])}])"
    return f"[{', '.join([strictest, *rules, none, f'(not {none} and probability >= {policy.approve_below})'])}]"


def _as_graph(expression: str) -> dict[str, Any]:
    """Return an expression as a graph of zen-engine, from its input to its output."""
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode"},
        {
            "id": "decide",
            "name": "decide",
            "type": "expressionNode",
            "content": {"expressions": [{"id": "one", "key": "found", "value": expression}]},
        },
        {"id": "out", "name": "out", "type": "outputNode"},
    ]
    edges = [
        {"id": f"{source}-{target}", "sourceId": source, "targetId": target, "type": "edge"}
        for source, target in (("in", "decide"), ("decide", "out"))
    ]
    return {"nodes": nodes, "edges": edges}
