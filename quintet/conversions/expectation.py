"""Expectation maximisation: the probabilities of pairs under a model, and the parameters that fit them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quintet.conversions.candidates import (
    UNKNOWN,
    Candidates,
    by_country,
    country_name,
)
from quintet.conversions.lag import EDGES_SECONDS, smooth
from quintet.conversions.likelihood import weights
from quintet.conversions.marginals import link_probabilities
from quintet.conversions.matching_model import FieldWeights, MatchingModel, PartnerModel

_MOST_ROUNDS = 40
_SETTLED = 5e-4  # of the links, in one round
_IMPOSSIBLE = 1e-4
_HOUR = 3_600


def pair_probabilities(model: MatchingModel, candidates: Candidates) -> np.ndarray:
    """Return for each pair the calibrated probability that it is a link; 0 where a link is very unlikely."""
    return calibrated(model, inferred(model, candidates))


def calibrated(model: MatchingModel, probability: np.ndarray) -> np.ndarray:
    """Return the calibrated probabilities; 0 stays 0."""
    given, true = np.array(model.calibration).T
    return np.where(probability > 0, np.interp(probability, given, true), 0)


def inferred(model: MatchingModel, candidates: Candidates, messages: np.ndarray | None = None) -> np.ndarray:
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


def settled(model: MatchingModel, candidates: Candidates) -> MatchingModel:
    """Return the parameters at which expectation maximisation converges.

    The expectations are not calibrated: calibration would raise the many nearly impossible pairs too much, and the
    lag's tail would absorb the rows without a link.
    """
    links, messages = -1.0, np.ones(len(candidates.row))
    for _ in range(_MOST_ROUNDS):
        probability = inferred(model, candidates, messages)
        partners = {
            name: _update(partner, number, candidates, probability)
            for number, (name, partner) in enumerate(sorted(model.partners.items()))
        }
        model = replace(model, partners=partners)
        before, links = links, float(probability.sum())
        if abs(links - before) <= _SETTLED * links:
            break
    return model


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
    share = country_share(all_ip, np.ones(len(all_ip)))
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


def country_share(country: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return the share of each country among the weights, by name."""
    counts = np.bincount(country[country >= 0], weight[country >= 0])
    total = max(counts.sum(), 1.0)
    return {country_name(int(code)): float(counts[code] / total) for code in np.flatnonzero(counts > 0)}
