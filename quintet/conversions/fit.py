"""Train a matching model from the rows alone, without an offset, prior or label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from quintet.conversions.assign import best_threshold, one_to_one
from quintet.conversions.candidates import (
    UNKNOWN,
    Candidates,
    MatchInput,
    Window,
    by_country,
    country_name,
    find_candidates,
    lay_out,
    stretches,
    typed_conversions,
    typed_rows,
    write_ordered,
)
from quintet.conversions.clock import conversion_index, estimate_clock
from quintet.conversions.lag import EDGES_SECONDS, cut, first_density, smooth
from quintet.conversions.likelihood import weights
from quintet.conversions.marginals import link_probabilities
from quintet.conversions.matching_model import ClockStretch, FieldWeights, LagDensity, MatchingModel, PartnerModel

_SLICE_ROWS = 20_000
_SLICES = 8
_MOST_ROUNDS = 40
_SETTLED = 5e-4  # of the links, in one round
_IMPOSSIBLE = 1e-4
_KEPT_MASS = 0.998
_LEAST_KEPT_MASS = 0.985
_HOPELESS = 4

MOST_FALSE_MATCHES = 0.005
"""The largest share of rows that may match conversions of other hours, where short lags make that possible."""

PLACEBO_HOURS = (5, -7, 9, -11)
"""Shifts of the conversions for a placebo: not a plausible offset, and to comparable hours of the day."""
_HOUR = 3_600
_DAY = 24 * _HOUR
_NEAR_DAYS = 366
_LARGEST_CORRECTION = 2.0
_TRIALS = 4  # one trial errs by up to 0.005 in the expected precision where conversions are dense
_UNCALIBRATED = ((0.0, 0.0), (1.0, 1.0))


def halo_seconds(horizon_seconds: int) -> int:
    """Return how far a window extends beyond its block: the horizon, and enough for the rate of rows; whole hours."""
    return max(-(-horizon_seconds // _HOUR), 2) * _HOUR


def pair_probabilities(model: MatchingModel, candidates: Candidates) -> np.ndarray:
    """Return for each pair the calibrated probability that it is a link; 0 where a link is very unlikely."""
    return _calibrated(model, _inferred(model, candidates))


def _calibrated(model: MatchingModel, probability: np.ndarray) -> np.ndarray:
    given, true = np.array(model.calibration).T
    return np.where(probability > 0, np.interp(probability, given, true), 0)


def _inferred(model: MatchingModel, candidates: Candidates, messages: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities before calibration. messages: by pair, of the previous round; updated in place."""
    weight = weights(model, candidates)
    kept = np.flatnonzero(weight > _IMPOSSIBLE)
    probability = np.zeros(len(weight))
    probability[kept], last = link_probabilities(
        candidates.row[kept],
        candidates.conversion[kept],
        weight[kept],
        None if messages is None else messages[kept],
    )
    if messages is not None:
        messages[kept] = last
    return probability


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


def fit(connection: duckdb.DuckDBPyConnection, data: MatchInput) -> MatchingModel:
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
    model = MatchingModel(partners, _UNCALIBRATED, threshold=0.5, chosen_come_true=1.0)
    if not len(index) or not partners:
        return model
    slices = _slices(connection, data, model)
    model = _train(connection, model, slices)
    connection.execute("drop table fit_conversions")
    connection.execute("drop table fit_rows")
    return model


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
    share = _country_share(partner.country, np.ones(len(partner.country)))
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


