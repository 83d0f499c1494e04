"""Behaviour: early and frequent uses are strange only if the population is slower and uses codes less often."""

from __future__ import annotations

import numpy as np

from quintet.promotions.behaviour import behaviour_evidence
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import accounts


def world(first_use: str, last_user_uses: list[str]) -> dict[str, np.ndarray]:
    """Evidence of 300 users with one use, 400 to 700 days after sign-up, and of a last one with other uses."""
    rows = [{"user_id": f"{number:03}", "created_at": "2020-01-01"} for number in range(301)]
    days = np.datetime_as_string(np.datetime64(first_use) + np.arange(300))
    usages = [(f"{number:03}", "C", str(day)) for number, day in enumerate(days)]
    usages += [("300", "C", at) for at in last_user_uses]
    everybody = accounts(*rows, usages=usages)
    return {name: values[-1] for name, values in behaviour_evidence(everybody, Population.of(everybody)).items()}


def test_a_use_far_sooner_than_others_is_hasty_and_early():
    found = world("2021-02-04", ["2020-01-01 00:05"])

    assert found["use_hasty"] == 1
    assert found["use_early"] > 0.7


def test_quick_uses_are_no_evidence_where_all_are_quick():
    assert world("2020-01-01", ["2020-01-01 00:05"])["use_hasty"] == 0


def test_many_uses_are_strange_where_others_use_once():
    assert world("2021-02-04", ["2021-05-01", "2021-05-02", "2021-05-03"])["uses_many"] == 1
    assert world("2021-02-04", ["2021-05-01"])["uses_many"] == 0


def test_an_account_without_uses_has_no_evidence():
    assert set(world("2021-02-04", []).values()) == {0}


def test_the_upper_end_of_usual_numbers_of_uses_is_no_evidence():
    rows = [{"user_id": f"{number:03}", "created_at": "2020-01-01"} for number in range(400)]
    counts = np.random.default_rng(5).poisson(1.5, 400)
    counts[-1] = 12
    uses = [(f"{number:03}", "C", f"2021-{1 + n:02}-01") for number, count in enumerate(counts) for n in range(count)]
    everybody = accounts(*rows, usages=uses)
    found = behaviour_evidence(everybody, Population.of(everybody))["uses_many"]

    assert found[-1] == 1
    assert found[:-1].max() < 0.7
