import datetime as dt
import gzip
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import altair as alt
import jinja2
import pandas as pd
import pytest

from quintet.builds import Progress
from quintet.domain import Waiting
from quintet.presentation.design import Column, Figure
from quintet.web import rendering, template_filters
from quintet.web.rendering import (
    DataState,
    DomainCard,
    Filter,
    FilterBar,
    Kpi,
    NavItem,
    Option,
    Panel,
    Shell,
    SnapshotAge,
    Tab,
    Table,
    environment,
    render,
    static_files,
    static_url,
    static_version,
)

WEB = Path(rendering.__file__).parent
HOSTILE = "</script><img src=x onerror=alert(1)>"
SHELL = Shell(
    "Insurance",
    "/insurance",
    (NavItem("Overview", "/"), NavItem("Insurance", "/insurance")),
    SnapshotAge("20261121T094416-c45537fe", dt.datetime(2026, 11, 21, 9, 44, tzinfo=dt.UTC)),
    "first key",
)
COLUMNS = (Column("agency_id", "Agency", "identifier"), Column("premium", "Premium", "money", "USD"))
AGENCIES = pd.DataFrame({"agency_id": [3, 11], "premium": [15_971_825.4, None]})
LINK = "/insurance/agencies/{agency_id}"


def figure(name: str = "premium-by-year-and-line", title: str = "A title", *, drawn: bool = True) -> Figure:
    chart = alt.Chart(pd.DataFrame({"a": [HOSTILE]})).mark_bar().encode(x="a:N") if drawn else None
    return Figure(name, title, "17.0M USD in 2014.", chart, AGENCIES, COLUMNS, "Run `make run`.", 340)


def table(frame: pd.DataFrame = AGENCIES, total: int | None = None, **more: Any) -> Table:
    return Table(frame, COLUMNS, "Agencies", len(frame) if total is None else total, "/agencies.csv", **more)


MOMENT = dt.datetime(2026, 11, 30, 4, tzinfo=dt.UTC)
FILTERS = FilterBar(
    "/insurance",
    (
        Filter(
            "year_from", "From year", "select", (Option("2010", "2010"), Option("2011", "2011")), ("2011",), "First"
        ),
        Filter("state", "State", "many", (Option("OH", "OH"), Option("IN", "IN")), ("OH",)),
        Filter("agency", "Agency", "text", (Option("3", "Agency 3"),), (HOSTILE,)),
    ),
)
KPIS = (
    Kpi("Written premium", 17_507_846.7, "money", "USD", 0.04, "2014 on 2013", better=True, trend=(1, None, 3, 2)),
    Kpi("Loss ratio", 0.6, "percent", change=0.016, change_kind="points", better=False),
    Kpi("Retention", None, "percent"),
)
TABS = (Tab("First", "/insurance", is_shown=True), Tab("Second", "/insurance?tab=second"))
PROBLEM = SimpleNamespace(
    title="Unprocessable Entity",
    status=422,
    detail="year_from 2014 is after `year_to` 2010",
    instance="/insurance",
    request_id="b5d8b9d8",
    errors=[SimpleNamespace(where="query.a", what="no"), SimpleNamespace(where="query.b", what="no")],
)
CONTEXTS: dict[str, dict[str, Any]] = {
    "overview.html": {
        "cards": [DomainCard("Insurance", "/insurance", KPIS[0], "none", "loss ratio 60%")],
        "waiting": [Waiting(1, "open incident", "to acknowledge", "/payments", is_urgent=True)],
        "data": [DataState("Insurance", "good", "up to date", "04:00", "03:00", "none")],
        "published": [MOMENT],
        "following": MOMENT,
        "batches": table(),
        "rejected": table(AGENCIES.head(0), nothing="No row is quarantined."),
    },
    "insurance.html": {
        "tab": "premium",
        "tabs": TABS,
        "filters": FILTERS,
        "announcement": "Written premium 17.5M USD.",
        "kpis": KPIS,
        "figures": {"premium-by-year-and-line": Panel(figure(), "/premium.csv", LINK)},
        "compared": None,
        "table": table(link=("agency_id", LINK)),
        "report_url": "/reports?year_from=2011",
    },
    "insurance_agency.html": {
        "agency_id": 470,
        "facts": {"Vendor": HOSTILE},
        "back_url": "/insurance?state=OH",
        "kpis": KPIS,
        "figures": {"agency-history": Panel(figure("agency-history"))},
        "table": table(),
    },
    "lending.html": {
        "tabs": TABS,
        "table": table(),
        "committed_at": "2026-11-21T10:00:00.000000Z",
        "incomplete": ["the table loan is not complete"],
        "features": [
            {
                "name": "paid_loans_count",
                "definition": "Loans that were paid.",
                "null_rule": "Never null.",
                "version": 1,
                "file": "quintet/lending/features/paid_loans_count.py",
                "code": "def apply(state, event) -> State: ...",
                "sql": "select count(*) from loan where amount < 1",
            }
        ],
    },
    "reports.html": {
        "filters": FILTERS,
        "announcement": "142 rows.",
        "preview": table(),
        "totals": KPIS,
        "downloads": (Option("/report?format=xlsx", "Excel"), Option("/report?format=csv", "CSV")),
        "problem": None,
        "written": table(),
        "scheduled": [
            {
                "id": 1,
                "what": "premium",
                "recipient": "ana@example.org",
                "timing": "each day at 07:30 UTC",
                "next_at": "x",
            }
        ],
        "can_schedule": True,
        "scheduling": "/reports/schedules",
        "history": table(),
    },
    "building.html": {
        "is_part": False,
        "progress": Progress(
            dt.datetime(2026, 11, 30, tzinfo=dt.UTC), dt.datetime(2026, 11, 30, tzinfo=dt.UTC), "x", 3, 9
        ),
        "began": "2 minutes",
        "reported": "3 seconds",
        "is_quiet": False,
    },
    "sign_in.html": {"next_page": "/insurance", "message": "This key is not known."},
    "error.html": {"problem": PROBLEM},
}


