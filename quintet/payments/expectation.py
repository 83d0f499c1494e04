"""What is expected of one minute."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class Expectation:
    """The expected values of one minute, as known a quarter of an hour earlier.

    base: rate of each status per approved or denied transaction, without the level; rate: with the level.
    shape: shape of the Gamma over the rate, by window and status; volume_shape: by window.
    volume: approved transactions per minute; has_season: whether it is based on earlier days. is_open: False where the
    business is expected to be closed; the volume is then zero. usual_volume: the mean of minutes with approvals.
    """

    base: np.ndarray
    rate: np.ndarray
    shape: np.ndarray
    volume: float
    volume_shape: np.ndarray
    has_season: bool
    is_open: bool = True
    usual_volume: float = 0.0

    def while_closed(self) -> Expectation:
        """Return the expectation of a minute in which the business is closed."""
        return replace(self, volume=0.0, is_open=False)

    def with_status_of(self, added: Expectation) -> Expectation:
        """Return the expectation with the statuses of another one added."""
        return replace(
            self,
            base=np.append(self.base, added.base),
            rate=np.append(self.rate, added.rate),
            shape=np.column_stack([self.shape, added.shape]),
        )

    def to_json(self) -> list:
        """Return the fields in order, ready for `json.dumps`."""
        arrays = [array.tolist() for array in (self.base, self.rate, self.shape)]
        return [*arrays, self.volume, self.volume_shape.tolist(), self.has_season, self.is_open, self.usual_volume]

    @classmethod
    def from_json(cls, state: list) -> Expectation:
        """Return the expectation that `to_json` wrote."""
        base, rate, shape, volume, volume_shape, *flags = state
        return cls(np.array(base), np.array(rate), np.array(shape), volume, np.array(volume_shape), *flags)
