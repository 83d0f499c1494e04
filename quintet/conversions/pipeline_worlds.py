"""Measure the gain of each change to the data pipeline, in generated worlds with known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.candidates import MatchInput
from quintet.conversions.countries import canonicalise
from quintet.conversions.fit import fit
from quintet.conversions.match import match
from quintet.evaluations import Evaluation, evaluated
from quintet.ml.statistics import wilson
from quintet.samples.conversions import BrokerWorld, sample_of
from quintet.samples.conversions_site import ConversionsWorld
from quintet.samples.seeding import generator
from quintet.warehouse.connect import connect_closed

SEED = 20_240_401

WORLD = ConversionsWorld(conversions=4_000, days=6, countries=60)
BASE = BrokerWorld(
    opens_after_days=1.5,
    closes_after_days=6,
    organic_share=0.1,
    lag_model="lognormal",
    clock_offset_seconds=7_200,
    clock_changes_after_days=4,
    changed_offset_seconds=3_600,
    misspelt_share=0.1,
    repeated_share=0,
    outages=1,
)
"""A typical partner: minutes of lag, its own clock that changes once, free country names, a file that starts late."""

_SHARED_CLOCK: Mapping[str, object] = {"clock_offset_seconds": 0, "clock_changes_after_days": None}
_CONTRACT: Mapping[str, object] = {
    "misspelt_share": 0.0,
    "leading_space_share": 0.0,
    "dash_share": 0.0,
    "null_ip_share": 0.0,
    "ip_mismatch_share": 0.0,
    "residency_null_share": 0.0,
}
_POSTBACKS: Mapping[str, object] = {"lag_model": "seconds"}
_BACK_FILL: Mapping[str, object] = {"opens_after_days": 0.0, "outages": 0}


@dataclass(frozen=True)
class Change:
    """A change to the base world.

    title: the change in words. changes: fields of the broker's world. id_share: the share of rows with a click id.
    """

    title: str
    changes: Mapping[str, object]
    id_share: float = 0.0


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "base": Change("A typical partner, nothing changed", {}),
        "shared_clock": Change("One clock: both sides in UTC", _SHARED_CLOCK),
        "countries": Change("Contract on countries: ISO codes, the conversion's country passed on", _CONTRACT),
        "postbacks": Change("Server postbacks: seconds of lag", _POSTBACKS),
        "back_fill": Change("Back-fill: rows of all days, none lost in an outage", _BACK_FILL),
        "all_but_id": Change(
            "All of these, still without an id", {**_SHARED_CLOCK, **_CONTRACT, **_POSTBACKS, **_BACK_FILL}
        ),
        "half_ids": Change("Click id passed through for half of the rows", {}, 0.5),
        "ids": Change("Click id passed through for 95% of the rows", {}, 0.95),
    }
)

_DATA = MatchInput("conversions", "broker_rows")


def measure_changes(
    world: ConversionsWorld = WORLD, base: BrokerWorld = BASE, changes: Mapping[str, Change] = CHANGES, seed: int = SEED
) -> pd.DataFrame:
    """Return the match quality of each world.

    change, title; rows, matched, right, links (true ones among the rows), registrations (reported or
    not); precision, recall (of links), f1, found (of registrations); precision and found with _low and _high (95%).
    """
    complete = replace(base, opens_after_days=0.0, closes_after_days=float(world.days), outages=0)
    happened = int(sample_of(world, [complete], seed).truth["broker_rows"]["conversion_id"].notna().sum())
    records = []
    for name, change in changes.items():
        connection, truth = open_world(world, replace(base, **change.changes), seed)  # type: ignore[arg-type]  # by name
        with connection:
            has_id = generator(seed, "ids").random(len(truth)) < change.id_share
            records.append({"change": name, "title": change.title} | _matched(connection, truth, has_id))
    return _figures(pd.DataFrame(records).assign(registrations=happened))


def compare_matchers(world: ConversionsWorld = WORLD, base: BrokerWorld = BASE, seed: int = SEED) -> pd.DataFrame:
    """Match the base world by this model and by two joins that know its clock; columns as `measure_changes`."""
    stable = replace(base, **_SHARED_CLOCK)  # type: ignore[arg-type]  # by name
    records = []
    for title, take in (
        ("Last conversion of the country before the row (ASOF join)", _last_conversion),
        ("Nearest conversion of the country within 20 minutes", _nearest_conversion),
        ("This model", None),
    ):
        connection, truth = open_world(world, stable, seed)
        with connection:
            none = np.zeros(len(truth), dtype=bool)
            records.append({"change": "matcher", "title": title} | _matched(connection, truth, none, take))
    return _figures(pd.DataFrame(records).assign(registrations=int(records[0]["links"])))


def pipeline_figures(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `measure_changes` and `compare_matchers` of this code version.

    folder: of the evaluations that were computed here.
    """
    frames = evaluated(EVALUATION, folder)
    return frames["changes"], frames["matchers"]


