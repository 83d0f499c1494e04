"""Parcels of three carriers, of which one is slow."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import generator


@dataclass(frozen=True)
class ParcelsWorld:
    """How many parcels there are."""

    parcels: int = 30


def world_at(scale: float) -> ParcelsWorld:
    """Return the world at a scale."""
    return ParcelsWorld(max(30, round(300 * scale)))


def make_sample(world: ParcelsWorld, seed: int) -> Sample:
    """Make a file of parcels; `slow` takes ten days, the others two."""
    rng = generator(seed, "parcels")
    carrier = pd.Series(rng.choice(["fast", "slow", "usual"], world.parcels))
    sent_at = pd.Timestamp("2026-01-01") + pd.to_timedelta(range(world.parcels), unit="h")
    days = carrier.map({"fast": 2, "slow": 10, "usual": 2})
    rows = pd.DataFrame(
        {
            "parcel_id": range(world.parcels),
            "carrier": carrier,
            "sent_at": sent_at,
            "delivered_at": sent_at + pd.to_timedelta(days, unit="D"),
        }
    )
    return Sample((SampleFile("parcels", "parcels_1.csv", rows),))
