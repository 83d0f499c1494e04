"""The README, the pages of `docs/` and the notebook agree with the project as it is built."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import duckdb
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from docs import make_tables
from quintet.described_tables import MODELS, read_models
from quintet.domains import DATASETS, DOMAIN_NAMES
from quintet.ingest.content import FORMATS
from quintet.lending.inbox import INBOX
from quintet.settings import settings_table
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from sensors.failures import FAILURES
from tests.waiting import LONG_SECONDS

if TYPE_CHECKING:
    from tests.conftest import Quintet

_PROJECT = Path(__file__).parents[2]
_PAGES = [
    _PROJECT / "README.md",
    _PROJECT / "CONTRIBUTING.md",
    _PROJECT / "data" / "raw" / "README.md",
    *sorted((_PROJECT / "docs").rglob("*.md")),
]
_DOCS = _PROJECT / "docs"
_HAND_WRITTEN = [_PROJECT / "README.md", *sorted(page for page in _DOCS.glob("*.md") if page != make_tables.PAGE)]
_README = (_PROJECT / "README.md").read_text("utf-8")
_DATASETS = (_DOCS / "datasets.md").read_text("utf-8")
_TABLES = (_DOCS / "published-tables.md").read_text("utf-8")
_PICTURE = _DOCS / "flow.svg"
_NOTEBOOKS = _PROJECT / "notebooks"
_NOTEBOOK = _NOTEBOOKS / "query_the_snapshot.ipynb"
_MADE_BY_RUNS = ("data/serving", "data/generated", "data/raw-truth", "dbt_project/target")
_SVG = "{http://www.w3.org/2000/svg}"


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _code(text: str) -> list[str]:
    """Return the code of a page: spans, and the commands of shell blocks."""
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", without_blocks), *_blocks(text, "sh")]


def _section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _first_cells(section: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def _broken_links(text: str, folder: Path) -> list[str]:
    """Return the links that lead to no file or out of the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if not (folder / target.split("#")[0]).exists()]


def _missing_paths(text: str) -> list[str]:
    """Return the paths in code that look like paths of the project but do not exist."""
    tops = {path.name for path in _PROJECT.iterdir() if path.is_dir()}
    paths = [span for span in _code(text) if re.fullmatch(r"[\w.-]+/[\w./-]*", span) and span.split("/")[0] in tops]
    places = [_PROJECT, _PROJECT / "tests" / "sixth_domain"]  # a walkthrough names the files of the sixth business
    return [
        path
        for path in paths
        if not path.startswith(_MADE_BY_RUNS) and not any((place / path).exists() for place in places)
    ]


def _unknown_targets(text: str, makefile: str) -> set[str]:
    """Return the make targets in code that the Makefile lacks."""
    mentioned = {target for code in _code(text) for target in re.findall(r"\bmake ([a-z]+)", code)}
    return mentioned - _targets(makefile)


def _targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))


def _places(text: str) -> list[str]:
    """Return addresses of hosts and folders of one machine, which no page may name."""
    return re.findall(
        r"https?://(?!127\.0\.0\.1|localhost|(?:KEY:SECRET@)?HOST/|quintet\.example\.org)\S+|(?<![\w.])/(?:home|work|root|Users|tmp)/\S*",
        text,
    )


def _untold(printed: str, block: str) -> list[str]:
    """Return lines of an output block that the run did not print; times may differ, an ellipsis is the rest."""
    lines = [re.sub(r"\s*\(?\d+(\.\d)? s\)?$", "", line).split("…")[0].rstrip() for line in block.splitlines()]
    return [line for line in lines if line.strip(" │") and line not in printed]


def _open(home: Path) -> duckdb.DuckDBPyConnection:
    return open_snapshot(current_snapshot(home / "serving"))


def _columns(snapshot: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[str]]:
    """Return the columns of each published table, by schema and name."""
    found = snapshot.execute(
        "select table_schema, table_name, list(column_name order by ordinal_position) "
        "from information_schema.columns group by all"
    ).fetchall()
    return {(schema, table): columns for schema, table, columns in found}


