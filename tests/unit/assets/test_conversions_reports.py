import json
from pathlib import Path

import dagster as dg
import pytest

from assets import conversions_reports
from assets.conversions_reports import conversions_pdfs, journeys_files
from quintet.conversions import pipeline_worlds
from quintet.conversions.analysis_tables import write_analysis
from resources.paths import Paths
from tests.unit.conversions.journeys import CHANGES, MATCHERS, make_journeys, open_reported_snapshot


@pytest.fixture
def published(tmp_path: Path) -> Paths:
    """Return a home whose current snapshot has matched journeys."""
    serving = tmp_path / "serving"
    serving.mkdir()
    connection = open_reported_snapshot(make_journeys(600, 1))
    [(memory,)] = connection.execute("select current_database()").fetchall()
    connection.execute(f"attach '{serving / 'current.duckdb'}' as published")
    connection.execute(f"copy from database {memory} to published")
    connection.execute("use published")
    write_analysis(connection)
    connection.close()
    return Paths(home=str(tmp_path))


def test_both_reports_are_written_with_the_figures_of_the_worlds(published, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pipeline_worlds, "pipeline_figures", lambda folder: asked.append(folder) or (CHANGES, MATCHERS))
    result = dg.materialize(
        [conversions_pdfs],
        resources={"paths": published},
    )
    assert result.success
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "conversions_insights.pdf",
        "conversions_pipeline.pdf",
    ]
    assert asked == [tmp_path / "models" / "evaluations"]


def test_the_dictionary_takes_its_words_from_the_model(published, tmp_path, monkeypatch):
    columns = [
        *("conversion_id", "session_id", "created_at", "country_iso2", "is_mobile", "ui_element", "page_category"),
        *("is_scanner_traffic", "is_matched", "unmatched_reason", "broker_row_id", "important_score"),
    ]
    model = {
        "resource_type": "model",
        "name": "fct_unified_journeys",
        "columns": {name: {"description": f"The {name}."} for name in columns},
    }
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"a": model, "b": model | {"name": "other"}}}))
    monkeypatch.setattr(conversions_reports, "prepare_manifest", lambda _: manifest)
    result = dg.materialize([journeys_files], resources={"paths": published, "dbt": _NoDbt()})
    assert result.success
    dictionary = (tmp_path / "reports" / "unified_journeys_dictionary.csv").read_text("utf-8")
    assert "is_mobile,BOOLEAN,The is_mobile.,600,2" in dictionary


class _NoDbt(dg.ConfigurableResource):
    """Stand in for dbt, which is not called, because the manifest is there."""
