"""Whether two ways to gather the evidence of accounts give the same."""

from __future__ import annotations

import numpy as np

from quintet.promotions.evidence import EvidenceMatrix


def assert_equal(one: EvidenceMatrix, other: EvidenceMatrix) -> None:
    for name in ("columns", "component", "link_a", "link_b", "link_weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