def page(template: str, **changes: Any) -> str:
    return render(template, SHELL, **(CONTEXTS[template] | changes))


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


each_page = pytest.mark.parametrize("template", CONTEXTS)


# -- every page --------------------------------------------------------------------------------------------------------


def test_every_template_is_tested_here() -> None:
    parts = {"base.html", "macros.html", "promotions_macros.html", "docs.html"}
    # tested with the data of a run, over HTTP and in a browser: tests/web
    parts |= {"conversions.html", "payments.html", "promotions.html", "promotions_try.html"}
    parts |= {"lending_decisions.html", "lending_model.html", "lending_what_if.html", "lending_macros.html"}
    parts |= {"lending_applications.html", "lending_application.html", "lending_client.html", "pipeline.html"}
    parts |= {"search.html", "conversions_click.html", "cases.html", "case.html", "promotions_rules.html"}
    assert {path.name for path in (WEB / "templates").iterdir()} - parts == set(CONTEXTS)


@each_page
def test_a_page_has_no_inline_script_style_or_handler(template: str) -> None:
    elements = Elements(page(template))
    inline = [attributes for attributes in elements.of("script") if "src" not in attributes]
    assert [attributes for attributes in inline if attributes.get("type") != "application/json"] == []
    assert elements.of("style") == []
    assert [
        name for _, attributes in elements.found for name in attributes if name == "style" or name[:2] == "on"
    ] == []


@each_page
def test_a_page_requests_nothing_from_other_hosts(template: str) -> None:
    addresses = [
        value
        for _, attributes in Elements(page(template)).found
        for name, value in attributes.items()
        if name in {"href", "src", "action"} and value
    ]
    assert addresses
    assert [address for address in addresses if not address.startswith(("/", "#"))] == []


@each_page
def test_a_page_has_one_title_one_heading_and_no_id_twice(template: str) -> None:
    elements = Elements(page(template))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(elements.of("h1")) == len(elements.of("title")) == len(elements.of("main")) == 1
    assert sorted(ids) == sorted(set(ids))


