"""The seeds of agency segments agree: the text of a segment states the conditions of its rules."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

SEEDS = Path(__file__).parents[3] / "dbt_project" / "seeds" / "insurance"

IN_WORDS = {
    "years_with_premium_below": "fewer than {:.0f} years",
    "premium_below_usd": "less than {:,.0f} USD",
    "premium_at_most_usd": "premium in the last 3 complete years is zero or less",
    "premium_at_least_usd": "{:,.0f} USD of premium or more",
    "premium_since_at_most_usd": "nothing was written since",
    "loss_ratio_at_least": "{:.0%} or more",
    "retention_ratio_below": "retention is below {:.0%}",
    "policies_at_least": "over {:.0f} policies or more",
    "growth_rate_at_most": "fell by {:.0%} or more",
    "growth_rate_at_least": "grown by {:.0%} or more",
}
"""How a text states a condition; of a fall it states the size."""

Rows = list[dict[str, str]]


def seed(name: str) -> Rows:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def unsaid(segments: Iterable[Mapping[str, str]], rules: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the conditions that the text of their segment does not state."""
    texts = {segment["segment"]: segment["rule"] for segment in segments}
    return [
        f"{rule['segment']}: {words.format(abs(float(rule[condition])))}"
        for rule in rules
        for condition, words in IN_WORDS.items()
        if rule[condition] and words.format(abs(float(rule[condition]))) not in texts[rule["segment"]]
    ]


def test_each_text_states_the_thresholds_of_its_rules():
    assert unsaid(seed("agency_segments"), seed("agency_segment_rules")) == []


def test_a_threshold_that_changes_without_its_text_is_found():
    rules = seed("agency_segment_rules")
    changed = [rule | {"loss_ratio_at_least": "0.65"} if rule["segment"] == "repair" else rule for rule in rules]
    assert unsaid(seed("agency_segments"), changed) == ["repair: 65% or more"]


def test_each_segment_has_a_rule_and_the_last_one_takes_the_rest():
    segments, rules = seed("agency_segments"), seed("agency_segment_rules")
    assert [segment["place"] for segment in segments] == [str(place) for place in range(1, len(segments) + 1)]
    assert {rule["segment"] for rule in rules} == {segment["segment"] for segment in segments}
    conditions = {name: value for name, value in rules[-1].items() if name != "segment"}
    assert rules[-1]["segment"] == segments[-1]["segment"]
    assert not any(conditions.values())
