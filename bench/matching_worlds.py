"""The quality of matching without labels, on generated worlds with known truth: the figures of its decision record.

Each world has 60 countries, lags of minutes and a clock that is two hours ahead. A cell has the figures of all seeds.
The calibration error is the mean, over deciles of all pairs above 0.05, between probability and share of true links.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import duckdb

from bench.measure import Line, options, print_lines
from quintet.conversions.candidates import MatchInput
from quintet.conversions.fit import fit
from quintet.conversions.match import match
from quintet.conversions.match_report import match_report
from quintet.conversions.pipeline_worlds import open_world
from quintet.samples.conversions import BrokerWorld
from quintet.samples.conversions_site import ConversionsWorld

USUALLY = "10 minutes"

DATA = MatchInput("conversions", "broker_rows")
_A_DAY = 333
_LEAST_PROBABILITY = 0.05


@dataclass(frozen=True)
class World:
    """A generated world and the seeds that it is measured with. beside, is_named: as of `open_world`."""

    site: ConversionsWorld
    broker: BrokerWorld
    seeds: tuple[int, ...]
    beside: BrokerWorld | None = None
    is_named: bool = True


def flat_world(
    conversions: int, seeds: Sequence[int], a_day: int = _A_DAY, bursts: int = 0, **changes: object
) -> World:
    """Return a world with lags of minutes and a clock that is two hours ahead. changes: of its broker."""
    days = conversions // a_day
    broker = BrokerWorld(
        opens_after_days=0,
        closes_after_days=days,
        organic_share=0.1,
        lag_model="lognormal",
        clock_offset_seconds=7_200,
        misspelt_share=0.3,
        repeated_share=0,
    )
    return World(
        ConversionsWorld(conversions=conversions, days=days, countries=60, bot_bursts=bursts),
        replace(broker, **changes),  # type: ignore[arg-type]  # by name
        tuple(seeds),
    )


def _with_two_partners(conversions: int, seeds: Sequence[int], *, is_named: bool) -> World:
    """Return a world in which a second broker, an hour behind the first one's clock, registers as many."""
    world = flat_world(conversions, seeds, lag_model="mixture", registration_share=0.45)
    beside = replace(world.broker, partner="two", clock_offset_seconds=3_600, lag_model="seconds")
    return replace(world, beside=beside, is_named=is_named)


_SEEDS = (101, 102, 103)
WORLDS: Mapping[str, World] = MappingProxyType(
    {
        "20,000": flat_world(20_000, _SEEDS),
        "20,000, clock changes midway": flat_world(
            20_000, _SEEDS, clock_changes_after_days=30, changed_offset_seconds=3_600
        ),
        "20,000, lag differs by country": flat_world(20_000, _SEEDS, lag_country_sigma=0.5),
        "20,000, 40 bursts of bots": flat_world(20_000, _SEEDS, bursts=40),
        "20,000, 20 outages of six hours": flat_world(20_000, _SEEDS, outages=20),
        "20,000, half of the lags of seconds": flat_world(20_000, _SEEDS, lag_model="mixture"),
        "20,000, sent on the hour": flat_world(20_000, _SEEDS, lag_model="seconds", sent_every_seconds=3_600),
        "20,000, cut to minutes": flat_world(20_000, _SEEDS, lag_model="mixture", rounds_to_seconds=60),
        "20,000, two partners in one file, named": _with_two_partners(20_000, _SEEDS[:1], is_named=True),
        "20,000, two partners in one file": _with_two_partners(20_000, _SEEDS[:1], is_named=False),
        "200,000": flat_world(200_000, (101, 102)),
        "200,000, dense": flat_world(200_000, (101, 102), a_day=10 * _A_DAY),
    }
)
"""The worlds of the decision record, by their names there."""


@dataclass(frozen=True)
class Quality:
    """The quality of the matches of one world."""

    f1: float
    expected_f1: float
    calibration_error: float


def quality(world: World, seed: int) -> Quality:
    """Train a model on the world of a seed, match, and return the quality against the truth."""
    connection, truth = open_world(world.site, world.broker, seed, world.beside, is_named=world.is_named)
    with connection:
        model = fit(connection, DATA)
        match(connection, DATA, model)
        connection.register("truth", truth)
        no_placebo = duckdb.sql("select 0.0 as false_match_rate limit 0").df()
        summary = match_report(connection, model, no_placebo)["summary"].set_index("figure")["value"]
        [(matched, right, links)] = connection.execute("""
            select
                count(*),
                count(*) filter (where matches.conversion_id = truth.conversion_id),
                (select count(conversion_id) from truth)
            from matching.matches
            join truth using (broker_row_id)
            where tier = 'matched'
        """).fetchall()
        [(error,)] = connection.execute(f"""
            with pairs as (
                select match_probability, coalesce(pairs.conversion_id = truth.conversion_id, false) as is_true
                from matching.match_pairs as pairs
                join truth using (broker_row_id)
                where match_probability > {_LEAST_PROBABILITY}
            ),
            deciles as (
                select count(*) as pairs, avg(match_probability) as mean, avg(is_true::integer) as share
                from pairs
                group by least(floor(match_probability * 10), 9)
            )
            select sum(pairs * abs(mean - share)) / sum(pairs) from deciles
        """).fetchall()
    return Quality(2 * right / (matched + links), float(summary["expected_f1"]), float(error))


def measure(worlds: Mapping[str, World]) -> Iterator[Line]:
    """Yield the three figures of each world, of all its seeds in their order."""
    for name, world in worlds.items():
        measured = [quality(world, seed) for seed in world.seeds]
        for what, values in {
            "F1": [each.f1 for each in measured],
            "expected F1": [each.expected_f1 for each in measured],
            "calibration error": [each.calibration_error for each in measured],
        }.items():
            yield Line(f"{what}, {name}", ", ".join(f"{value:.3f}" for value in values), "", True)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    quick = options("matching_worlds", __doc__).parse_args(arguments).quick
    worlds = {"4,000": flat_world(4_000, (101,))} if quick else WORLDS
    return print_lines("Matching of generated worlds", list(measure(worlds)))