def _country_share(country: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    counts = np.bincount(country[country >= 0], weight[country >= 0])
    total = max(counts.sum(), 1.0)
    return {country_name(int(code)): float(counts[code] / total) for code in np.flatnonzero(counts > 0)}


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


def _train(connection: duckdb.DuckDBPyConnection, model: MatchingModel, slices: _Slices) -> MatchingModel:
    candidates = slices.candidates(connection, model)
    model = _with_lags(_settled(model, candidates), _KEPT_MASS)
    correction = _Correction.measured(model, _Simulation.drawn(model, candidates, seed=0))
    model = correction.of(model)
    trials = [_Trial.of(model, candidates, correction, seed) for seed in range(1, _TRIALS + 1)]
    model = with_threshold(replace(model, calibration=_reliability(trials)), candidates)
    model = replace(model, chosen_come_true=_chosen_correction(model, trials))
    shorter = [_with_lags(model, kept_mass) for kept_mass in (1.0, 0.995, 0.99, _LEAST_KEPT_MASS)]
    rates: list[list[float]] = [[] for _ in shorter]
    for hours in PLACEBO_HOURS:
        placebo = slices.candidates(connection, model, hours)
        # Dense conversions and long lags: every row has a plausible conversion, and the lags stay unchanged.
        if _match_share(shorter[-1], placebo) > _HOPELESS * MOST_FALSE_MATCHES:
            return model
        for each, measured in zip(shorter, rates, strict=True):
            measured.append(_match_share(each, placebo))
    for each, measured in zip(shorter, rates, strict=True):
        if max(measured) <= MOST_FALSE_MATCHES:
            return with_threshold(each, candidates)
    return model


def _settled(model: MatchingModel, candidates: Candidates) -> MatchingModel:
    """Return the parameters at which expectation maximisation converges.

    The expectations are not calibrated: calibration would raise the many nearly impossible pairs too much, and the
    lag's tail would absorb the rows without a link.
    """
    links, messages = -1.0, np.ones(len(candidates.row))
    for _ in range(_MOST_ROUNDS):
        probability = _inferred(model, candidates, messages)
        partners = {
            name: _update(partner, number, candidates, probability)
            for number, (name, partner) in enumerate(sorted(model.partners.items()))
        }
        model = replace(model, partners=partners)
        before, links = links, float(probability.sum())
        if abs(links - before) <= _SETTLED * links:
            break
    return model


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


@dataclass(frozen=True)
class _Simulation:
    """Rows drawn from a model over the real conversions. is_link: by candidate pair."""

    candidates: Candidates
    is_link: np.ndarray

    @classmethod
    def drawn(cls, model: MatchingModel, candidates: Candidates, seed: int) -> _Simulation:
        rows = _simulated_rows(model, candidates, np.random.default_rng(seed))
        found = find_candidates(replace(candidates.laid, rows=rows), model.horizon_seconds, model.any_country_seconds)
        return cls(found, rows["true_conversion"].to_numpy()[found.row] == found.conversion)


@dataclass(frozen=True)
class _Correction:
    """The bias of training, measured on rows that are drawn from a model and trained on again.

    Belief propagation is overconfident: parameters trained with it have too short lags and too few links. By partner:
    the ratio of truth to estimate, for each bin of the lag and for the odds of the three rates.
    """

    lag: Mapping[str, np.ndarray]
    odds: Mapping[str, np.ndarray]

    @classmethod
    def measured(cls, model: MatchingModel, simulation: _Simulation) -> _Correction:
        again = _settled(model, simulation.candidates).partners
        pairs = {name: (partner, again[name]) for name, partner in model.partners.items()}
        return cls(
            {name: _bounded(np.array(one.lag.mass) / np.array(two.lag.mass)) for name, (one, two) in pairs.items()},
            {name: _bounded(_odds(one) / _odds(two)) for name, (one, two) in pairs.items()},
        )

    def of(self, model: MatchingModel) -> MatchingModel:
        """Return the model without the bias of training."""
        return replace(model, partners={name: self._of(name, each) for name, each in model.partners.items()})

    def _of(self, name: str, partner: PartnerModel) -> PartnerModel:
        mass = np.array(partner.lag.mass) * self.lag[name]
        odds = _odds(partner) * self.odds[name]
        conversion, burst, row = (odds / (1 + odds)).tolist()
        lag = LagDensity(partner.lag.edges_seconds, tuple((mass / mass.sum()).tolist()))
        return replace(partner, lag=lag, click_rate=conversion, burst_click_rate=burst, row_link_share=row)


def _odds(partner: PartnerModel) -> np.ndarray:
    rates = np.array([partner.click_rate, partner.burst_click_rate, partner.row_link_share])
    return rates / (1 - rates)


def _bounded(factor: np.ndarray) -> np.ndarray:
    return np.clip(factor, 1 / _LARGEST_CORRECTION, _LARGEST_CORRECTION)


@dataclass(frozen=True)
class _Trial:
    """The candidate links of a simulation on which a model is calibrated; only those of the blocks themselves.

    Belief propagation on a graph with loops is overconfident, the more so the more both sides are linked, and the
    parameters overfit the rows that they were trained on. The model is therefore calibrated on a simulation: the real
    conversions, rows drawn from the model, and parameters retrained on them.
    """

    row: np.ndarray
    conversion: np.ndarray
    probability: np.ndarray
    is_link: np.ndarray

    @classmethod
    def of(cls, model: MatchingModel, candidates: Candidates, correction: _Correction, seed: int) -> _Trial:
        simulation = _Simulation.drawn(model, candidates, seed)
        drawn = simulation.candidates
        probability = _inferred(correction.of(_settled(model, drawn)), drawn)
        kept = np.flatnonzero((probability > 0) & drawn.conversions["own"].to_numpy()[drawn.conversion] & drawn.agrees)
        return cls(drawn.row[kept], drawn.conversion[kept], probability[kept], simulation.is_link[kept])


def _chosen_correction(model: MatchingModel, trials: Sequence[_Trial]) -> float:
    """Return `MatchingModel.chosen_come_true`, measured on the trials."""
    expected = true = 0.0
    for trial in trials:
        probability = _calibrated(model, trial.probability)
        likely = np.flatnonzero(probability > model.threshold)
        chosen = likely[one_to_one(trial.row[likely], trial.conversion[likely], probability[likely])]
        expected += float(probability[chosen].sum())
        true += float(trial.is_link[chosen].sum())
    return true / expected if expected else 1.0


def _simulated_rows(model: MatchingModel, candidates: Candidates, rng: np.random.Generator) -> pd.DataFrame:
    """Return simulated rows without `place`, with `true_conversion`: the conversion's position, -1 for none."""
    conversions, rows = candidates.conversions, candidates.rows
    free, taken = np.ones(len(conversions), dtype=bool), np.zeros(len(conversions))
    in_burst = conversions["in_burst"].to_numpy()
    parts = []
    for number, (_, partner) in enumerate(sorted(model.partners.items())):
        rate = np.minimum(np.where(in_burst, partner.burst_click_rate, partner.click_rate) / partner.reach, 1)
        linked = np.flatnonzero(free & (rng.random(len(conversions)) < rate / np.maximum(1 - taken, rate)))
        free[linked] = False
        taken += rate
        lag = rng.choice(partner.lag.horizon_seconds, len(linked), p=partner.lag.per_second)
        of_partner = np.flatnonzero(rows["partner"].to_numpy() == number)
        alone = of_partner[rng.random(len(of_partner)) < 1 - min(partner.row_link_share / partner.reach, 1)]
        at_alone = rows["at_second"].to_numpy()[alone] + rng.integers(-_HOUR // 2, _HOUR // 2 + 1, len(alone))
        country = conversions["country"].to_numpy()[linked]
        everywhere = by_country(partner.country_share, 0)[:-1]
        unlinked = by_country(partner.unlinked_ip_share, 0)
        ip_alone = rng.choice(len(unlinked), len(alone), p=_distribution(unlinked))
        ip_alone[ip_alone == len(unlinked) - 1] = UNKNOWN
        ip = np.concatenate([_reported(country, partner.ip.m_same, partner.ip.m_missing, everywhere, rng), ip_alone])
        same, missing = partner.residency.u_same, partner.residency.u_missing
        residency = np.concatenate(
            [
                _reported(country, partner.residency.m_same, partner.residency.m_missing, everywhere, rng),
                _reported(ip_alone, same, missing, everywhere, rng),
            ]
        )
        at = np.concatenate([conversions["at_second"].to_numpy()[linked] + lag, at_alone])
        block = np.concatenate([conversions["block"].to_numpy()[linked], rows["block"].to_numpy()[alone]])
        true_conversion = np.concatenate([linked, np.full(len(alone), -1)])
        parts.append(
            pd.DataFrame(
                {"block": block, "at_second": at, "ip": ip, "residency": residency, "true_conversion": true_conversion}
            ).assign(
                partner=number,
                own=np.concatenate([conversions["own"].to_numpy()[linked], rows["own"].to_numpy()[alone]]),
            )
        )
    return pd.concat(parts).sort_values(
        ["block", "partner", "at_second", "ip", "residency", "true_conversion"], ignore_index=True
    )


def _reported(
    country: np.ndarray, same: float, missing: float, everywhere: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the value that a field reports for each true country: the country, nothing, or any country."""
    draw = rng.random(len(country))
    other = rng.choice(len(everywhere), len(country), p=_distribution(everywhere))
    return np.where(draw < same, country, np.where(draw < same + missing, UNKNOWN, other))


def _distribution(shares: np.ndarray) -> np.ndarray:
    """Return the shares, scaled to a sum of one; equal ones where all are zero: no row has a country."""
    total = shares.sum()
    return shares / total if total > 0 else np.full(len(shares), 1 / len(shares))


def _reliability(trials: Sequence[_Trial]) -> tuple[tuple[float, float], ...]:
    """Return the observed frequency of each probability, increasing, in bins that are finer towards 0 and 1."""
    probability = np.concatenate([trial.probability for trial in trials])
    is_link = np.concatenate([trial.is_link for trial in trials])
    edges = np.r_[0, 1 / (1 + np.exp(-np.linspace(-6, 6, 31))), 1]
    place = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(place, minlength=len(edges) - 1)
    filled = np.flatnonzero(count >= 20)
    if not len(filled):
        return _UNCALIBRATED
    given = np.bincount(place, probability, minlength=len(count))[filled] / count[filled]
    true = np.bincount(place, is_link, minlength=len(count))[filled] / count[filled]
    rising = isotonic_regression(true, weights=count[filled]).x
    # Strictly increasing: calibration keeps the order of pairs.
    rising = 0.999 * rising + 0.001 * given
    inner = [(float(x), float(y)) for x, y in zip(given, rising, strict=True)]
    return ((0.0, 0.0), *inner, (1.0, max(1.0 if not inner else inner[-1][1], inner[-1][1])))


def _update(partner: PartnerModel, number: int, candidates: Candidates, probability: np.ndarray) -> PartnerModel:
    """Return the parameters that maximise the likelihood. Only rows of the blocks themselves count, not of the halo."""
    rows, conversions = candidates.rows, candidates.conversions
    is_own = (rows["own"] & (rows["partner"] == number)).to_numpy()
    if not is_own.any():
        return partner
    in_rows = np.flatnonzero(is_own[candidates.row])
    p, row, conversion = probability[in_rows], candidates.row[in_rows], candidates.conversion[in_rows]
    agrees, lag = candidates.agrees[in_rows], candidates.lag[in_rows]
    ip, residency = rows["ip"].to_numpy(), rows["residency"].to_numpy()
    country = conversions["country"].to_numpy()[conversion]
    edges = EDGES_SECONDS[: int(np.searchsorted(EDGES_SECONDS, partner.lag.horizon_seconds)) + 1]
    counts = np.histogram(lag[agrees], edges, weights=p[agrees])[0]
    own_rows = np.flatnonzero(is_own)
    linked = np.minimum(np.bincount(row, p, minlength=len(rows))[own_rows], 1)
    unlinked = 1 - linked
    at = rows["at_second"].to_numpy()[own_rows]
    covered = (conversions["own"] & conversions["at_second"].between(at.min() - _HOUR, at.max())).to_numpy()
    of_partner = rows["partner"].to_numpy()[candidates.row] == number
    paired = covered[candidates.conversion] & candidates.agrees & of_partner
    in_burst = conversions["in_burst"].to_numpy()
    by_conversion = np.bincount(candidates.conversion[paired], probability[paired], minlength=len(conversions))
    click_rate = (by_conversion[~in_burst].sum() + 0.5) / ((covered & ~in_burst).sum() + 1)
    # The rate in bursts shrinks towards the rate of all conversions.
    burst_prior = 20.0
    burst_rate = (by_conversion[in_burst].sum() + burst_prior * click_rate) / ((covered & in_burst).sum() + burst_prior)
    all_ip, all_residency = ip[own_rows], residency[own_rows]
    share = _country_share(all_ip, np.ones(len(all_ip)))
    missing = float((all_ip == UNKNOWN).mean())
    rest = 0.5 / (len(own_rows) + 1)
    # The shares of rows without a link shrink towards those of all rows.
    prior = 50.0
    observed = np.bincount(np.where(all_ip == UNKNOWN, 26 * 26, all_ip), unlinked, minlength=26 * 26 + 1)
    all_share = by_country({name: value * (1 - missing) for name, value in share.items()} | {"": missing}, rest)
    unlinked_share = (observed + prior * all_share) / (observed.sum() + prior)
    through_residency = (residency[row] == country) & (country != UNKNOWN)
    through_ip = (ip[row] == country) & (country != UNKNOWN)
    by_ip, by_residency = p[through_residency], p[through_ip]
    ip_there, residency_there = ip[row][through_residency], residency[row][through_ip]
    ip_missing = max(missing, 1e-4)
    ip_same = (by_ip @ through_ip[through_residency] + 28.5) / (by_ip @ (ip_there != UNKNOWN) + 30)
    residency_missing = float(
        np.clip((by_residency @ (residency_there == UNKNOWN) + 1) / (by_residency.sum() + 2), 1e-3, 0.999)
    )
    residency_same = (by_residency @ through_residency[through_ip] + 4.5) / (
        by_residency @ (residency_there != UNKNOWN) + 5
    )
    both = (all_ip != UNKNOWN) & (all_residency != UNKNOWN)
    chance_missing = float(
        np.clip((unlinked @ (all_residency == UNKNOWN) + 2 * residency_missing) / (unlinked.sum() + 2), 1e-3, 0.999)
    )
    chance_same = (unlinked[both] @ (all_ip == all_residency)[both] + 4.5) / (unlinked[both].sum() + 5)
    ordered = {country_name(int(code)): float(unlinked_share[code]) for code in np.flatnonzero(observed[:-1] > 0)}
    return replace(
        partner,
        lag=smooth(edges, counts),
        click_rate=float(min(click_rate, 0.99)),
        burst_click_rate=float(min(burst_rate, 0.99)),
        row_link_share=float(min((linked.sum() + 1) / (len(linked) + 2), 0.999)),
        ip=_field(ip_same, ip_missing, float(1 - rest), ip_missing),
        residency=_field(residency_same, residency_missing, chance_same, chance_missing),
        unlinked_ip_share=ordered | {"": float(max(unlinked_share[-1], 1e-6))},
        unlinked_ip_rest=rest,
        country_share=share,
        country_rest=rest,
    )


def _field(m_same: float, m_missing: float, u_same: float, u_missing: float) -> FieldWeights:
    """Return shares of all rows from shares of the rows where the field is not missing."""
    return FieldWeights(
        m_same=float((1 - m_missing) * m_same),
        m_missing=float(m_missing),
        m_other=float((1 - m_missing) * (1 - m_same)),
        u_same=float((1 - u_missing) * u_same),
        u_missing=float(u_missing),
        u_other=float((1 - u_missing) * (1 - u_same)),
    )
