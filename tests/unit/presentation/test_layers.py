"""Layers without rows are left out of a chart, so that no axis is infinite."""

from __future__ import annotations

from typing import Any

import pytest

from quintet.presentation.layers import without_empty_layers

ROWS = [{"value": 1, "is_short": False}]


def chart(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"datasets": {"some": ROWS, "none": []}, "data": {"name": "some"}, "layer": list(layers)}


def filtered(*filters: str) -> dict[str, Any]:
    return {"mark": "bar", "transform": [{"filter": one} for one in filters]}


@pytest.mark.parametrize(
    ("layer", "is_drawn"),
    [
        ({"mark": "bar"}, True),
        ({"mark": "bar", "data": {"name": "none"}}, False),
        ({"mark": "bar", "data": {"values": []}}, False),
        ({"mark": "bar", "data": {"url": "elsewhere.json"}}, True),
        ({"mark": "bar", "data": {"name": "none"}, "params": [{"name": "cursor"}]}, True),
        (filtered("!datum.is_short"), True),
        (filtered("datum.is_short"), False),
        (filtered("!datum.is_short", "datum.is_short"), False),
        (filtered("datum.is_missing"), False),
        (filtered("datum.value > 9"), True),
    ],
)
def test_a_layer_is_drawn_if_it_may_have_a_row(layer: dict[str, Any], is_drawn: bool) -> None:
    always = {"mark": "rule", "data": {"values": ROWS}}
    drawn = [always, layer] if is_drawn else [always]
    assert without_empty_layers(chart(always, layer))["layer"] == drawn
    below = without_empty_layers(
        {"datasets": {"some": ROWS, "none": []}, "vconcat": [chart(always, layer) | {"datasets": {}}]}
    )
    assert below["vconcat"][0]["layer"] == drawn


def test_a_chart_of_nothing_but_empty_layers_stays_as_it_is() -> None:
    nothing = chart({"mark": "bar", "data": {"name": "none"}})
    assert without_empty_layers(nothing) is nothing
    assert without_empty_layers({"mark": "bar"}) == {"mark": "bar"}