@each_page
def test_every_field_has_a_label(template: str) -> None:
    elements = Elements(page(template))
    labelled = {attributes.get("for") for attributes in elements.of("label")}
    fields = [*elements.of("select"), *elements.of("input")]
    bare = [
        field for field in fields if field.get("type") not in {"hidden", "checkbox"} and field["id"] not in labelled
    ]
    assert bare == []


@each_page
def test_every_static_file_that_a_page_names_exists(template: str, files: dict[str, rendering.StaticFile]) -> None:
    named = re.findall(rf"{static_url('')}([\w.-]*)", page(template))
    assert named
    assert [name for name in named if name not in files] == []


@pytest.mark.parametrize(("template", "missing"), [(name, key) for name, keys in CONTEXTS.items() for key in keys])
def test_a_template_fails_without_a_name_that_it_needs(template: str, missing: str) -> None:
    context = {name: value for name, value in CONTEXTS[template].items() if name != missing}
    with pytest.raises(jinja2.UndefinedError):
        render(template, SHELL, **context)


@pytest.mark.parametrize("template", ["insurance.html", "insurance_agency.html"])
def test_user_text_is_never_html(template: str) -> None:
    assert Elements(page(template)).of("img") == []


# -- the layout --------------------------------------------------------------------------------------------------------


def test_the_navigation_marks_the_page() -> None:
    html = page("insurance.html")
    assert '<a href="/insurance" aria-current="page">Insurance</a>' in html
    assert '<a href="/">Overview</a>' in html


def test_the_page_of_an_agency_belongs_to_insurance() -> None:
    below = Shell("Agency 470", "/insurance/agencies/470", SHELL.nav)
    html = render("insurance_agency.html", below, **CONTEXTS["insurance_agency.html"])
    assert '<a href="/insurance" aria-current="page">' in html
    assert '<a href="/" aria-current' not in html


def test_the_snapshot_is_shown_with_its_absolute_time() -> None:
    html = page("insurance.html")
    assert '<time datetime="2026-11-21T09:44:00+00:00">2026-11-21 09:44 UTC</time>' in html
    assert "20261121T094416-c45537fe" in html


def test_a_page_without_a_snapshot_says_so() -> None:
    html = render("overview.html", Shell("Overview", "/"), **CONTEXTS["overview.html"])
    assert "No snapshot" in html


# -- figures -----------------------------------------------------------------------------------------------------------


def test_a_figure_reserves_its_height_before_it_is_drawn() -> None:
    assert 'class="skeleton" width="100%" height="340"' in page("insurance.html")


def test_a_specification_cannot_close_its_script() -> None:
    html = page("insurance.html")
    written = re.search(r'<script type="application/json" class="spec">(.*?)</script>', html, re.DOTALL)
    assert written
    rows = next(iter(json.loads(written[1])["datasets"].values()))
    assert rows == [{"a": HOSTILE}]


def test_a_figure_is_described_and_has_its_table_and_csv() -> None:
    html = page("insurance.html")
    assert 'role="img" aria-labelledby="premium-by-year-and-line-title"' in html
    assert '<p class="alternative" id="premium-by-year-and-line-alternative">17.0M USD in 2014.</p>' in html
    assert 'href="/premium.csv"' in html


def test_a_figure_without_a_chart_says_why() -> None:
    empty = Panel(figure(drawn=False))
    html = page("insurance.html", figures={"premium-by-year-and-line": empty})
    assert "Nothing to draw" in html
    assert "Run <code>make run</code>." in html
    assert 'class="spec"' not in html


def test_a_page_without_agencies_has_one_empty_state() -> None:
    html = page("insurance.html", table=table(AGENCIES.head(0), nothing="No agency matches."))
    assert html.count('class="empty"') == 1
    assert "<figure" not in html


# -- tables ------------------------------------------------------------------------------------------------------------


