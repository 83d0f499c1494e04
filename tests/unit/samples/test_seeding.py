"""Streams, identifiers, arrival times and groups."""

import uuid
from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quintet.samples.seeding import SECONDS_PER_DAY, arrival_times, day_start, generator, groups, uuids


def test_a_stream_repeats_for_its_seed_and_name():
    assert generator(7, "conversions").random() == generator(7, "conversions").random()


def test_streams_of_another_seed_or_name_differ():
    assert generator(7, "conversions").random() != generator(8, "conversions").random()
    assert generator(7, "conversions").random() != generator(7, "rows").random()


def test_identifiers_are_valid_and_distinct():
    made = uuids(generator(1, "uuids"), 500)

    assert len(set(made)) == 500
    assert all(uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text for text in made)


def test_arrivals_are_sorted_within_the_days_and_follow_hour_and_weekday():
    monday = date(2024, 4, 1)
    at = arrival_times(generator(1, "at"), 50_000, monday, 14, [1] * 12 + [3] * 12, [1, 1, 1, 1, 1, 0.2, 0.2])

    assert (np.diff(at) >= 0).all()
    assert at.min() >= day_start(monday)
    assert at.max() < day_start(monday) + 14 * SECONDS_PER_DAY
    days = (at - day_start(monday)) // SECONDS_PER_DAY
    assert 0.7 < (at // 3_600 % 24 >= 12).mean() < 0.8
    assert (days % 7 >= 5).mean() < 0.12


@given(members=st.integers(0, 300), smallest=st.integers(1, 10), extra=st.integers(0, 12), seed=st.integers(0, 99))
def test_groups_are_whole_consecutive_and_within_their_bounds(members: int, smallest: int, extra: int, seed: int):
    group = groups(np.random.default_rng(seed), members, smallest, smallest + extra)

    assert len(group) == members
    sizes = np.bincount(group)
    assert (sizes[:-1] >= smallest).all()
    assert (sizes[:-1] <= smallest + extra).all()
    assert (np.diff(group) >= 0).all()
    if members >= smallest:
        assert sizes[-1] >= smallest
        assert sizes[-1] < 2 * (smallest + extra)
