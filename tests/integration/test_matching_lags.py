"""Matching partners whose lags are of other families, compared with a model that knows their true lags and clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions import clock
from quintet.conversions.candidates import MatchInput
from quintet.conversions.fit import fit
from quintet.conversions.lag import EDGES_SECONDS, smooth
from quintet.conversions.match import match
from quintet.conversions.matching_model import MatchingModel
from quintet.conversions.pipeline_worlds import open_world
from quintet.samples.conversions import BrokerWorld
from quintet.samples.conversions_site import ConversionsWorld

DATA = MatchInput("conversions", "broker_rows")
SITE = ConversionsWorld(conversions=2_000, days=6, countries=60)
BROKER = BrokerWorld(
    opens_after_days=0, closes_after_days=6, organic_share=0.1, clock_offset_seconds=7_200, repeated_share=0
)
FAMILIES: Mapping[str, BrokerWorld] = {
    "half at once, half after minutes": replace(BROKER, lag_model="mixture"),
    "sent on the hour": replace(BROKER, sent_every_seconds=3_600),
    "minutes, cut to minutes": replace(BROKER, lag_model="mixture", rounds_to_seconds=60),
}


def f1(connection: duckdb.DuckDBPyConnection, model: MatchingModel) -> float:
    match(connection, DATA, model)
    [(matched, right, links)] = connection.execute("""
        select
            count(*),
            count(*) filter (where matches.conversion_id = truth.conversion_id),
            (select count(conversion_id) from truth)
        from matching.matches
        join truth using (broker_row_id)
        where tier = 'matched'
    """).fetchall()
    return float(2 * right / (matched + links))


def knowing(connection: duckdb.DuckDBPyConnection, model: MatchingModel, world: BrokerWorld) -> MatchingModel:
    """Return the model with the true clock, read at the end of its minute, and the true lags."""
    offset = world.clock_offset_seconds - (world.rounds_to_seconds - 1)
    lag = connection.execute(
        """
        select epoch(broker_rows.broker_at)::bigint - epoch(conversions.created_at)::bigint - ? as lag_seconds
        from broker_rows join truth using (broker_row_id) join conversions using (conversion_id)
        """,
        [offset],
    ).fetchnumpy()["lag_seconds"]
    partner = model.partners["one"]
    known = replace(
        partner,
        clock=(replace(partner.clock[0], offset_seconds=offset, is_clear=True),),
        lag=smooth(EDGES_SECONDS, np.histogram(lag, EDGES_SECONDS)[0]),
    )
    return replace(model, partners={"one": known})


def share_of_ceiling(world: BrokerWorld, seed: int) -> float:
    """Return F1 as a share of the F1 of the model that knows clock and lags."""
    connection, truth = open_world(SITE, world, seed)
    with connection:
        connection.register("truth", pd.DataFrame(truth))
        model = fit(connection, DATA)
        return f1(connection, model) / f1(connection, knowing(connection, model, world))


@pytest.mark.parametrize("family", FAMILIES)
def test_lags_of_any_family_are_matched_nearly_as_well_as_if_they_were_known(family: str, random_seed: int) -> None:
    assert share_of_ceiling(FAMILIES[family], 700 + random_seed) > 0.97


def test_times_cut_to_minutes_are_lost_by_a_clock_that_cannot_be_early(
    random_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "offsets_of", lambda _: clock.OFFSETS_SECONDS)
    assert share_of_ceiling(FAMILIES["minutes, cut to minutes"], 700 + random_seed) < 0.95
