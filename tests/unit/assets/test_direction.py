"""Data moves in one direction: from inboxes through raw, staging, intermediate and ml to marts and the snapshot."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
import pytest

from definitions import build_defs

LAYERS = (
    {"inbox", "source", "seeds", "change_log"},
    {"raw", "ops", "lake"},
    {"staging"},
    {"intermediate"},
    {"matching", "ml"},
    {"marts"},
    {"serving"},
    {"reports", "notifications"},
)
"""The first parts of asset keys, from upstream to downstream. `ops`, the records of loader and service, is raw too."""

_RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def wrong_ways(specs: Iterable[dg.AssetSpec]) -> list[str]:
    """Return the dependencies that lead to a later layer, and the assets whose layer is not in `LAYERS`."""
    faults = []
    for spec in specs:
        if spec.key.path[0] not in _RANKS:
            faults.append(f"{spec.key.to_user_string()} is in no layer")
            continue
        faults += [
            f"{spec.key.to_user_string()} reads {dependency.asset_key.to_user_string()}"
            for dependency in spec.deps
            if _RANKS.get(dependency.asset_key.path[0], len(LAYERS)) > _RANKS[spec.key.path[0]]
        ]
    return sorted(faults)


@pytest.fixture(scope="module")
def specs() -> list[dg.AssetSpec]:
    return list(build_defs().resolve_all_asset_specs())


def test_no_asset_reads_from_a_later_layer(specs: list[dg.AssetSpec]) -> None:
    assert {spec.key.path[0] for spec in specs} == _RANKS.keys()
    assert wrong_ways(specs) == []


@pytest.mark.parametrize(
    ("key", "reads"),
    [
        ("ml/planted", "marts/fct_conversions"),
        ("matching/planted", "marts/fct_conversions"),
        ("intermediate/planted", "ml/abuse_scores"),
        ("staging/planted", "intermediate/int_conversions"),
        ("raw/planted", "staging/stg_conversions"),
        ("marts/planted", "serving/snapshot"),
    ],
)
def test_an_asset_that_reads_from_a_later_layer_is_found(specs: list[dg.AssetSpec], key: str, reads: str) -> None:
    planted = dg.AssetSpec(key.split("/"), deps=[dg.AssetKey(reads.split("/"))])
    assert wrong_ways([*specs, planted]) == [f"{key} reads {reads}"]


def test_an_asset_of_no_layer_is_found() -> None:
    assert wrong_ways([dg.AssetSpec(["elsewhere", "planted"])]) == ["elsewhere/planted is in no layer"]
