"""The tables of the model report."""

from dataclasses import replace

import pytest

from quintet.conversions.fit import fit
from quintet.conversions.match import match, placebo
from quintet.conversions.match_report import match_report
from tests.integration.matching_worlds import DATA, make_world, open_world


@pytest.fixture(scope="module")
def matched():
    connection = open_world(*make_world(1_000, 5, seed=1, offset_seconds=3_600))
    model = fit(connection, DATA)
    match(connection, DATA, model)
    return connection, model, placebo(connection, DATA, model, [5])


def test_the_report_has_parameters_and_expected_quality(matched):
    report = match_report(*matched)
    summary = report["summary"].set_index("figure")["value"]
    assert report["clocks"][["partner", "offset_seconds"]].to_numpy().tolist() == [["one", 3_600]]
    assert report["lags"]["share"].sum() == pytest.approx(1)
    assert report["certainty"]["pairs"].sum() == summary["matched"]
    assert 0.9 < summary["expected_f1"] <= 1
    assert 0 <= summary["false_match_rate"] < 0.05
    assert report["changes"].empty


def test_the_report_has_the_changes_since_the_version_before(matched):
    connection, model, rates = matched
    changes = match_report(connection, model, rates, before=replace(model, threshold=0.3))["changes"]
    assert changes["what"].tolist() == ["threshold"]
    assert changes["before"].tolist() == ["0.3000"]
    assert match_report(connection, model, rates, before=model)["changes"].empty