EVALUATION = Evaluation(
    "conversions_pipeline",
    ["quintet.conversions.pipeline_worlds"],
    lambda: {"changes": measure_changes(), "matchers": compare_matchers()},
)
"""The gain of each change to the data pipeline, and the quality of other matchers."""


def open_world(
    world: ConversionsWorld, broker: BrokerWorld, seed: int, beside: BrokerWorld | None = None, *, is_named: bool = True
) -> tuple[duckdb.DuckDBPyConnection, pd.DataFrame]:
    """Return a connection with `conversions` and `broker_rows`, and the truth: broker_row_id, conversion_id or null.

    beside: a second broker with rows in the same file. is_named: whether each row names its broker as the partner;
    otherwise all are of one.
    """
    brokers = [broker] if beside is None else [broker, beside]
    sample = sample_of(world, brokers, seed)
    site = next(file.rows for file in sample.files if file.dataset == "conversions").drop_duplicates("id")
    of_brokers = zip(brokers, (file.rows for file in sample.files if file.dataset == "broker_rows"), strict=True)
    broker_rows = pd.concat(
        [rows.assign(partner=each.partner if is_named else "one") for each, rows in of_brokers], ignore_index=True
    )
    spellings = pd.concat([site["country_name"], broker_rows["country_residency"], broker_rows["ip_country"]])
    countries = canonicalise(spellings.dropna().unique().tolist()).set_index("spelling")["country_iso2"]
    truth = pd.DataFrame(
        {
            "broker_row_id": [f"row {number:07d}" for number in range(1, len(broker_rows) + 1)],
            "conversion_id": sample.truth["broker_rows"]["conversion_id"].astype("Int64"),
        }
    )
    connection = connect_closed(threads=1)
    connection.register("site", site.assign(country=site["country_name"].map(countries).astype(object)))
    connection.register(
        "broker_file",
        broker_rows.assign(
            broker_row_id=truth["broker_row_id"],
            residency=broker_rows["country_residency"].map(countries).astype(object),
            ip=broker_rows["ip_country"].map(countries).astype(object),
        ),
    )
    connection.execute(
        "create table conversions as select id as conversion_id, country::varchar as country_iso2, "
        "created_at::timestamp as created_at from site"
    )
    connection.execute(
        "create table broker_rows as select broker_row_id, partner, "
        "make_timestamp(timestamp::bigint * 1000000) as broker_at, residency::varchar as residency_iso2, "
        "ip::varchar as ip_iso2 from broker_file"
    )
    return connection, truth


def _matched(
    connection: duckdb.DuckDBPyConnection,
    truth: pd.DataFrame,
    has_id: np.ndarray,
    take: Callable[[duckdb.DuckDBPyConnection], pd.DataFrame] | None = None,
) -> dict[str, int]:
    """Match rows with a click id by it, and the others by the matcher; return the counts."""
    known = truth[has_id]
    connection.register("known", known)
    connection.execute("delete from broker_rows where broker_row_id in (select broker_row_id from known)")
    connection.execute("delete from conversions where conversion_id in (select conversion_id from known)")
    pairs = (take or _by_model)(connection)
    with_truth = pairs.merge(truth, on="broker_row_id", suffixes=("", "_true"))
    right = int((with_truth["conversion_id"] == with_truth["conversion_id_true"]).sum())
    by_id = int(known["conversion_id"].notna().sum())
    return {
        "rows": len(truth),
        "matched": len(pairs) + by_id,
        "right": right + by_id,
        "links": int(truth["conversion_id"].notna().sum()),
    }


def _by_model(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    match(connection, _DATA, fit(connection, _DATA))
    return connection.execute(
        "select broker_row_id, conversion_id from matching.matches where tier = 'matched' order by all"
    ).df()


def _last_conversion(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.execute("""
        select broker_row_id, conversion_id
        from broker_rows asof join conversions on ip_iso2 = country_iso2 and broker_at >= created_at
        qualify row_number() over (partition by conversion_id order by broker_at, broker_row_id) = 1
        order by all
    """).df()


def _nearest_conversion(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.execute("""
        select broker_row_id, conversion_id
        from broker_rows join conversions
            on ip_iso2 = country_iso2
            and created_at between broker_at - interval 20 minutes and broker_at + interval 20 minutes
        qualify row_number() over (
            partition by broker_row_id order by abs(epoch(broker_at) - epoch(created_at)), conversion_id
        ) = 1
        order by all
    """).df()


def _figures(counts: pd.DataFrame) -> pd.DataFrame:
    right, matched = counts["right"].to_numpy(), counts["matched"].to_numpy()
    registrations = counts["registrations"].to_numpy()
    precision_low, precision_high = wilson(right, matched)
    found_low, found_high = wilson(np.minimum(right, registrations), registrations)
    return counts.assign(
        precision=counts["right"] / counts["matched"],
        precision_low=precision_low,
        precision_high=precision_high,
        recall=counts["right"] / counts["links"],
        f1=2 * counts["right"] / (counts["matched"] + counts["links"]),
        found=counts["right"] / counts["registrations"],
        found_low=found_low,
        found_high=found_high,
    )
