"""The scorecard, premium forecast, alerts, policy and matching beside libraries of their fields, on the same data.

Each comparator runs in an environment of its own; where it cannot be installed, its row says so. The worlds come from
the project's own generators: the figures compare methods, and do not say how good either is on other data.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.comparators import comparator
from bench.matching import beside_splink
from bench.measure import Line, MissingError, options, print_lines, run
from quintet.insurance.forecast_backtest import BEST_SO_FAR, backtest, rolling_forecasts
from quintet.insurance.forecast_models import NAIVE
from quintet.insurance.forecast_panel import panel
from quintet.lending.feature_registry import features
from quintet.lending.measures import Ranking, calibration_error
from quintet.lending.model_training import Trained, columns_of, train
from quintet.lending.policy import Policy, read_policy
from quintet.lending.scoring import Scored
from quintet.lending.training import settle, training_set
from quintet.payments.evaluation import evaluate, gamma_poisson
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.payments import PaymentsWorld, transaction_minutes
from quintet.state.features import FeatureStore
from tests.unit.insurance.test_forecast import made_history
from tests.unit.lending.book import snapshot_of

USUALLY = "6 minutes"

_FOLDER = Path(__file__).parent
_PARTS = ("scorecard", "forecast", "alerts", "policy", "matching")


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("field", __doc__)
    parser.add_argument("--only", choices=_PARTS, action="append", help="one part; may be given again")
    given = parser.parse_args(arguments)
    measure: Mapping[str, Callable[[bool, Path], list[Line]]] = {
        "scorecard": _scorecard,
        "forecast": _forecast,
        "alerts": _alerts,
        "policy": _policy,
        "matching": _matching,
    }
    with tempfile.TemporaryDirectory() as folder:
        lines = [line for name in given.only or _PARTS for line in measure[name](given.quick, Path(folder))]
    return print_lines("Beside the field", lines)


def _theirs(name: str, script: str, folder: Path, given: Mapping[str, Any]) -> dict[str, Any] | str:
    """Return what a comparator's script measured in its own environment, or in words why it could not be.

    The script reads `given.json` of the folder and writes `found.json`.
    """
    try:
        python = comparator(name) / "python"
    except MissingError as error:
        return f"skipped: {error}"
    (folder / "given.json").write_text(json.dumps(given), "utf-8")
    run([str(python), str(_FOLDER / f"field_{script}.py"), str(folder)])
    found: dict[str, Any] = json.loads((folder / "found.json").read_text("utf-8"))
    return found


def _beside(what: str, own: float, theirs: dict[str, Any] | str, name: str, key: str, less: bool = True) -> Line:
    """Return the row of one figure; the limit is to be as good, up to a hundredth of it."""
    if isinstance(theirs, str):
        return Line(what, f"{own:.4f}", "", True, theirs)
    other = float(theirs[key])
    is_first = own <= other * 1.01 if less else own >= other * 0.99
    return Line(what, f"{own:.4f}", "as good as the comparator", is_first, f"{name} {other:.4f}")


def _scorecard(quick: bool, folder: Path) -> list[Line]:
    trained = _trained(2_000 if quick else 20_000)
    tested = trained.tested
    is_default, probability = tested["is_default"].to_numpy(), tested["scorecard"].to_numpy()
    inputs = trained.models["scorecard"].inputs
    for name, rows in (("early", trained.early), ("tested", tested)):
        frame = pd.DataFrame(columns_of(rows, inputs)).assign(is_default=rows["is_default"].to_numpy().astype(int))
        frame.to_csv(folder / f"{name}.csv", index=False)
    found = _theirs("optbinning", "scorecard", folder, {})
    if not isinstance(found, str):
        other = np.array(found["probability"])
        found = {"auc": Ranking(is_default, other).auc(), "off": calibration_error(is_default, other)}
    auc = Ranking(is_default, probability).auc()
    return [
        _beside(f"scorecard: AUC of {len(tested):,} later loans", auc, found, "optbinning", "auc", less=False),
        _beside("scorecard: calibration error", calibration_error(is_default, probability), found, "optbinning", "off"),
    ]


def _trained(clients: int) -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        with store.change() as draft:
            settle(draft, features(), snapshot_of(make_book(LendingWorld(clients=clients), 101)), snapshot_ends=True)
        rows = training_set(store, features())
        store.close()
    return train(rows)


def _forecast(quick: bool, folder: Path) -> list[Line]:
    """Compare on the same rolling origins; series that a library needs longer are forecast by its own naive."""
    known = panel(made_history(agencies=20 if quick else 200, lead=0.4))
    tested = backtest(rolling_forecasts(known)).dropna(subset=["lo80"])
    own = tested[tested["model"] == BEST_SO_FAR]
    naive = tested[tested["model"] == NAIVE]
    known.assign(key=known["agency_id"].astype(str) + known["prod_line"])[["key", "year", "premium"]].to_csv(
        folder / "panel.csv", index=False
    )
    years = sorted(int(year) for year in own["year"].unique())
    lines = [Line("forecast: WAPE of the last complete year", f"{_wape(naive):.4f}", "", True)]
    for name, script in {"statsforecast": "forecast", "mlforecast": "mlforecast"}.items():
        found = _theirs(name, script, folder, {"years": years, "last_only": quick})
        lines += _beside_forecast(name, own, found)
    return lines


def _beside_forecast(name: str, own: pd.DataFrame, found: dict[str, Any] | str) -> list[Line]:
    if isinstance(found, str):
        return [Line(f"forecast: WAPE, best so far, beside {name}", f"{_wape(own):.4f}", "", True, found)]
    scored = own[own["year"].isin(found["years"])]
    held = float(scored["actual"].between(scored["lo80"], scored["hi80"]).mean())
    best = min(found["wape"], key=lambda name: found["wape"][name])
    others = ", ".join(f"{name} {value:.4f}" for name, value in found["wape"].items())
    coverages = ", ".join(f"{name} {value:.0%}" for name, value in found["coverage80"].items())
    return [
        Line(
            f"forecast: WAPE, best so far, {len(scored):,} forecasts, beside {name}",
            f"{_wape(scored):.4f}",
            "as good as the best comparator",
            _wape(scored) <= found["wape"][best] * 1.01,
            others,
        ),
        Line(
            f"forecast: share held by the 80% band, beside {name}",
            f"{held:.0%}",
            "74% to 86%",
            0.74 <= held <= 0.86,
            coverages or "no bands",
        ),
    ]


def _wape(rows: pd.DataFrame) -> float:
    return float((rows["forecast"] - rows["actual"]).abs().sum() / rows["actual"].abs().sum())


def _alerts(quick: bool, folder: Path) -> list[Line]:
    days = 10 if quick else 28
    minutes, truth = transaction_minutes(PaymentsWorld(days=days, checkout_days=1), seed=11)
    minutes.to_csv(folder / "minutes.csv", index=False)
    found = _theirs("adtk", "alerts", folder, {})
    detectors = {"own": gamma_poisson}
    if not isinstance(found, str):
        theirs = pd.DataFrame(found["episodes"], columns=["series", "started_at", "detected_at", "ended_at"])
        times = ["started_at", "detected_at", "ended_at"]
        theirs[times] = theirs[times].apply(pd.to_datetime)
        detectors["adtk"] = lambda _: theirs
    summary, _ = evaluate({"world": (minutes, truth)}, detectors)
    rows = summary[summary["scope"] == "all"].set_index("detector")
    reason = found if isinstance(found, str) else ""
    lines = []
    for what, column, is_first in (
        ("recall", "recall", lambda own, other: own >= other),
        ("false episodes a day", "false_episodes_per_day", lambda own, other: own <= other),
    ):
        own = float(rows.loc["own", column])
        other = float(rows.loc["adtk", column]) if "adtk" in rows.index else own
        lines.append(
            Line(
                f"alerts: {what}, {days} days",
                f"{own:.3f}",
                "" if reason else "as good as the comparator",
                is_first(own, other),
                reason or f"adtk {other:.3f}",
            )
        )
    return lines


def _matching(quick: bool, folder: Path) -> list[Line]:
    """Compare with Splink, whose links are one to one by its clustering of single best links."""
    return beside_splink(folder, 5_000 if quick else 20_000)


def _policy(quick: bool, folder: Path) -> list[Line]:
    policy, count = read_policy(), 2_000 if quick else 50_000
    rng = np.random.default_rng(3)
    names = sorted(policy.needs)
    drawn = rng.choice([None, 0.0, 0.3, 0.6, 1.0, 5.0, 20.0, 60.0, 400.0, 5_000.0, 20_000.0], (count, len(names)))
    rows = [dict(zip(names, values, strict=True)) for values in drawn.tolist()]
    probability = rng.uniform(0, 0.6, count).tolist()
    scores = [Scored(one, 500, ()) for one in probability]
    began = time.perf_counter()
    decisions = [policy.decide(row, score).decision for row, score in zip(rows, scores, strict=True)]
    own = count / (time.perf_counter() - began)
    given = [row | {"probability": one} for row, one in zip(rows, probability, strict=True)]
    found = _theirs("zen", "policy", folder, {"graph": _as_graph(policy), "rows": given})
    what = f"policy: decisions a second, {count:,} applications"
    if isinstance(found, str):
        return [Line(what, f"{own:,.0f}", "", True, found)]
    equal = sum(one == other for one, other in zip(decisions, found["decisions"], strict=True))
    theirs = count / found["seconds"]
    return [
        Line(what, f"{own:,.0f}", "as fast as the comparator", own >= theirs, f"zen-engine {theirs:,.0f}"),
        Line("policy: equal answers", f"{equal:,} of {count:,}", "all", equal == count, is_exact=True),
    ]


_RELATIONS = {"=": "=="}


def _as_graph(policy: Policy) -> dict[str, Any]:
    """Return the policy as a graph of zen-engine with one expression, the strictest decision."""

    def condition(one: Any) -> str:
        if one.relation in ("missing", "known"):
            return f"({one.name} {'==' if one.relation == 'missing' else '!='} null)"
        relation = _RELATIONS.get(one.relation, one.relation)
        return f"({one.name} != null and {one.name} {relation} {one.number})"

    level = {"approve": 0, "refer": 1, "reject": 2}
    parts = [f"({' and '.join(map(condition, rule.when))} ? {level[rule.decision]} : 0)" for rule in policy.rules]
    score = f"(probability >= {policy.reject_from} ? 2 : (probability < {policy.approve_below} ? 0 : 1))"
    first = f"((amount != null and amount <= {policy.approve_up_to}) ? 0 : 1)"
    none = " and ".join(map(condition, policy.no_history))
    parts.append(f"({none} ? {first} : {score})")
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode"},
        {
            "id": "decide",
            "name": "decide",
            "type": "expressionNode",
            "content": {"expressions": [{"id": "one", "key": "level", "value": f"max([{', '.join(parts)}])"}]},
        },
        {"id": "out", "name": "out", "type": "outputNode"},
    ]
    edges = [
        {"id": f"{source}-{target}", "sourceId": source, "targetId": target, "type": "edge"}
        for source, target in (("in", "decide"), ("decide", "out"))
    ]
    return {"nodes": nodes, "edges": edges}
