"""Likelihood ratio of each pair: linked, against a row without a conversion and a conversion without a row."""

from __future__ import annotations

import numpy as np

from quintet.conversions.candidates import UNKNOWN, Candidates, by_country
from quintet.conversions.matching_model import MatchingModel, PartnerModel

_RATE_SECONDS = 5_400


def weights(model: MatchingModel, candidates: Candidates) -> np.ndarray:
    """Return the likelihood ratio of each pair; 0 for lags beyond the partner's horizon."""
    partners = [partner for _, partner in sorted(model.partners.items())]
    rate = _rows_per_second(candidates)
    in_burst = candidates.conversions["in_burst"].to_numpy()[candidates.conversion]
    rates = np.array([(partner.click_rate, partner.burst_click_rate) for partner in partners]).reshape(-1, 2)
    odds = rates / np.maximum(1 - rates.sum(axis=0), 0.01)
    result = np.zeros(len(candidates.row))
    partner_of_pair = candidates.rows["partner"].to_numpy()[candidates.row]
    for number, partner in enumerate(partners):
        pairs = np.flatnonzero(partner_of_pair == number)
        result[pairs] = np.where(in_burst[pairs], odds[number, 1], odds[number, 0]) * _partner_ratio(
            partner, candidates, pairs, rate
        )
    return result


def _partner_ratio(partner: PartnerModel, candidates: Candidates, pairs: np.ndarray, rate: np.ndarray) -> np.ndarray:
    row, lag, agrees = candidates.row[pairs], candidates.lag[pairs], candidates.agrees[pairs]
    country = candidates.conversions["country"].to_numpy()[candidates.conversion[pairs]]
    ip = candidates.rows["ip"].to_numpy()[row]
    residency = candidates.rows["residency"].to_numpy()[row]
    horizon = partner.lag.horizon_seconds
    density = np.where(lag < horizon, partner.lag.per_second[np.minimum(lag, horizon - 1)], 0)
    density[~agrees & (lag >= partner.any_country_seconds)] = 0
    chance = (1 - partner.row_link_share) * rate[row]
    return density / chance * _ip_ratio(partner, ip, country) * _residency_ratio(partner, residency, ip, country)


def _ip_ratio(partner: PartnerModel, ip: np.ndarray, country: np.ndarray) -> np.ndarray:
    share = by_country(partner.country_share, partner.country_rest)
    linked = np.where(
        ip == UNKNOWN,
        partner.ip.m_missing,
        np.where(
            ip == country, partner.ip.m_same, partner.ip.m_other * share[ip] / (1 - np.minimum(share[country], 0.9))
        ),
    )
    return linked / by_country(partner.unlinked_ip_share, partner.unlinked_ip_rest)[ip]


def _residency_ratio(partner: PartnerModel, residency: np.ndarray, ip: np.ndarray, country: np.ndarray) -> np.ndarray:
    share = by_country(partner.country_share, partner.country_rest)
    field = partner.residency
    elsewhere = share[residency]
    linked = np.where(residency == country, field.m_same, field.m_other * elsewhere)
    unlinked = np.where(
        ip == UNKNOWN,
        (1 - field.u_missing) * elsewhere,
        np.where(residency == ip, field.u_same, field.u_other * elsewhere),
    )
    ratio = linked / np.maximum(unlinked, 1e-12)
    return np.where(residency == UNKNOWN, field.m_missing / field.u_missing, ratio)


def _rows_per_second(candidates: Candidates) -> np.ndarray:
    """Return for each row its partner's rows per second within an hour and a half, in its window."""
    block, partner, at = (
        candidates.rows[name].to_numpy().astype(np.int64) for name in ("block", "partner", "at_second")
    )
    if not len(at):
        return np.zeros(0)
    # Rows are in order of block, partner and time: one sorted key.
    stretch = 1 << 36
    group = np.cumsum(np.r_[0, (np.diff(block) != 0) | (np.diff(partner) != 0)])
    key = group * stretch + at
    until = np.searchsorted(key, key + _RATE_SECONDS, side="right")
    since = np.searchsorted(key, key - _RATE_SECONDS, side="left")
    return (until - since) / (2 * _RATE_SECONDS)
