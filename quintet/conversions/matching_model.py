"""What matching has learned about each partner, frozen under a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

METHOD = "3"
"""Raise it with every change to how a model is used: results of another method are not comparable."""


@dataclass(frozen=True)
class ClockStretch:
    """From `from_at` on (the partner's own clock, Unix seconds) it is ahead of UTC by `offset_seconds`.

    The first stretch holds for all times before it too. is_clear: whether the rows show this offset beyond chance.
    """

    from_at: int
    offset_seconds: int
    is_clear: bool


@dataclass(frozen=True)
class LagDensity:
    """The lag from click to row, whole seconds: `mass[j]` is the share in [edges[j], edges[j + 1])."""

    edges_seconds: tuple[int, ...]
    mass: tuple[float, ...]

    @property
    def horizon_seconds(self) -> int:
        """No lag of this many seconds or more is considered."""
        return self.edges_seconds[-1]

    @cached_property
    def per_second(self) -> np.ndarray:
        """The density at each whole second below the horizon."""
        widths = np.diff(self.edges_seconds)
        return np.repeat(np.array(self.mass) / widths, widths)


@dataclass(frozen=True)
class FieldWeights:
    """How a country field of the broker's row agrees with the click, as shares.

    m_*: of true links; u_*: of rows without a click that is among their candidates. For the residency, u_same is the
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
    """One partner.

    click_rate: links by click while the partner's rows cover its time, burst_click_rate: the same of clicks in a burst
    (`bursts.py`), most of which are of bots; row_link_share: links by row, both by
    candidates of an agreeing country. unlinked_ip_share: of the rows without link, the share of each IP country (""
    unknown), which sums to one with `unlinked_ip_rest` for any other country; countries likewise of all rows.
    any_country_seconds: the lag below which clicks of any country are candidates.
    rows: how many rows the model was learned from.
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
        """The share of true links that have an agreeing country, so that they are among the candidates."""
        return 1 - (1 - self.ip.m_same) * (1 - self.residency.m_same)


@dataclass(frozen=True)
class MatchingModel:
    """All partners by name, and the least probability of a match. Equal content has an equal version.

    calibration: pairs of a probability as inference gives it and how often it comes true, both rising; between them
    the line holds. chosen_come_true: of the pairs that are matched, how many are links, over the sum of their
    probabilities; where many compete it is below 1, as the choice falls on those that were taken for too likely.
    """

    partners: Mapping[str, PartnerModel]
    calibration: tuple[tuple[float, float], ...]
    threshold: float
    chosen_come_true: float

    @cached_property
    def version(self) -> str:
        """Names the content: the same parameters have the same version wherever they were learned."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def horizon_seconds(self) -> int:
        """The largest horizon of any partner."""
        return max((partner.lag.horizon_seconds for partner in self.partners.values()), default=1)

    @property
    def any_country_seconds(self) -> int:
        """The largest time of any partner in which clicks of any country are candidates."""
        return max((partner.any_country_seconds for partner in self.partners.values()), default=1)

    def to_json(self) -> str:
        """Canonical JSON; `from_json` gives the model back exactly."""
        return json.dumps({"method": METHOD, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> MatchingModel:
        """Raises ValueError for a model of another method."""
        content = json.loads(text)
        if content["method"] != METHOD:
            raise ValueError(f"the model is of method {content['method']}, this is method {METHOD}: fit it anew")
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
