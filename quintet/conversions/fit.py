"""Train a matching model from the rows alone, without an offset, prior or label."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.assign import best_threshold, one_to_one
from quintet.conversions.candidates import (
    Candidates,
    MatchInput,
    Window,
    find_candidates,
    lay_out,
    stretches,
    typed_conversions,
    typed_rows,
    write_ordered,
)
from quintet.conversions.clock import conversion_index, estimate_clock
from quintet.conversions.expectation import country_share, pair_probabilities, settled
from quintet.conversions.lag import cut, first_density
from quintet.conversions.matching_model import ClockStretch, FieldWeights, MatchingModel, PartnerModel
from quintet.conversions.simulation import UNCALIBRATED, Correction, Simulation, Trial, chosen_correction, reliability
from quintet.ml.model_registry import Verdict

_SLICE_ROWS = 20_000
_SLICES = 8
_KEPT_MASS = 0.998
_LEAST_KEPT_MASS = 0.985
_HOPELESS = 4
_LEAST_RATIO = 2  # of matches to false ones

MOST_FALSE_MATCHES = 0.005
"""The largest share of rows that may match conversions of other hours, where short lags make that possible."""

PLACEBO_HOURS = (5, -7, 9, -11)
"""Shifts of the conversions for a placebo: not a plausible offset, and to comparable hours of the day."""
_HOUR = 3_600
_DAY = 24 * _HOUR
_NEAR_DAYS = 366
_TRIALS = 4  # one trial errs by up to 0.005 in the expected precision where conversions are dense


def halo_seconds(horizon_seconds: int) -> int:
    """Return how far a window extends beyond its block: the horizon, and enough for the rate of rows; whole hours."""
    return max(-(-horizon_seconds // _HOUR), 2) * _HOUR


@dataclass(frozen=True)
class _Partner:
    """A partner's rows and clock. country, own_at: of all rows, in order of the partner's clock."""

    name: str
    country: np.ndarray
    own_at: np.ndarray
    clock: tuple[ClockStretch, ...]

    @property
    def at(self) -> np.ndarray:
        """The times of the rows on our clock."""
        stretch = np.searchsorted([stretch.from_at for stretch in self.clock[1:]], self.own_at, side="right")
        return self.own_at - np.array([stretch.offset_seconds for stretch in self.clock])[stretch]


@dataclass(frozen=True)
class Training:
    """A trained model, with the shares of the training rows that it matches.

    match_share: at their own hours. false_share: with the conversions moved by the hours of `PLACEBO_HOURS`, where
    every match is false; the largest.
    """

    model: MatchingModel
    match_share: float = 0.0
    false_share: float = 0.0


def gate(training: Training, current: MatchingModel | None) -> Verdict:
    """Return the promotion gate's verdict: matches at the rows' own hours must be clearly more than false ones.

    It depends on the rows alone, so that the order in which they arrive does not matter. Where there is no model, any
    is better than none.
    """
    shares = f"it matches {training.match_share:.1%} of the rows, and {training.false_share:.2%} at other hours"
    if training.false_share <= MOST_FALSE_MATCHES or training.match_share >= _LEAST_RATIO * training.false_share:
        return Verdict(True, shares)
    if current is None:
        return Verdict(True, f"{shares}, which is little better than chance; but there is no other model")
    return Verdict(False, f"{shares}, which is little better than chance")


def fit(connection: duckdb.DuckDBPyConnection, data: MatchInput) -> MatchingModel:
    """Return the model of `train`."""
    return train(connection, data).model


def train(connection: duckdb.DuckDBPyConnection, data: MatchInput) -> Training:
    """Train a model for every partner of `data`: clock, lag, rates, agreement of countries, and the threshold.

    The same rows give the same model in any order. Writes only temporary tables.
    """
    conversions = connection.execute(f"select country, at_second from {typed_conversions(data)}").fetchnumpy()
    country, at = np.asarray(conversions["country"]), np.asarray(conversions["at_second"])
    is_near = _is_near(at, connection.execute(f"select distinct own_at // {_DAY} from {typed_rows(data)}").fetchall())
    country, at = country[is_near], at[is_near]
    index = conversion_index(country[country >= 0], at[country >= 0])
    # The time in which half a conversion of any country occurs at random.
    any_country = max(int(0.5 * np.ptp(at) / len(at)), 1) if len(at) else 1
    names = connection.execute(f"select distinct partner from {typed_rows(data)} order by 1").fetchall()
    partners = {name: _first_model(_partner(connection, data, name, index), index, any_country) for (name,) in names}
    model = MatchingModel(partners, UNCALIBRATED, threshold=0.5, chosen_come_true=1.0)
    if not len(index) or not partners:
        return Training(model)
    slices = _slices(connection, data, model)
    training = _train(connection, model, slices)
    connection.execute("drop table fit_conversions")
    connection.execute("drop table fit_rows")
    return training


def _is_near(at: np.ndarray, days: list[tuple[int]]) -> np.ndarray:
    """Return whether any of `days`, counted from the epoch, is within `_NEAR_DAYS` of each time; all without days.

    A mistyped year must not stretch the time over which the conversions' rate is measured.
    """
    if not days:
        return np.ones(len(at), dtype=bool)
    known = np.sort(np.array(days)[:, 0])
    day = at // _DAY
    return np.searchsorted(known, day - _NEAR_DAYS) < np.searchsorted(known, day + _NEAR_DAYS, side="right")


def _partner(connection: duckdb.DuckDBPyConnection, data: MatchInput, name: str, index: np.ndarray) -> _Partner:
    rows = connection.execute(
        "select case when ip >= 0 then ip else residency end as country, own_at "
        f"from {typed_rows(data)} where partner = ? and (ip >= 0 or residency >= 0) order by own_at, country",
        [name],
    ).fetchnumpy()
    country, own_at = np.asarray(rows["country"]), np.asarray(rows["own_at"])
    return _Partner(name, country, own_at, estimate_clock(index, country, own_at))


def _first_model(partner: _Partner, index: np.ndarray, any_country_seconds: int) -> PartnerModel:
    """Return the initial model: the lag from excess pairs, typical values for the other parameters."""
    share = country_share(partner.country, np.ones(len(partner.country)))
    rest = 1e-4
    lag = first_density(index, partner.country, partner.at)
    return PartnerModel(
        clock=partner.clock,
        lag=lag,
        click_rate=0.5,
        burst_click_rate=0.5,
        row_link_share=0.8,
        ip=FieldWeights(0.95, 0.01, 0.04, 0.98, 0.01, 0.01),
        residency=FieldWeights(0.45, 0.5, 0.05, 0.45, 0.5, 0.05),
        unlinked_ip_share=share | {"": 0.01},
        unlinked_ip_rest=rest,
        country_share=share,
        country_rest=rest,
        any_country_seconds=min(any_country_seconds, lag.horizon_seconds),
        rows=len(partner.own_at),
    )


@dataclass(frozen=True)
class _Slices:
    """Stretches of the calendar to train on, over the temporary tables fit_conversions and fit_rows."""

    window: Window
    blocks: np.ndarray

    def candidates(self, connection: duckdb.DuckDBPyConnection, model: MatchingModel, hours: int = 0) -> Candidates:
        """Return the candidates of the conversions moved by `hours`."""
        moved = f"(select * replace (at_second + {hours * _HOUR} as at_second) from fit_conversions)"
        laid = lay_out(connection, moved, "fit_rows", self.window, self.blocks)
        return find_candidates(laid, model.horizon_seconds, model.any_country_seconds)


def _slices(connection: duckdb.DuckDBPyConnection, data: MatchInput, model: MatchingModel) -> _Slices:
    """Return slices, spread evenly over the time that each partner's rows cover."""
    connection.register("clock_stretches", stretches(model))
    rows = f"""(
        select broker_row_id, partner_number, own_at - offset_seconds as at_second, ip, residency
        from {typed_rows(data)} as rows
        join clock_stretches using (partner) where own_at >= from_at and own_at < until_at
    )"""
    halo = halo_seconds(model.horizon_seconds)
    for width in (24 * _HOUR, 12 * _HOUR, 6 * _HOUR, 3 * _HOUR, _HOUR):
        held = connection.execute(
            f"select partner_number, at_second // {width} as block, count(*) as rows "
            f"from {rows} group by all order by all"
        ).df()
        if held["rows"].quantile(0.9) <= _SLICE_ROWS / _SLICES:
            break
    chosen = np.unique(np.concatenate([_spread(each) for _, each in held.groupby("partner_number")]))
    slices = _Slices(Window(width, halo), chosen)
    furthest = max(abs(hours) for hours in PLACEBO_HOURS)
    write_ordered(connection, typed_conversions(data), rows, slices.window, chosen, "fit", further_hours=furthest)
    connection.unregister("clock_stretches")
    return slices


