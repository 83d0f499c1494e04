"""Infer the pairs of matching on a Spark cluster: each block is a group, and the function is that of `inference`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from quintet.code_version import code_version
from quintet.conversions.blocks import WIDTH_SECONDS
from quintet.conversions.candidates import UNKNOWN, Window, WindowArrays
from quintet.conversions.fit import halo_seconds
from quintet.conversions.inference import Inference, Inferred, infer
from quintet.conversions.matching_model import MatchingModel
from quintet.spark.groups import Cluster, SparkError

_MODULE = "quintet.conversions.inference"

_CONVERSION, _ROW = 0, 1
GIVEN = pa.schema(
    [
        ("block", pa.int32()),
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
RESULTS = PAIRS.append(_LINKS.field("expected_links"))
"""The pairs, and for each block with links one row that has nothing but `expected_links`."""

_ORDER = [(name, "ascending") for name in ("block", "row_in_block", "click_in_block")]


def infer_on(cluster: Cluster) -> Inference:
    """Return an inference on the cluster. It raises SparkError if the cluster cannot do it."""

    def infer_there(model: MatchingModel, windows: Iterator[WindowArrays]) -> Iterator[Inferred]:
        spans: list[tuple[int, int]] = []

        def tables() -> Iterator[pa.Table]:
            for laid in windows:
                blocks = np.concatenate([laid.conversions["block"].to_numpy(), laid.rows["block"].to_numpy()])
                spans.append((int(blocks.min()), int(blocks.max())))
                yield stacked(laid)

        step = partial(infer_block, model=model.to_json(), code=_own_code())
        with cluster.by_group(tables(), "block", step, RESULTS) as results:
            for first, last in spans:
                within = (ds.field("block") >= first) & (ds.field("block") <= last)
                yield _inferred(results.to_table(filter=within).sort_by(_ORDER))

    return infer_there


def infer_block(block: pa.Table, model: str, code: str) -> pa.Table:
    """Infer the pairs of one block, on a worker. block: columns of `GIVEN`. Returns columns of `RESULTS`.

    code: the version of the inference that was asked for. Raises SparkError if this one is another.
    """
    if code != _own_code():
        raise SparkError("the workers have another version of Quintet; install the same on them")
    parameters = MatchingModel.from_json(model)
    inferred = infer(parameters, unstacked(block, parameters))
    pairs = pa.Table.from_pandas(inferred.pairs, PAIRS, preserve_index=False)
    links = pa.Table.from_pandas(inferred.links, _LINKS, preserve_index=False)
    return pa.concat_tables([pairs, links], promote_options="default").select(RESULTS.names).cast(RESULTS)


def stacked(laid: WindowArrays) -> pa.Table:
    """Return conversions and rows as one table with the columns of `GIVEN`."""
    conversions = laid.conversions.rename(columns={"country": "ip"})
    conversions = conversions.assign(side=_CONVERSION, partner=0, residency=UNKNOWN)
    rows = laid.rows.assign(side=_ROW, in_burst=False)
    return pa.concat_tables(pa.Table.from_pandas(each, GIVEN, preserve_index=False) for each in (conversions, rows))


def unstacked(block: pa.Table, model: MatchingModel) -> WindowArrays:
    """Return the window of one block, in canonical order whatever the order of the given rows is."""
    given = block.to_pandas()
    conversions, rows = given[given["side"] == _CONVERSION], given[given["side"] == _ROW]
    conversions = conversions.rename(columns={"ip": "country"}).sort_values("place", ignore_index=True)
    rows = rows.sort_values(["partner", "place"], ignore_index=True)
    return WindowArrays(
        Window(WIDTH_SECONDS, halo_seconds(model.horizon_seconds)),
        conversions[["block", "place", "country", "at_second", "own", "in_burst"]],
        rows[["block", "place", "at_second", "partner", "ip", "residency", "own"]],
    )


@cache
def _own_code() -> str:
    return code_version(_MODULE)


def _inferred(results: pa.Table) -> Inferred:
    is_pair = pc.is_null(results["expected_links"])
    pairs, links = results.filter(is_pair).select(PAIRS.names), results.filter(pc.invert(is_pair)).select(_LINKS.names)
    return Inferred(pairs.to_pandas(), links.to_pandas())
