"""The documentation as a site: generated pages, diagrams from text, and pages that the service's policy allows."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from docs import diagrams, reference, site_hooks
from docs.make_tables import PROJECT
from quintet.described_tables import MODELS, read_models
from quintet.domains import DOMAINS

_DRAWN = "flowchart LR\n  accTitle: From a to b\n  a --> b\n"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


def test_a_diagram_is_a_picture_with_its_title_and_requests_nothing() -> None:
    picture = diagrams.fence(_DRAWN, "mermaid", "diagram", {}, None)
    assert 'alt="From a to b"' in picture
    svg = diagrams.draw(_DRAWN)
    assert re.findall(r"(?:href|src)=|@import|url\((?!#)", svg) == []


@pytest.mark.parametrize(
    ("source", "why"),
    [(_DRAWN.replace("accTitle", "%% title"), "accTitle"), (_DRAWN + "  b -->\n", "parse error"), ("", "accTitle")],
)
def test_a_diagram_without_a_title_or_that_is_none_is_refused(source: str, why: str) -> None:
    with pytest.raises(diagrams.DiagramError, match=why):
        diagrams.draw(source)


def test_the_diagrams_of_tables_join_each_table_to_the_owner_of_its_key() -> None:
    page = reference.diagrams(read_models(MODELS))
    for drawn in re.findall(r"^```mermaid\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        diagrams.draw(drawn)
    assert 'dim_agency ||--o{ fct_agency_performance : "agency_id"' in page
    assert 'fct_agency_performance ||--o{ dim_agency : "agency_id"' not in page
    assert [domain.title for domain in DOMAINS if f"\n## {domain.title}\n" not in page] == []


def test_the_page_of_the_api_has_each_route_with_its_parameters(pages: dict[str, str]) -> None:
    text = pages["reference/api.md"]
    assert "### POST /v1/promotions/abuse-score" in text
    assert re.search(r"### GET /v1/insurance/summary\n.*?\| `group_by` \| query", text, re.DOTALL)
    assert "`insurance:read`" in text


def test_the_page_of_metrics_has_those_of_the_service_and_of_the_stream(pages: dict[str, str]) -> None:
    service, stream = pages["reference/metrics.md"].split("\n## The stream\n")
    assert "| `quintet_snapshot_age_seconds` | gauge |" in service
    assert "| `quintet_stream_events_total` | counter |" in stream


def test_the_page_of_reason_codes_has_a_part_for_each_business(pages: dict[str, str]) -> None:
    parts = re.split(r"^## ", pages["reference/reason-codes.md"], flags=re.MULTILINE)[1:]
    assert [part.split("\n")[0] for part in parts] == [domain.title for domain in DOMAINS]
    assert [part.split("\n")[0] for part in parts if part.count("\n| `") < 4] == []


def test_the_page_of_the_command_line_has_each_command(pages: dict[str, str]) -> None:
    headings = re.findall(r"^## (.*)$", pages["reference/command-line.md"], re.MULTILINE)
    assert {"quintet run", "quintet keys", "quintet backup"} <= set(headings)


@pytest.mark.parametrize(
    ("here", "page", "link", "site"),
    [
        ("docs/lending.md", "lending.md", "[a](stream.md#scaling)", "[a](stream.md#scaling)"),
        ("docs/decisions/domains.md", "decisions/domains.md", "[a](../../README.md)", "[a](../project/readme.md)"),
        ("docs/deployment.md", "deployment.md", "[`Dockerfile`](../Dockerfile)", "`Dockerfile`"),
        ("README.md", "project/readme.md", "![a](docs/flow.svg)", "![a](../flow.svg)"),
        ("README.md", "project/readme.md", "[a](http://127.0.0.1:8000/docs)", "[a](http://127.0.0.1:8000/docs)"),
    ],
)
def test_links_lead_to_pages_of_the_site_and_links_into_the_code_become_text(
    here: str, page: str, link: str, site: str
) -> None:
    source = site_hooks.on_page_markdown(link, SimpleNamespace(file=SimpleNamespace(src_uri=page)))
    assert source == site, here


def test_a_link_in_a_block_of_code_stays_as_it_is() -> None:
    text = "```text\n[a](../Dockerfile)\n```\n"
    assert site_hooks.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri="deployment.md"))) == text


def test_scripts_move_into_files_because_the_service_allows_none_in_a_page(tmp_path: Path) -> None:
    page = '<script>let a = 1</script><td style="text-align: right;">5</td><script src="x.js"></script>'
    shown = site_hooks.on_post_page(page, SimpleNamespace(url="how/to/"), SimpleNamespace(site_dir=str(tmp_path)))
    [script] = re.findall(r'src="\.\./\.\./(assets/page-\w+\.js)"', shown)
    assert (tmp_path / script).read_text("utf-8") == "let a = 1"
    assert "style=" not in shown
    assert 'src="x.js"' in shown


def _build(folder: Path, text: str) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(text, "utf-8")
    own = {
        "docs_dir": str(folder / "docs"),
        "site_dir": str(folder / "site"),
        "nav": None,
        "hooks": [],
        "extra_css": [],
    }
    config = load_config(str(PROJECT / "mkdocs.yml"), **own)
    config.nav = None
    build(config)


def test_the_build_is_strict_and_its_warnings_are_counted() -> None:
    [command] = re.findall(r"^\t.* -m mkdocs (.*)$", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert command == "build --strict"  # `--quiet` drops the warnings before they are counted


def test_the_site_is_built_from_pages_without_faults(tmp_path: Path) -> None:
    _build(tmp_path, "# Title\n\n[here](#title)\n")
    assert (tmp_path / "site" / "index.html").exists()


@pytest.mark.parametrize("link", ["gone.md", "#gone"])
def test_a_broken_link_or_anchor_fails_the_build(tmp_path: Path, link: str) -> None:
    with pytest.raises(Abort):
        _build(tmp_path, f"# Title\n\n[there]({link})\n")
