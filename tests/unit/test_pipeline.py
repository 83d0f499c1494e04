"""How assets ended is added run by run, and the lineage names only assets that it has."""

from __future__ import annotations

from pathlib import Path

from quintet.pipeline import STAGES, add_builds, builds, lineage


def test_every_upstream_asset_is_in_the_lineage_and_every_asset_in_a_stage() -> None:
    assets = lineage()

    assert {key for asset in assets.values() for key in asset.upstream} <= assets.keys()
    assert {asset.stage for asset in assets.values()} == set(STAGES)
    assert assets["marts/dim_agency"].stage == "Tables"
    assert assets["ml/conversion_findings"].stage == "Models"
    assert assets["inbox/loan_book"].stage == "Sources"


def test_a_later_run_adds_to_what_an_earlier_one_recorded(tmp_path: Path) -> None:
    add_builds(tmp_path, {"a": {"built_at": "2026-11-30T10:00:00+00:00", "rows": 3, "checks": {"one": True}}})
    add_builds(tmp_path, {"a": {"failed_at": "2026-11-30T11:00:00+00:00", "failure": "why"}, "b": {"rows": 1}})
    failed = builds(tmp_path)["a"]
    assert (failed.has_failed, failed.rows, failed.failure) == (True, 3, "why")

    add_builds(tmp_path, {"a": {"built_at": "2026-11-30T12:00:00+00:00", "checks": {"two": False}}})
    found = builds(tmp_path)
    assert not found["a"].has_failed
    assert found["a"].failure == "why", "the last failure stays to be read"
    assert found["a"].checks == {"one": True, "two": False}
    assert set(found) == {"a", "b"}


def test_a_file_of_another_release_is_no_record(tmp_path: Path) -> None:
    for text in ("", "[]", '{"a": {"colour": "red"}}', '{"a": 1}'):
        (tmp_path / "pipeline.json").write_text(text, "utf-8")
        assert builds(tmp_path) == {}
    add_builds(tmp_path, {"a": {"rows": 1}})
    assert builds(tmp_path)["a"].rows == 1
