"""While dbt runs, a run imports the modules that its later steps need."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.ahead import MODULES, importing, modules_to_import
from assets.tables import table_specs


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "imported_ahead.py").write_text("loaded = True\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imported_ahead", raising=False)
    return "imported_ahead"


def test_the_modules_are_imported_when_the_body_has_ended(slow_module: str) -> None:
    with importing([slow_module]):
        pass
    assert slow_module in sys.modules


def test_without_it_the_module_is_not_imported(slow_module: str) -> None:
    with importing([]):
        pass
    assert slow_module not in sys.modules


def test_a_module_that_cannot_be_imported_is_left_to_its_step_and_stops_no_other(slow_module: str) -> None:
    with importing(["there_is_no_such_module", slow_module]):
        pass
    assert slow_module in sys.modules


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        (["ml/scores", "marts"], ["shop.scores"]),
        (["ml/forecast", "ml/scores", "marts"], ["shop.forecast", "shop.scores"]),
        (["ml/others", "marts"], []),
    ],
)
def test_only_the_modules_of_the_selected_assets_of_the_group_are_imported(
    selected: list[str], expected: list[str]
) -> None:
    found: list[str] = []

    def step(name: str, group: str) -> dg.AssetsDefinition:
        @dg.asset(key=["ml", name], group_name=group, metadata={MODULES: [f"shop.{name}"]})
        def built() -> None:
            pass

        return built

    @dg.asset
    def marts(context: dg.AssetExecutionContext) -> None:
        found.extend(modules_to_import(context, "shop"))

    steps = [step("forecast", "shop"), step("scores", "shop"), step("others", "elsewhere")]
    job = dg.Definitions(assets=[*steps, marts]).resolve_implicit_global_asset_job_def()
    job.execute_in_process(asset_selection=[dg.AssetKey(key.split("/")) for key in selected])

    assert found == expected


def test_the_spec_of_a_table_names_the_modules_that_its_step_imports() -> None:
    [spec] = table_specs("payments", {"ml.payment_points": "Points."}, [], iter(["quintet.payments.alert_tables"]))
    assert spec.metadata[MODULES] == ["quintet.payments.alert_tables"]