def _execute(notebook: nbformat.NotebookNode, home: Path) -> list[nbformat.NotebookNode]:
    """Run the notebook in its folder, with the settings of `home`; return the outputs of all cells."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=LONG_SECONDS, resources={"metadata": {"path": str(_NOTEBOOK.parent)}}
    )
    client.execute(env=inherited | {"QUINTET_HOME": str(home)})
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.fixture
def makefile() -> str:
    return (_PROJECT / "Makefile").read_text("utf-8")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_PROJECT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert _broken_links(page.read_text("utf-8"), page.parent) == []


def test_a_broken_link_is_found() -> None:
    assert _broken_links("[there](README.md) [gone](docs/gone.md)", _PROJECT) == ["docs/gone.md"]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_PROJECT)))
def test_every_path_of_the_project_exists(page: Path) -> None:
    assert _missing_paths(page.read_text("utf-8")) == []


def test_a_path_that_is_gone_is_found() -> None:
    assert _missing_paths("`quintet/settings.py` and `quintet/gone.py`") == ["quintet/gone.py"]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_PROJECT)))
def test_no_page_names_a_host_or_a_folder_of_one_machine(page: Path) -> None:
    assert _places(page.read_text("utf-8")) == []


def test_a_host_and_a_folder_of_one_machine_are_found() -> None:
    assert _places("see https://index.example/simple and /home/me/data") == [
        "https://index.example/simple",
        "/home/me/data",
    ]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_PROJECT)))
def test_every_make_target_exists(page: Path, makefile: str) -> None:
    assert _unknown_targets(page.read_text("utf-8"), makefile) == set()


def test_an_unknown_make_target_is_found(makefile: str) -> None:
    assert _unknown_targets("`make run` and then\n```sh\nmake magic\n```\n", makefile) == {"magic"}


def test_the_commands_table_has_every_make_target(makefile: str) -> None:
    commands = _first_cells(_section((_DOCS / "commands.md").read_text("utf-8"), "Targets of make"))
    assert sorted(commands) == sorted(f"make {target}" for target in _targets(makefile))


def test_the_settings_table_is_the_one_that_the_settings_print() -> None:
    assert settings_table() in (_DOCS / "settings.md").read_text("utf-8")


def test_the_page_of_datasets_has_every_inbox_and_kind_of_file() -> None:
    inboxes, kinds = _section(_DATASETS, "Inboxes"), _section(_DATASETS, "Kinds of files")
    assert sorted(_first_cells(inboxes)) == sorted(f"data/raw/{name}/" for name in (*DATASETS, INBOX))
    assert [kind for kind in FORMATS if f"`{kind}`" not in kinds] == []


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_page_of_datasets_has_the_required_columns_of_each_real_dataset(name: str) -> None:
    (row,) = re.findall(rf"^\|.*\| `{name}` \|.*$", _section(_DATASETS, "The real datasets"), re.MULTILINE)
    columns = row.split("|")[4]
    named = {word.lower() for word in re.findall(r"\w+", columns)}
    required = {column for column, declared in DATASETS[name].schema.columns.items() if declared.required}
    key = set(DATASETS[name].key) & set(DATASETS[name].columns)
    assert (key if "…" in columns else required) <= named


def test_the_page_of_runs_has_every_job_and_schedule() -> None:
    graph = json.loads((_PROJECT / "tests" / "integration" / "graph.json").read_text("utf-8"))
    section = _section((_DOCS / "runs.md").read_text("utf-8"), "Let Dagster build")
    names = [*graph["jobs"], *graph["schedules"]]
    assert [name for name in names if not name.startswith("_") and f"`{name}`" not in section] == []
    assert f"`{FAILURES}`" in section


def test_the_readme_shows_what_a_run_prints(built: Quintet) -> None:
    assert _untold(built.printed, _blocks(_section(_README, "Two commands"), "text")[0]) == []


def test_a_line_that_no_run_prints_is_found() -> None:
    assert _untold("done in 9 s\nrows: 5 in all", "done in 53 s\nrows: 5 …\nrows: 6 …\n│ …   │") == ["rows: 6"]


def test_the_page_of_published_tables_has_all_of_them_and_no_page_names_another(built_home: Path) -> None:
    with _open(built_home) as snapshot:
        published = _columns(snapshot)
    assert sorted(_first_cells(_section(_TABLES, "Marts"))) == sorted(
        table for schema, table in published if schema == "marts"
    )
    texts = [page.read_text("utf-8") for page in _HAND_WRITTEN]
    mentioned = {("marts", name) for text in texts for name in re.findall(r"\bmarts\.(\w+)", text)}
    assert mentioned - set(published) == set()


def test_the_queries_of_the_pages_run(built_home: Path) -> None:
    blocks = [block for page in _HAND_WRITTEN for block in _blocks(page.read_text("utf-8"), "sql")]
    queries = [
        query
        for block in blocks
        for query in block.split(";")
        if query.strip() and "read_parquet(" not in query  # of the change log, which lies beside the snapshot
    ]
    assert queries
    with _open(built_home) as snapshot:
        for query in queries:
            snapshot.execute(query).fetchall()


@pytest.mark.parametrize("page", ["getting-started.md", "query.md"])
def test_the_python_that_queries_the_snapshot_runs(built_home: Path, tmp_path: Path, page: str) -> None:
    (program,) = _blocks((_DOCS / page).read_text("utf-8"), "python")
    (tmp_path / "data").symlink_to(built_home, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LONG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "loss_ratio" in done.stdout


def test_the_page_of_tables_is_up_to_date() -> None:
    groups = read_models(MODELS)
    assert make_tables.PAGE.read_text("utf-8") == make_tables.render(groups) + "\n", "run `python -m docs.make_tables`"


def test_a_changed_description_makes_the_page_of_tables_stale() -> None:
    groups = read_models(MODELS)
    changed = deepcopy(groups)
    changed["payments"][0]["columns"][0]["description"] += " Changed."
    assert make_tables.render(changed) != make_tables.render(groups)


def test_the_page_of_tables_has_every_published_column(built_home: Path) -> None:
    groups = read_models(MODELS)
    described = {
        ("ml" if group == "ml" else "marts", table["name"]): [column["name"] for column in table["columns"]]
        for group, tables in groups.items()
        for table in tables
    }
    with _open(built_home) as snapshot:
        published = _columns(snapshot)
    of_the_snapshot_itself = [*published.pop(("marts", "snapshot")), *published.pop(("marts", "ops_domains"))]
    assert described == published
    assert [name for name in of_the_snapshot_itself if f"`{name}`" not in make_tables.PAGE.read_text("utf-8")] == []


def test_a_reference_to_an_unknown_description_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "marts" / "payments"
    folder.mkdir(parents=True)
    (folder / "payments.yml").write_text("models: [{name: fct, description: \"{{ doc('gone') }}\"}]", "utf-8")
    with pytest.raises(KeyError, match="gone"):
        read_models(tmp_path)


def test_the_picture_is_text_for_light_and_dark_and_refers_to_nothing_outside() -> None:
    source = _PICTURE.read_text("utf-8")
    picture = ElementTree.fromstring(source)
    words = " ".join("".join(text.itertext()) for text in picture.iter(f"{_SVG}text"))
    assert [word for word in ("inboxes", "raw", "staging", "marts", "current.duckdb") if word not in words] == []
    assert "prefers-color-scheme: dark" in source
    outside = re.findall(r"https?://\S+|href=|@import|url\((?!#)", source.replace('"http://www.w3.org/2000/svg"', ""))
    assert outside == []


def test_the_notebook_carries_no_outputs() -> None:
    cells = [cell for cell in nbformat.read(_NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count] == []


def test_the_notebook_runs_on_the_samples_and_draws_two_charts(built_home: Path) -> None:
    outputs = _execute(nbformat.read(_NOTEBOOK, as_version=4), built_home)
    assert [output.text for output in outputs if output.output_type == "stream"] == []
    shown = [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]
    assert sum(text.startswith("alt.Chart") for text in shown) == 2
    assert any("minutes_unobserved" in text for text in shown)


@pytest.mark.parametrize("name", DOMAIN_NAMES)
def test_the_notebook_of_a_business_runs_and_ends_with_its_finding(name: str, built_home: Path) -> None:
    outputs = _execute(nbformat.read(_NOTEBOOKS / f"{name}.ipynb", as_version=4), built_home)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert re.search(r"\d", [output.text for output in outputs if output.output_type == "stream"][-1])


@pytest.mark.parametrize("name", DOMAIN_NAMES)
def test_the_notebook_of_a_business_carries_the_outputs_of_the_samples(name: str) -> None:
    notebook = nbformat.read(_NOTEBOOKS / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(output.output_type == "stream" for output in outputs)
    assert _places(str(outputs).replace("http://www.w3.org/", "")) == []
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)


def test_the_notebook_reports_that_nothing_was_published(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="make run"):
        _execute(nbformat.read(_NOTEBOOK, as_version=4), tmp_path)
