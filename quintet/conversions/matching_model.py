"""The trained parameters of matching for each partner, frozen under a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

METHOD = "3"
"""Increase it with every change to how a model is used: results of another method are not comparable."""


@dataclass(frozen=True)
class ClockStretch:
    """A stretch of a partner's clock: from `from_at` on (its own time, Unix seconds) ahead of UTC by `offset_seconds`.

    The first stretch applies to all earlier times too. is_clear: whether the offset is significant.
    """

    from_at: int
    offset_seconds: int
    is_clear: bool


@dataclass(frozen=True)
class LagDensity:
    """The lag from conversion to row in whole seconds: `mass[j]` is the share in [edges[j], edges[j + 1])."""

    edges_seconds: tuple[int, ...]
    mass: tuple[float, ...]

    @property
    def horizon_seconds(self) -> int:
        """Lags of this many seconds or more are excluded."""
        return self.edges_seconds[-1]

    @cached_property
    def per_second(self) -> np.ndarray:
        """The density at each whole second below the horizon."""
        widths = np.diff(self.edges_seconds)
        return np.repeat(np.array(self.mass) / widths, widths)


@dataclass(frozen=True)
class FieldWeights:
    """How often a country field of the broker row agrees with the conversion, as shares.

    m_*: of true links; u_*: of rows whose conversion is not among their candidates. For the residency, u_same is the
    share of equal residency and IP country.
    """

    m_same: float
    m_missing: float
    m_other: float
    u_same: float
    u_missing: float
    u_other: float


@dataclass(frozen=True)
class PartnerModel:
    """The parameters of one partner.

    click_rate: links per conversion in the time that the partner's rows cover; burst_click_rate: the same in bursts
    (`bursts.py`), mostly of bots; row_link_share: links per row; all by candidates of an agreeing country.
    unlinked_ip_share: the share of each IP country among rows without a link ("" unknown), which sums to one with
    `unlinked_ip_rest` for any other country; country_share, country_rest: the same of all rows.
    any_country_seconds: the lag below which conversions of any country are candidates.
    rows: the number of rows that the model was trained on.
    """

    clock: tuple[ClockStretch, ...]
    lag: LagDensity
    click_rate: float
    burst_click_rate: float
    row_link_share: float
    ip: FieldWeights
    residency: FieldWeights
    unlinked_ip_share: Mapping[str, float]
    unlinked_ip_rest: float
    country_share: Mapping[str, float]
    country_rest: float
    any_country_seconds: int
    rows: int

    @property
    def reach(self) -> float:
        """The share of true links whose countries agree, so that they are among the candidates."""
        return 1 - (1 - self.ip.m_same) * (1 - self.residency.m_same)


@dataclass(frozen=True)
class MatchingModel:
    """The parameters of all partners by name, and the matching threshold. Equal content has an equal version.

    calibration: pairs of inferred probability and observed frequency, both increasing, interpolated linearly.
    chosen_come_true: the matched pairs that are links, over the sum of their probabilities; below 1 where many pairs
    compete, as the choice favours overestimated ones.
    """

    partners: Mapping[str, PartnerModel]
    calibration: tuple[tuple[float, float], ...]
    threshold: float
    chosen_come_true: float

    @cached_property
    def version(self) -> str:
        """The hash of the content: equal parameters have equal versions wherever they were trained."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def horizon_seconds(self) -> int:
        """The largest horizon of any partner."""
        return max((partner.lag.horizon_seconds for partner in self.partners.values()), default=1)

    @property
    def any_country_seconds(self) -> int:
        """The largest `any_country_seconds` of any partner."""
        return max((partner.any_country_seconds for partner in self.partners.values()), default=1)

    def to_json(self) -> str:
        """Return canonical JSON; `from_json` restores the model exactly."""
        return json.dumps({"method": METHOD, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> MatchingModel:
        """Return the model of `to_json`. Raises ValueError for a model of another method."""
        content = json.loads(text)
        if content["method"] != METHOD:
            raise ValueError(f"matching model of method {content['method']}, expected {METHOD}. Retrain it.")
        return cls(
            partners={name: _partner(partner) for name, partner in content["partners"].items()},
            calibration=tuple((float(given), float(true)) for given, true in content["calibration"]),
            threshold=content["threshold"],
            chosen_come_true=content["chosen_come_true"],
        )


def _partner(content: dict) -> PartnerModel:
    return PartnerModel(
        **content
        | {
            "clock": tuple(ClockStretch(**stretch) for stretch in content["clock"]),
            "lag": LagDensity(tuple(content["lag"]["edges_seconds"]), tuple(content["lag"]["mass"])),
            "ip": FieldWeights(**content["ip"]),
            "residency": FieldWeights(**content["residency"]),
        }
    )