def _spread(held: pd.DataFrame) -> np.ndarray:
    """Return evenly spread blocks of one partner with enough rows to train on."""
    needed = max(int(np.ceil(_SLICE_ROWS / held["rows"].mean())), _SLICES)
    blocks = held["block"].to_numpy()
    return blocks[np.unique(np.linspace(0, len(blocks) - 1, min(needed, len(blocks))).round().astype(int))]


def _train(connection: duckdb.DuckDBPyConnection, model: MatchingModel, slices: _Slices) -> Training:
    candidates = slices.candidates(connection, model)
    model = _with_lags(settled(model, candidates), _KEPT_MASS)
    correction = Correction.measured(model, Simulation.drawn(model, candidates, seed=0))
    model = correction.of(model)
    trials = [Trial.of(model, candidates, correction, seed) for seed in range(1, _TRIALS + 1)]
    model = with_threshold(replace(model, calibration=reliability(trials)), candidates)
    model = replace(model, chosen_come_true=chosen_correction(model, trials))
    shorter = [_with_lags(model, kept_mass) for kept_mass in (1.0, 0.995, 0.99, _LEAST_KEPT_MASS)]
    rates: list[list[float]] = [[] for _ in shorter]
    for hours in PLACEBO_HOURS:
        placebo = slices.candidates(connection, model, hours)
        # Dense conversions and long lags: every row has a plausible conversion, and the lags stay unchanged.
        if _match_share(shorter[-1], placebo) > _HOPELESS * MOST_FALSE_MATCHES:
            return Training(model, _match_share(model, candidates), _match_share(model, placebo))
        for each, measured in zip(shorter, rates, strict=True):
            measured.append(_match_share(each, placebo))
    for each, measured in zip(shorter, rates, strict=True):
        if max(measured) <= MOST_FALSE_MATCHES:
            chosen = with_threshold(each, candidates)
            return Training(chosen, _match_share(chosen, candidates), max(measured))
    return Training(model, _match_share(model, candidates), max(rates[0]))


