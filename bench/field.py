"""Scorecard, forecast, alerts, policy, matching, features, stream and messages beside the programs of their fields.

Each comparator runs in an environment of its own on the same input; where it cannot be installed, its row says so. The
worlds come from the project's own generators: the figures compare methods, and do not say how good either is on other
data. Where a comparator has settings that matter, it gets its best; where it has several, the best one counts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bench.comparators import comparator
from bench.field_decisions import beside_zen
from bench.field_features import beside_feast
from bench.field_forecasts import beside_forecast, wape
from bench.field_messages import beside_alertmanager
from bench.field_stream import beside_debezium
from bench.matching import beside_splink
from bench.measure import Line, MissingError, options, print_lines, run
from quintet.insurance.forecast_backtest import BEST_SO_FAR, backtest, rolling_forecasts
from quintet.insurance.forecast_models import NAIVE
from quintet.insurance.forecast_panel import panel
from quintet.lending.feature_registry import features
from quintet.lending.measures import Ranking, calibration_error
from quintet.lending.model_training import Trained, columns_of, train
from quintet.lending.training import settle, training_set
from quintet.payments.evaluation import EPISODE_COLUMNS, Episodes, evaluate, gamma_poisson, half_space_trees
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.payments import PaymentsWorld, transaction_minutes
from quintet.state.features import FeatureStore
from tests.unit.insurance.test_forecast import made_history
from tests.unit.lending.book import snapshot_of

USUALLY = "15 minutes"

_FOLDER = Path(__file__).parent
_SEEDS = (101, 102, 103)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("field", __doc__)
    parser.add_argument("--only", choices=list(_PARTS), action="append", help="one part; may be given again")
    given = parser.parse_args(arguments)
    lines, loads = [], []
    for name in given.only or _PARTS:
        with tempfile.TemporaryDirectory() as folder:
            lines += _PARTS[name](given.quick, Path(folder))
        loads.append(f"{name} {os.getloadavg()[0]:.1f}")
    lines.append(Line("load after each part", ", ".join(loads), "", True))
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
    """Compare on books of several seeds; the figures are medians."""
    seeds = _SEEDS[:1] if quick else _SEEDS
    own: dict[str, list[float]] = {"auc": [], "off": []}
    theirs: dict[str, list[float]] = {"auc": [], "off": []}
    loans, reason = 0, ""
    for seed in seeds:
        trained = _trained(2_000 if quick else 20_000, seed)
        tested = trained.tested
        loans += len(tested)
        is_default = tested["is_default"].to_numpy()
        inputs = trained.models["scorecard"].inputs
        for name, rows in (("early", trained.early), ("tested", tested)):
            frame = pd.DataFrame(columns_of(rows, inputs)).assign(is_default=rows["is_default"].to_numpy().astype(int))
            frame.to_csv(folder / f"{name}.csv", index=False)
        _note_scores(own, is_default, tested["scorecard"].to_numpy())
        found = _theirs("optbinning", "scorecard", folder, {})
        if isinstance(found, str):
            reason = found
        else:
            _note_scores(theirs, is_default, np.array(found["probability"]))
    others = reason or {name: statistics.median(values) for name, values in theirs.items()}
    auc, off = (statistics.median(own[name]) for name in ("auc", "off"))
    what = f"of {loans:,} later loans, {len(seeds)} {'book' if len(seeds) == 1 else 'books'}"
    return [
        _beside(f"scorecard: AUC {what}", auc, others, "optbinning", "auc", less=False),
        _beside("scorecard: calibration error", off, others, "optbinning", "off"),
    ]


def _note_scores(scores: dict[str, list[float]], is_default: np.ndarray, probability: np.ndarray) -> None:
    scores["auc"].append(Ranking(is_default, probability).auc())
    scores["off"].append(calibration_error(is_default, probability))


def _trained(clients: int, seed: int) -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        with store.change() as draft:
            settle(draft, features(), snapshot_of(make_book(LendingWorld(clients=clients), seed)), snapshot_ends=True)
        rows = training_set(store, features())
        store.close()
    return train(rows)


def _forecast(quick: bool, folder: Path) -> list[Line]:
    """Compare on the same rolling origins; a series that a comparator cannot forecast repeats its last year."""
    known = panel(made_history(agencies=20 if quick else 200, lead=0.4))
    tested = backtest(rolling_forecasts(known)).dropna(subset=["lo80"])
    tested = tested.assign(key=_series(tested))
    years = sorted(int(year) for year in tested["year"].unique())[-1 if quick else 0 :]
    tested = tested[tested["year"].isin(years)]
    own, naive = (tested[tested["model"] == name] for name in (BEST_SO_FAR, NAIVE))
    columns = ["key", "year", "premium", "policy_growth"]
    known.assign(key=_series(known))[columns].to_csv(folder / "panel.csv", index=False)
    lines = [
        Line("forecast: WAPE of repeating the last complete year", f"{wape(naive, naive['forecast']):.4f}", "", True)
    ]
    for name, script in {"statsforecast": "forecast", "mlforecast": "mlforecast"}.items():
        found = _theirs(name, script, folder, {"years": years})
        if isinstance(found, str):
            lines.append(Line(f"forecast: WAPE, beside {name}", f"{wape(own, own['forecast']):.4f}", "", True, found))
        else:
            lines += beside_forecast(name, own, pd.read_csv(folder / "made.csv"))
    return lines


def _series(rows: pd.DataFrame) -> pd.Series:
    return rows["agency_id"].astype(str) + rows["prod_line"]


def _alerts(quick: bool, folder: Path) -> list[Line]:
    """Compare on one world, with several settings of ADTK. River takes a minute, so that a quick run leaves it out."""
    days = 10 if quick else 28
    minutes, truth = transaction_minutes(PaymentsWorld(days=days, checkout_days=1), seed=11)
    minutes.to_csv(folder / "minutes.csv", index=False)
    found = _theirs("adtk", "alerts", folder, {"factors": (6.0,) if quick else (3.0, 6.0, 12.0)})
    reason = found if isinstance(found, str) else ""
    detectors: dict[str, Episodes] = {"own": gamma_poisson}
    if not isinstance(found, str):
        detectors |= {f"ADTK {setting}": _fixed(episodes) for setting, episodes in found.items()}
    if importlib.util.find_spec("river") is None:
        reason = f"{reason}; River is not installed".removeprefix("; ")
    elif not quick:
        detectors["River"] = half_space_trees
    summary, _ = evaluate({"world": (minutes, truth)}, detectors)
    rows = summary[summary["scope"] == "all"].set_index("detector")[["recall", "false_episodes_per_day"]]
    own, others = rows.loc["own"], rows.drop("own")
    said = [f"{name} {row['recall']:.3f}, {row['false_episodes_per_day']:.3f}" for name, row in others.iterrows()]
    finds_more = (others["recall"] > own["recall"]) & (
        others["false_episodes_per_day"] <= own["false_episodes_per_day"]
    )
    has_fewer = (others["recall"] >= own["recall"]) & (others["false_episodes_per_day"] < own["false_episodes_per_day"])
    return [
        Line(
            f"alerts: recall, false episodes a day, {days} days",
            f"{own['recall']:.3f}, {own['false_episodes_per_day']:.3f}",
            "none is better in one and as good in the other" if said else "",
            not (finds_more | has_fewer).any(),
            "; ".join([*said, *([reason] if reason else [])]),
        )
    ]


def _fixed(episodes: Sequence[Sequence[str]]) -> Episodes:
    frame = pd.DataFrame(episodes, columns=EPISODE_COLUMNS)
    times = EPISODE_COLUMNS[1:]
    frame[times] = frame[times].apply(pd.to_datetime)
    return lambda _: frame


def _matching(quick: bool, folder: Path) -> list[Line]:
    """Compare with Splink, whose links are one to one by its clustering of single best links."""
    return beside_splink(folder, 5_000 if quick else 20_000)


_PARTS: Mapping[str, Callable[[bool, Path], list[Line]]] = MappingProxyType(
    {
        "scorecard": _scorecard,
        "forecast": _forecast,
        "alerts": _alerts,
        "policy": beside_zen,
        "matching": _matching,
        "features": beside_feast,
        "stream": beside_debezium,
        "messages": beside_alertmanager,
    }
)
"""The parts, by their names on the command line."""
