"""The policy file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quintet.promotions.policy import Policy, read_policy


def test_decisions_change_at_the_thresholds():
    decisions = Policy(0.5, 0.9, 0.5).decisions(np.array([0.0, 0.4999, 0.5, 0.8999, 0.9, 1.0]))

    assert decisions.tolist() == ["allow", "allow", "review", "review", "block", "block"]


def test_the_default_policy_can_be_read():
    assert 0 < read_policy().review_from < read_policy().block_from < 1


@pytest.mark.parametrize(
    "text",
    [
        "review_from = 0.9\nblock_from = 0.5\nreason_from = 0",
        "review_from = 0.5\nblock_from = 1.5\nreason_from = 0",
        "review_from = 0.5\nblock_from = 0.9\nreason_from = -1",
        "review_from = 0.5\nblock_from = 0.9",
        "review_from = 0.5\nblock_from = 0.9\nreason_from = 0\nother = 1",
        'review_from = "0.5"\nblock_from = 0.9\nreason_from = 0',
        "review_from = true\nblock_from = 1\nreason_from = 0",
        "review_from = ",
    ],
)
def test_a_wrong_policy_is_refused_by_its_name(text: str, tmp_path: Path):
    file = tmp_path / "policy.toml"
    file.write_text(text)

    with pytest.raises(ValueError, match=r"policy\.toml"):
        read_policy(file)