def _with_lags(model: MatchingModel, kept_mass: float) -> MatchingModel:
    return replace(
        model,
        partners={name: replace(each, lag=cut(each.lag, kept_mass)) for name, each in model.partners.items()},
    )


def _match_share(model: MatchingModel, candidates: Candidates) -> float:
    """Return the share of rows with a match of an agreeing country."""
    probability = pair_probabilities(model, candidates)
    likely = candidates.agrees & (probability > model.threshold) & candidates.rows["own"].to_numpy()[candidates.row]
    kept = one_to_one(candidates.row[likely], candidates.conversion[likely], probability[likely])
    return float(kept.sum() / max(candidates.rows["own"].sum(), 1))


def with_threshold(model: MatchingModel, candidates: Candidates) -> MatchingModel:
    """Return the model with the threshold that gives the largest expected F1 on the candidates."""
    probability = pair_probabilities(model, candidates)
    own = candidates.conversions["own"].to_numpy()[candidates.conversion] & candidates.agrees
    reach = {number: partner.reach for number, (_, partner) in enumerate(sorted(model.partners.items()))}
    share = np.array([reach[number] for number in range(len(reach))])
    partner = candidates.rows["partner"].to_numpy()[candidates.row[own]]
    return replace(model, threshold=best_threshold(probability[own], float((probability[own] / share[partner]).sum())))