def test_figures_are_aligned_right_with_exact_values_to_sort_by_and_missing_ones_marked() -> None:
    html = page("overview.html")
    assert '<td class="figure-cell" data-value="15971825.4">15,971,825</td>' in html
    assert '<td class="figure-cell" data-value="">–</td>' in html
    assert '<th scope="col" class="figure-cell"><span class="heading">Premium<span class="unit">, USD</span>' in html


def test_a_long_table_says_that_it_is_cut_and_where_the_rest_is() -> None:
    long = pd.DataFrame({"agency_id": range(250), "premium": 1.0})
    html = page("overview.html", batches=table(long, 1_623))
    assert "The first 200 of 1,623 rows; the CSV has all." in html
    assert html.split('id="batches-title"')[1].count("<tr>") == 201
    assert "The first" not in page("overview.html")


def test_a_row_leads_to_its_own_page() -> None:
    assert '<a href="/insurance/agencies/3">3</a>' in page("insurance.html")


def test_a_column_that_the_frame_lacks_is_missing_in_every_row() -> None:
    html = page("overview.html", batches=table(AGENCIES.drop(columns="premium")))
    assert html.count('data-value="">–</td>') == 2


# -- filters and key figures -------------------------------------------------------------------------------------------


def test_the_filters_show_the_selection() -> None:
    html = page("insurance.html")
    assert '<option value="2011" selected>' in html
    assert '<option value="2010">' in html
    assert 'value="OH" checked' in html
    assert 'value="IN">' in html
    assert '<form class="filters" method="get" action="/insurance"' in html


def test_invalid_filters_say_why() -> None:
    broken = FilterBar("/insurance", FILTERS.filters, "year_from 2014 is after `year_to` 2010")
    html = page("insurance.html", filters=broken)
    assert "Cannot be shown. From year 2014 is after <code>year_to</code> 2010" in html
    assert html.count('aria-invalid="true"') == 1
    assert (
        'name="year_from" data-field="year_from" aria-invalid="true" aria-describedby="filter-year_from-problem"'
        in html
    )


def test_a_problem_of_no_filter_marks_none() -> None:
    html = page("insurance.html", filters=FilterBar("/insurance", FILTERS.filters, "two filters contradict each other"))
    assert "Two filters contradict each other" in html
    assert "aria-invalid" not in html


@pytest.mark.parametrize(
    ("kpi", "mark", "change"),
    [
        (Kpi("a", 1, "money", change=0.04, better=True), 'good"><span aria-hidden="true">▲', "+4.0%"),
        (Kpi("a", 1, "money", change=-0.04, better=True), 'bad"><span aria-hidden="true">▼', "−4.0%"),
        (Kpi("a", 1, "percent", change=0.016, change_kind="points", better=False), 'bad"><span', "+1.6 points"),
        (Kpi("a", 1, "percent", change=-0.016, change_kind="points", better=False), 'good"><span', "−1.6 points"),
        (Kpi("a", 1, "count", change=0.5), 'flat"><span', "+50.0%"),
        (
            Kpi("a", 1, "percent", change=-0.0001, change_kind="points", better=True),
            'flat"><span aria-hidden="true">■',
            "0.0 points",
        ),
    ],
)
def test_a_change_is_marked_as_good_or_bad_and_not_by_colour_alone(kpi: Kpi, mark: str, change: str) -> None:
    html = page("insurance.html", kpis=(kpi,))
    assert mark in html
    assert f"</span> {change}</span>" in html


def test_a_key_figure_without_a_value_is_a_dash() -> None:
    assert re.search(r"Retention</dt>\s*<dd class=\"kpi-value\">–\s*</dd>", page("insurance.html"))


def sparkline(values: list[float | None]) -> str:
    make: Callable[..., str] = environment().filters["sparkline"]
    return str(make(values))


def test_a_sparkline_has_a_gap_where_a_value_is_missing() -> None:
    assert sparkline([1, 2, None, 3, 2]).count("M") == 2
    assert sparkline([1, 2, 3, 2]).count("M") == 1


