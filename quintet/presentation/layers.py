"""Leave out the layers of a chart that have nothing to draw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FLAG = re.compile(r"(!?)datum\.(\w+)")


def without_empty_layers(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a Vega-Lite specification without its layers that have no row, unless no other layer is left.

    A layer without rows has no ends that a scale could take: the browser warns of an infinite axis, and draws one.
    Rows are counted where the data are in the specification and the filters are flags, such as `!datum.is_short`.
    """
    datasets = spec.get("datasets", {})
    if "vconcat" in spec:
        return {**spec, "vconcat": [_drawn(view, datasets) for view in spec["vconcat"]]}
    return _drawn(spec, datasets)


def _drawn(view: dict[str, Any], datasets: Mapping[str, Any]) -> dict[str, Any]:
    layers = view.get("layer", [])
    kept = [layer for layer in layers if "params" in layer or _has_rows(layer, view.get("data", {}), datasets)]
    return view if not kept or len(kept) == len(layers) else {**view, "layer": kept}


def _has_rows(layer: Mapping[str, Any], data: Mapping[str, Any], datasets: Mapping[str, Any]) -> bool:
    own = layer.get("data", data)
    rows = datasets.get(own.get("name", ""), own.get("values"))
    for step in layer.get("transform", ()):
        flag = _FLAG.fullmatch(str(step.get("filter", "")))
        if rows is None or flag is None:
            return rows is None or bool(rows)
        rows = [row for row in rows if bool(row.get(flag[2])) != bool(flag[1])]
    return rows is None or bool(rows)
