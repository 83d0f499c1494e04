"""Matches depend on the set of rows and the model alone, not on the order of arrival."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from quintet.conversions.fit import fit
from quintet.conversions.match import match
from tests.digest import table_digest
from tests.integration.matching_worlds import DATA, add_rows, make_world, minutes, open_world

_SPLITS = 3  # for each random seed: --seeds 35 makes more than a hundred


def _digests(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [
        table_digest(connection.cursor(), f"matching.{table}") for table in ("matches", "match_pairs", "match_blocks")
    ]


@pytest.fixture(scope="module")
def world():
    """Return conversions, rows, the model trained on them, and the digests of matching them all at once."""
    conversions, rows = make_world(3_000, 20, seed=1, lags=minutes, offset_seconds=7_200)
    connection = open_world(conversions, rows)
    model = fit(connection, DATA)
    match(connection, DATA, model)
    return conversions, rows, model, _digests(connection)


def test_any_split_order_and_repetition_of_batches_gives_the_same_tables(world, random_seed):
    conversions, rows, model, whole = world
    rng = np.random.default_rng(random_seed)
    for by_time in rng.random(_SPLITS) < 0.5:
        parts = int(rng.integers(2, 6))
        count = len(conversions)
        of_conversion = np.arange(count) * parts // count if by_time else rng.integers(0, parts, count)
        part_of_row = np.arange(len(rows)) * parts // len(rows) if by_time else rng.integers(0, parts, len(rows))
        connection = open_world(conversions[:0], rows[:0])
        for part in [*rng.permutation(parts), int(rng.integers(parts))]:
            shuffled = conversions[of_conversion == part].sample(frac=1, random_state=int(rng.integers(1_000)))
            add_rows(connection, shuffled, rows[part_of_row == part].sample(frac=1, random_state=part))
            match(connection, DATA, model)
        assert _digests(connection) == whole


def test_deciding_a_few_blocks_at_a_time_gives_the_same_tables(world, monkeypatch):
    conversions, rows, model, whole = world
    monkeypatch.setattr("quintet.conversions.match._DECIDED_PAIRS", 300)
    connection = open_world(conversions, rows)
    match(connection, DATA, model)
    assert _digests(connection) == whole


def test_a_row_more_is_another_result(world):
    conversions, rows, model, whole = world
    connection = open_world(conversions, rows[1:])
    match(connection, DATA, model)
    assert _digests(connection) != whole


def test_the_same_rows_give_the_same_model_in_any_order(world):
    conversions, rows, model, _ = world
    shuffled = open_world(conversions.sample(frac=1, random_state=1), rows.sample(frac=1, random_state=2))
    assert fit(shuffled, DATA).version == model.version


def test_nothing_new_matches_nothing_again_and_a_day_only_its_neighbours(world):
    conversions, rows, model, _ = world
    day = (rows["broker_at"].dt.normalize() == rows["broker_at"].dt.normalize().iloc[len(rows) // 2]).to_numpy()
    connection = open_world(conversions, rows[~day])
    match(connection, DATA, model)
    assert match(connection, DATA, model).blocks_rematched == 0
    add_rows(connection, conversions[:0], rows[day])
    run = match(connection, DATA, model)
    assert 1 <= run.blocks_rematched <= 3 < run.blocks


def test_removed_rows_leave_no_trace(world):
    conversions, rows, model, whole = world
    extra_conversions, extra_rows = make_world(500, 25, seed=9, lags=minutes)
    connection = open_world(conversions, rows)
    add_rows(connection, extra_conversions, extra_rows)
    match(connection, DATA, model)
    connection.execute("delete from conversions where conversion_id >= 9000000")
    connection.execute("delete from broker_rows where split_part(broker_row_id, '-', 2)::bigint >= 9000000")
    match(connection, DATA, model)
    assert _digests(connection) == whole


def test_a_killed_run_leaves_the_tables_unchanged(world, monkeypatch):
    conversions, rows, model, _ = world
    connection = open_world(conversions[:-500], rows)
    match(connection, DATA, model)
    before = _digests(connection)
    add_rows(connection, conversions, rows[:0])
    monkeypatch.setattr("quintet.conversions.match.one_to_one", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        match(connection, DATA, model)
    assert _digests(connection) == before
