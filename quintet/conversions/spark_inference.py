"""Infer the pairs of matching on a Spark cluster: each block is a group, and the function is that of `inference`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from quintet.conversions.candidates import UNKNOWN, Window, WindowArrays
from quintet.conversions.fit import halo_seconds
from quintet.conversions.inference import Inference, Inferred, infer
from quintet.conversions.matching_model import MatchingModel
from quintet.spark.groups import Groups

_MODULE = "quintet.conversions.spark_inference"

_CONVERSION, _ROW = 0, 1
GIVEN = pa.schema(
    [
        ("starts_at", pa.int64()),  # of the block, or of a part of it
        ("width", pa.int32()),
        ("side", pa.int16()),
        ("place", pa.int32()),
        ("at_second", pa.int64()),
        ("partner", pa.int64()),
        ("ip", pa.int16()),  # of a conversion its country
        ("residency", pa.int16()),
        ("own", pa.bool_()),
        ("in_burst", pa.bool_()),
    ]
)
PAIRS = pa.schema(
    [
        ("block", pa.int32()),
        ("row_in_block", pa.int64()),
        ("click_in_block", pa.int64()),
        ("conversion_place", pa.int32()),
        ("row_place", pa.int32()),
        ("partner_number", pa.int64()),
        ("lag_seconds", pa.int64()),
        ("match_probability", pa.float64()),
        ("runner_up_probability", pa.float64()),
        ("countries_agree", pa.bool_()),
        ("near_edge", pa.bool_()),
    ]
)
_LINKS = pa.schema([("block", pa.int32()), ("expected_links", pa.float64())])
RESULTS = PAIRS.append(_LINKS.field("expected_links")).append(GIVEN.field("starts_at"))
"""The pairs, and for each block with links one row that has nothing but `expected_links`."""

_NO_SPAN = (0, -1)
_ORDER = [(name, "ascending") for name in ("block", "row_in_block", "click_in_block")]


def infer_on(cluster: Groups) -> Inference:
    """Return an inference on the cluster. It raises SparkError if the cluster cannot do it."""

    def infer_there(model: MatchingModel, windows: Iterator[WindowArrays]) -> Iterator[Inferred]:
        spans: list[tuple[int, int]] = []

        def tables() -> Iterator[pa.Table]:
            for laid in windows:
                table = stacked(laid)
                starts = table["starts_at"].to_numpy()
                spans.append((int(starts.min()), int(starts.max())) if len(starts) else _NO_SPAN)
                yield table

        step = partial(infer_block, model=model.to_json())
        with cluster.by_group(tables(), "starts_at", step, RESULTS, _MODULE) as results:
            for first, last in spans:
                within = (ds.field("starts_at") >= first) & (ds.field("starts_at") <= last)
                yield _inferred(results.to_table(filter=within).sort_by(_ORDER))

    return infer_there


def infer_block(block: pa.Table, model: str) -> pa.Table:
    """Infer the pairs of one block, on a worker. block: columns of `GIVEN`. Returns columns of `RESULTS`."""
    parameters = MatchingModel.from_json(model)
    inferred = infer(parameters, unstacked(block, parameters))
    pairs = pa.Table.from_pandas(inferred.pairs, PAIRS, preserve_index=False)
    links = pa.Table.from_pandas(inferred.links, _LINKS, preserve_index=False)
    found = pa.concat_tables([pairs, links], promote_options="default")
    found = found.append_column("starts_at", pa.repeat(block["starts_at"][0], len(found)))
    return found.select(RESULTS.names).cast(RESULTS)


def stacked(laid: WindowArrays) -> pa.Table:
    """Return conversions and rows as one table with the columns of `GIVEN`."""
    conversions = laid.conversions.rename(columns={"country": "ip"})
    conversions = conversions.assign(side=_CONVERSION, partner=0, residency=UNKNOWN)
    rows = laid.rows.assign(side=_ROW, in_burst=False)
    width = laid.window.width_seconds
    sides = (each.assign(starts_at=each["block"].astype("int64") * width, width=width) for each in (conversions, rows))
    return pa.concat_tables(pa.Table.from_pandas(each, GIVEN, preserve_index=False) for each in sides)


def unstacked(block: pa.Table, model: MatchingModel) -> WindowArrays:
    """Return the window of one block, in canonical order whatever the order of the given rows is."""
    width = block["width"][0].as_py()
    given = block.to_pandas()
    given = given.assign(block=(given["starts_at"] // width).astype("int32"))
    conversions, rows = given[given["side"] == _CONVERSION], given[given["side"] == _ROW]
    conversions = conversions.rename(columns={"ip": "country"}).sort_values("place", ignore_index=True)
    rows = rows.sort_values(["partner", "place"], ignore_index=True)
    return WindowArrays(
        Window(width, halo_seconds(model.horizon_seconds)),
        conversions[["block", "place", "country", "at_second", "own", "in_burst"]],
        rows[["block", "place", "at_second", "partner", "ip", "residency", "own"]],
    )


def _inferred(results: pa.Table) -> Inferred:
    is_pair = pc.is_null(results["expected_links"])
    pairs, links = results.filter(is_pair).select(PAIRS.names), results.filter(pc.invert(is_pair)).select(_LINKS.names)
    return Inferred(pairs.to_pandas(), links.to_pandas())
