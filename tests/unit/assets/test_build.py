"""A dataset has reached all models when every model downstream of it was built."""

import dagster as dg

from assets.build import datasets_fully_built
from quintet.domains import DATASETS


def definitions() -> list[dg.AssetsDefinition]:
    @dg.asset(key=["ml", "between"], deps=[dg.AssetKey(["raw", "conversions"])])
    def between(): ...

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(["staging", "first"], deps=[dg.AssetKey(["raw", "conversions"])]),
            dg.AssetSpec(["marts", "second"], deps=[dg.AssetKey(["staging", "first"]), dg.AssetKey(["ml", "between"])]),
            dg.AssetSpec(["marts", "other"], deps=[dg.AssetKey(["raw", "broker_rows"])]),
        ]
    )
    def models(): ...

    return [between, models]


def test_a_dataset_is_done_when_every_model_below_it_was_built() -> None:
    built = {dg.AssetKey(["staging", "first"]), dg.AssetKey(["marts", "second"])}
    assert "conversions" in datasets_fully_built(DATASETS, definitions(), built)


def test_a_model_that_was_left_out_keeps_its_dataset_open() -> None:
    assert "conversions" not in datasets_fully_built(DATASETS, definitions(), {dg.AssetKey(["staging", "first"])})
    assert "broker_rows" not in datasets_fully_built(DATASETS, definitions(), {dg.AssetKey(["marts", "second"])})


def test_a_dataset_of_another_domain_is_not_done_by_having_no_model_here() -> None:
    assert datasets_fully_built(["conversions"], definitions(), set()) == set()
    assert "transactions" not in datasets_fully_built(["conversions"], definitions(), set())
