"""The policy: the scores from which a sign-up is reviewed or blocked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

DEFAULT_POLICY = Path(__file__).with_name("policy.toml")
DECISIONS = ("allow", "review", "block")


@dataclass(frozen=True)
class Policy:
    """Scores from which an account is reviewed and blocked; reason_from: log-odds from which a reason is given."""

    review_from: float
    block_from: float
    reason_from: float

    def __post_init__(self) -> None:
        """Raise ValueError if the thresholds are out of order."""
        if not 0 <= self.review_from <= self.block_from <= 1:
            raise ValueError("a policy needs 0 <= review_from <= block_from <= 1")
        if self.reason_from < 0:
            raise ValueError("reason_from is below 0")

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """Return "allow", "review" or "block" by score."""
        place = (scores >= self.review_from).astype(int) + (scores >= self.block_from)
        return np.array(DECISIONS, dtype=object)[place]


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """Read the policy of a TOML file. Raises ValueError with its path if a setting is missing, unknown or wrong."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        names = {field.name for field in fields(Policy)}
        if given.keys() != names:
            raise ValueError(f"expected the settings {', '.join(sorted(names))}")
        wrong = [
            name for name, value in given.items() if isinstance(value, bool) or not isinstance(value, (int, float))
        ]
        if wrong:
            raise ValueError(f"{wrong[0]} must be a number")
        return Policy(**{name: float(value) for name, value in given.items()})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