@pytest.mark.parametrize("values", [[], [1], [None, None], [5, None]])
def test_a_sparkline_needs_two_values(values: list[float | None]) -> None:
    assert sparkline(values) == ""


def test_a_sparkline_of_equal_values_is_level() -> None:
    heights = re.findall(r"[ML][\d.]+ ([\d.]+)", sparkline([4, 4, 4]))
    assert len(set(heights)) == 1


# -- static files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, rendering.StaticFile]:
    monkeypatch.setattr(rendering.vega, "_made", lambda: "globalThis.vegaEmbed = 1;")
    return static_files(tmp_path) | {name: rendering.StaticFile("", b"") for name in ("swagger-ui.css",)}


def test_generated_files_are_served_beside_the_stored_ones(files: dict[str, rendering.StaticFile]) -> None:
    assert files["quintet.css"].media_type == "text/css; charset=utf-8"
    assert files["icon.svg"].media_type == "image/svg+xml; charset=utf-8"
    assert files["tokens.css"].content.startswith(b":root{")
    assert gzip.decompress(files["vega.js"].content) == b"globalThis.vegaEmbed = 1;"
    assert (files["vega.js"].is_gzipped, files["themes.js"].is_gzipped) == (True, False)
    themes = files["themes.js"].content.decode()
    assert json.loads(themes.removeprefix("export const themes = ").rstrip(";\n"))["dark"]["font"]


def test_every_module_that_a_script_imports_exists(files: dict[str, rendering.StaticFile]) -> None:
    scripts = [file.content.decode() for name, file in files.items() if name.endswith(".js") and name != "vega.js"]
    imported = [name for script in scripts for name in re.findall(r'from "\./([\w.]+)"', script)]
    assert imported
    assert [name for name in imported if name not in files] == []


def test_every_token_that_the_styles_use_is_defined(files: dict[str, rendering.StaticFile]) -> None:
    used = set(re.findall(r"var\((--[\w-]+)\)", files["quintet.css"].content.decode()))
    defined = set(re.findall(r"(--[\w-]+):", files["tokens.css"].content.decode()))
    assert used
    assert used <= defined


def test_the_styles_define_no_colour_of_their_own(files: dict[str, rendering.StaticFile]) -> None:
    styles = re.sub(r"/\*.*?\*/", "", files["quintet.css"].content.decode(), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s)])", styles) == []


def test_the_address_of_the_files_changes_with_any_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    static_version.cache_clear()
    before = static_version()
    assert static_url("quintet.css") == f"/static/{before}/quintet.css"
    static_version.cache_clear()
    monkeypatch.setattr(rendering.vega, "version", lambda: "another")
    after = static_version()
    static_version.cache_clear()
    assert before != after


def addresses_without_prefix(source: str) -> list[str]:
    """Return the addresses of a template that a proxy's path is not put before."""
    found = re.findall(r'\b(?:href|src|action|data-stream|data-document|data-link|data-vega)="([^"]*)"', source)
    prefixed = ("| url }}", "static_url(", "{{ problem.instance }}", "{{ one.elsewhere }}")
    return [one for one in found if not one.startswith("#") and not any(sign in one for sign in prefixed)]


def test_every_address_of_a_template_carries_the_path_of_the_proxy() -> None:
    templates = Path(rendering.__file__).parent / "templates"
    found = {file.name: addresses_without_prefix(file.read_text("utf-8")) for file in templates.glob("*.html")}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


def test_an_address_without_the_path_of_the_proxy_is_found() -> None:
    source = (
        """<a href="/insurance">x</a><a href="#top">y</a><form action="{{ bar.action }}"><a href="{{ '/' | url }}">"""
    )
    assert addresses_without_prefix(source) == ["/insurance", "{{ bar.action }}"]


def test_values_in_links_of_tables_are_percent_encoded() -> None:
    assert (
        template_filters.FILTERS["fill"]("/promotions?cluster={id}#c", {"id": "a&b=#c d"})
        == "/promotions?cluster=a%26b%3D%23c%20d#c"
    )
