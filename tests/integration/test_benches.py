"""The quick version of every benchmark runs and prints a table of figures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.comparators import COMPARATORS, DEBIAN, INSTALL, comparator
from bench.listing import benches, run_bench
from bench.measure import HOLDS, SKIPPED, TABLES, MissingError
from bench.serve import HOME
from resources.warm_dbt import SERVER


def faults_of(tables: list[dict[str, Any]]) -> list[str]:
    """Return the faults of a benchmark's tables: no table, or a row without a figure."""
    if not any(table["lines"] for table in tables):
        return ["no table"]
    return [
        f"{table['title']}: {line['what']}: no figure in {line['figure']!r}"
        for table in tables
        for line in table["lines"]
        if not any(character.isdigit() for character in line["figure"]) or "nan" in line["figure"]
    ]


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest) -> Path:
    """Return the home for quick runs: from the environment, or the suite's build."""
    return Path(os.environ[HOME]) if HOME in os.environ else request.getfixturevalue("built_home")


@pytest.mark.parametrize("name", benches())
def test_the_quick_version_measures_every_row(
    name: str, home: Path, warm_dbt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    tables = tmp_path / "tables.jsonl"
    monkeypatch.setenv(TABLES, str(tables))
    monkeypatch.setenv(INSTALL, "never")
    monkeypatch.setenv(HOME, str(home))
    monkeypatch.setenv(SERVER, warm_dbt)

    status = run_bench(name, ["--quick"])

    printed = capfd.readouterr().out
    if status == SKIPPED:
        pytest.skip(printed.strip().splitlines()[-1])
    assert status == HOLDS, printed
    found = [json.loads(line) for line in tables.read_text("utf-8").splitlines()]
    assert faults_of(found) == []
    assert all(table["title"] in printed for table in found)
    assert all(heading in printed for heading in ("what", "measured", "limit", "comparator"))


def test_a_row_without_a_figure_is_found() -> None:
    table = {"title": "Pages", "lines": [{"what": "a page", "figure": "not measured"}, {"what": "b", "figure": "3 ms"}]}
    assert faults_of([table]) == ["Pages: a page: no figure in 'not measured'"]
    assert faults_of([]) == ["no table"]


@pytest.mark.parametrize(("name", "program"), [*dict.fromkeys(COMPARATORS, "python").items(), *DEBIAN.items()])
def test_the_comparator_is_installed(name: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the table lacks its figure, which CI does not accept."""
    monkeypatch.setenv(INSTALL, "never")
    try:
        assert (comparator(name) / program).exists()
    except MissingError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
