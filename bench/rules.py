"""Rules: what 200 of them add to a sign-up, a list of a million entries, and a backtest over a million accounts.

The engines of the field evaluate the same 200 conditions, each in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bench.comparators import comparator
from bench.measure import Line, MissingError, options, print_lines, run
from quintet.promotions.policy import read_policy
from quintet.promotions.rule_history import backtest
from quintet.promotions.rules import GRAMMAR, figure_schema
from quintet.rules.evaluate import Column, Evaluator, Texts
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import RuleSet

USUALLY = "2 minutes"

_RULES = 200
_MOST_MS = 1.0
_MOST_MICROSECONDS = 50.0
_MOST_SECONDS = 5.0
_ROUNDS = 300
_ENGINES = {"zen-engine": "zen", "cel-expr-python": "cel", "cel-python": "celpy"}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    quick = options("rules", __doc__).parse_args(arguments).quick
    entries, accounts = (10_000, 10_000) if quick else (1_000_000, 1_000_000)
    lines = [_online(), *_list(entries), *_backtest(accounts)]
    return print_lines("Rules", lines)


def _evaluator(conditions: Sequence[str], lists: str = "", **entries: EntryList) -> Evaluator:
    text = f'version = "bench"\n{lists}' + "".join(
        f'[[rule]]\nwhen = \'{when}\'\ndecision = "review"\ncode = "R{at}"\nsentence = "s"\n'
        for at, when in enumerate(conditions)
    )
    return Evaluator(RuleSet.from_text(text, GRAMMAR), GRAMMAR, entries)


def _milliseconds(work: Callable[[], object], rounds: int) -> np.ndarray:
    found = np.empty(rounds)
    for at in range(rounds):
        began = time.perf_counter()
        work()
        found[at] = (time.perf_counter() - began) * 1e3
    return found


def _online() -> Line:
    """Two conditions a rule: a number and a text."""
    rng = np.random.default_rng(0)
    limits = rng.integers(5, 99, _RULES).tolist()
    own = [f'uses > {limit} and device_id = "device {at}"' for at, limit in enumerate(limits)]
    evaluator = _evaluator(own)
    columns: dict[str, Column] = {"uses": np.array([30.0]), "device_id": Texts.of(["another device"])}
    found = _milliseconds(lambda: evaluator.decide(columns, 1, 0.0), _ROUNDS)
    p50, p99 = np.percentile(found, [50, 99])
    values = {"uses": 30, "device_id": "another device"}
    theirs = {
        "zen": [f"uses > {limit} and device_id == 'device {at}'" for at, limit in enumerate(limits)],
        "cel": [f"uses != null && uses > {limit} && device_id == 'device {at}'" for at, limit in enumerate(limits)],
    }
    said = [
        _engine(name, engine, theirs["zen" if engine == "zen" else "cel"], values) for name, engine in _ENGINES.items()
    ]
    return Line(
        f"{_RULES} rules of one sign-up, median (p99 {p99:.2f} ms)",
        f"{p50:.2f} ms",
        f"at most {_MOST_MS:g} ms",
        bool(p50 <= _MOST_MS),
        "; ".join(said),
    )


def _engine(name: str, engine: str, conditions: Sequence[str], values: dict[str, Any]) -> str:
    try:
        python = comparator(engine) / "python"
    except MissingError as error:
        return f"skipped: {error}"
    with tempfile.TemporaryDirectory() as folder:
        given = {"engine": engine, "conditions": list(conditions), "values": values}
        Path(folder, "given.json").write_text(json.dumps(given), "utf-8")
        run([str(python), str(Path(__file__).with_name("field_rules.py")), folder])
        found = json.loads(Path(folder, "found.json").read_text("utf-8"))
    names = "names" if found["names_unknown"] else "does not name"
    return f"{name} {found['ms']:.2f} ms, {names} an unknown figure"


def _list(count: int) -> list[Line]:
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 2**24, count)
    networks = [(f"{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}.0/24", None) for one in numbers.tolist()]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    entries = EntryList.of("network", networks)
    seconds = time.perf_counter() - began
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    found = _milliseconds(lambda: entries.has("203.0.113.7", 0.0), _ROUNDS)
    median = float(np.median(found)) * 1e3
    return [
        Line(f"list of {count:,} networks: load", f"{seconds:.1f} s, {megabytes:.0f} MB", "", True),
        Line(
            "the same: whether an address is in it, median",
            f"{median:.1f} µs",
            f"at most {_MOST_MICROSECONDS:g} µs",
            median <= _MOST_MICROSECONDS,
        ),
    ]


def _backtest(count: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(Path(folder, "snapshot.duckdb"))) as connection:
        _snapshot(connection, count)
        policy = read_policy()
        numeric = _evaluator(["cluster_size >= 5 and is_email_verified is false"])
        lists = (
            '[[list]]\nname = "domains"\nfigure = "email"\nmatches = "email_domain"\naction = "watch"\nsentence = "s"\n'
        )
        domains = EntryList.of("email_domain", [(f"mail{at}.example", None) for at in range(0, 1_000, 7)])
        textual = _evaluator(["days_to_first_use < 0.1"], lists, domains=domains)
        lines = []
        for what, evaluator in (("of numbers", numeric), ("and a list of e-mail domains", textual)):
            began = time.perf_counter()
            found = backtest(connection.cursor(), policy, None, evaluator, 0.0)
            seconds = time.perf_counter() - began
            changed = sum(move.subjects for move in found.moves)
            named = f"backtest of a rule {what}: {found.subjects:,} accounts, {changed:,} change"
            lines.append(Line(named, f"{seconds:.1f} s", f"at most {_MOST_SECONDS:g} s", seconds <= _MOST_SECONDS))
        return lines


def _snapshot(connection: duckdb.DuckDBPyConnection, count: int) -> None:
    """Make a snapshot of that many accounts: a thousand e-mail domains, 2% labelled, a use each."""
    of_kind = {
        "email": "'user' || n || '@mail' || (hash(n) % 1000) || '.example'",
        "cluster_size": "1 + (hash(n + 1) % 40 = 0)::int * 5",
        "is_email_verified": "(hash(n + 2) % 2)::int",
        "days_to_first_use": "(hash(n + 3) % 1000) / 10",
    }
    figures = ", ".join(
        f"({of_kind.get(field.name, 'null')})::{'varchar' if field.type == 'string' else 'double'} as {field.name}"
        for field in figure_schema()
        if field.name != "user_id"
    )
    connection.execute(f"""
        create schema ml; create schema marts;
        create table ml.abuse_figures as select 'u' || n as user_id, {figures} from range({count}) as one(n);
        create table ml.abuse_scores as
            select 'u' || n as user_id, (hash(n + 4) % 1000) / 1100 as score from range({count}) as one(n);
        create table marts.fct_promo_users as
            select 'u' || n as user_id, case when hash(n + 5) % 50 = 0 then hash(n + 6) % 4 = 0 end as is_abuser
            from range({count}) as one(n);
        create table marts.fct_promo_usages as
            select 'u' || n as user_id, 'fixed_amount' as discount_type, 5.0 as discount_value,
                null::double as min_purchase_amount
            from range({count}) as one(n);
        create table marts.ops_abuse_labels (label_id bigint, user_id varchar, is_abuser boolean);
    """).fetchall()
