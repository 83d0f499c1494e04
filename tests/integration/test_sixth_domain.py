"""A sixth domain needs only its own files and one entry in `quintet/domains.py`, from a dropped file to its page.

`tests/sixth_domain` has the files, each where it goes in a checkout. CONTRIBUTING.md walks through them.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from resources.warm_dbt import SERVER
from tests.command import Python
from tests.conftest import EQUAL_PRIORITY, start_warm_dbt

_FILES = Path(__file__).parents[1] / "sixth_domain"
_COPIED = (
    *("quintet", "assets", "resources", "sensors", "cli", "dbt_project", "policy"),
    *("definitions.py", "dagster.yaml", "workspace.yaml", "pyproject.toml", "requirements.lock"),
)
_KEY = "admin key of the test"

_VISIT = """
import os, sys
from fastapi.testclient import TestClient
from quintet.settings import load_settings
from quintet.web.app import create_app

key = {"authorization": f"Bearer {os.environ['QUINTET_ADMIN_KEY']}"}
with TestClient(create_app(load_settings(), code="test"), headers=key) as client:
    page = client.get("/parcels")
    assert page.status_code == 200, page.text
    print(page.text)
    for note in sys.argv[1:]:
        kept = client.post("/v1/parcels/notes", json={"carrier": "slow", "note": note})
        assert kept.status_code == 200, kept.text
    assert '<a href="/parcels"' in client.get("/").text
"""


class Checkout:
    """A checkout with the sixth domain in it, and a separate home."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.folder, self.home, self.raw = folder / "checkout", folder / "home", folder / "raw"
        unneeded = shutil.ignore_patterns("__pycache__", "target", "logs")
        for name in _COPIED:
            copy = shutil.copytree if (project / name).is_dir() else shutil.copy
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(project / name, self.folder / name, **({"ignore": unneeded} if copy is shutil.copytree else {}))
        shutil.copytree(_FILES, self.folder, dirs_exist_ok=True, ignore=unneeded)
        self.register()
        (self.raw / "parcels").mkdir(parents=True)
        self.dbt, self._address = start_warm_dbt(self.folder)

    def register(self) -> None:
        """Add the entry."""
        domains = self.folder / "quintet" / "domains.py"
        text = domains.read_text("utf-8")
        text = text.replace("LENDING, PAYMENTS)", "LENDING, PAYMENTS, PARCELS)")
        text = text.replace(
            "\nfrom quintet.payments", "\nfrom quintet.parcels.domain import PARCELS\nfrom quintet.payments"
        )
        domains.write_text(text, "utf-8")

    def python(self, *arguments: str, **variables: str) -> str:
        """Run Python in the checkout, with variables added, and check that the exit status is 0."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        environment = inherited | {
            "PYTHONPATH": os.pathsep.join([str(EQUAL_PRIORITY), str(self.folder)]),
            "QUINTET_HOME": str(self.home),
            "QUINTET_RAW": str(self.raw),
            "QUINTET_ADMIN_KEY": _KEY,
            SERVER: self._address,
            "COLUMNS": "200",
            **variables,
        }
        process = Python(arguments, environment, self.folder)
        printed = process.finish()
        assert process.returncode == 0, printed
        return printed

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query over the snapshot."""
        with duckdb.connect(str(self.home / "serving" / "current.duckdb"), read_only=True) as snapshot:
            return snapshot.execute(query).fetchall()


@pytest.fixture(scope="module")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(project, tmp_path_factory.mktemp("sixth"))
    yield made
    made.dbt.close()


def test_a_sixth_business_runs_from_a_dropped_file_to_its_page_and_back(checkout: Checkout) -> None:
    (checkout.raw / "parcels" / "parcels_1.csv").write_text(
        textwrap.dedent(
            """\
            parcel_id,carrier,sent_at,delivered_at
            1,fast,2026-01-01 08:00:00,2026-01-02 08:00:00
            2,slow,2026-01-01 08:00:00,2026-01-11 08:00:00
            3,slow,2026-01-01 08:00:00,2026-01-13 08:00:00
            x,slow,2026-01-01 08:00:00,
            """
        )
    )
    printed = checkout.python("-m", "cli", "run", "--select", "parcels")
    assert "parcels: fast: 1.0 days; slow: 11.0 days" in printed
    assert checkout.rows("select file, source_row from marts.ops_rejected_rows") == [("parcels_1.csv", 4)]
    assert checkout.rows("from marts.fct_carrier_delays order by carrier") == [
        ("fast", 1, 1.0, 1.0),
        ("slow", 2, 11.0, 12.0),
    ]
    page = checkout.python("-c", _VISIT, "Lost two parcels in March.")
    assert re.search(r"slow.*11", page, re.DOTALL)
    assert "Lost two parcels" not in page
    assert "Late carriers: slow" in page
    assert "Late carriers" not in checkout.python("-c", _VISIT, QUINTET_PARCELS_LATE_DAYS="11")

    (checkout.raw / "parcels" / "parcels_2.csv").write_text(
        "parcel_id,carrier,sent_at,delivered_at\n2,slow,2026-01-01 08:00:00,2026-01-21 08:00:00\n"
    )
    checkout.python("-m", "cli", "run", "--select", "parcels")
    ((number, carrier, written_at, note),) = checkout.rows(
        "select note_id, carrier, written_at, note from marts.fct_parcel_notes"
    )
    assert (number, carrier, note) == (1, "slow", "Lost two parcels in March.")
    assert isinstance(written_at, dt.datetime)
    assert checkout.rows("select dataset, key, kept_file from marts.ops_conflicts") == [
        ("parcels", "parcel_id 2", "parcels_2.csv")
    ]
    assert "Lost two parcels in March." in checkout.python("-c", _VISIT)


def test_a_run_builds_what_a_change_of_the_code_touches_and_no_more(checkout: Checkout) -> None:
    def after_a_change_of(name: str) -> str:
        with (checkout.folder / name).open("a") as file:
            file.write("\n# a comment\n" if name.endswith(".py") else "\n-- a comment\n")
        return checkout.python("-m", "cli", "run", "--select", "parcels")

    assert "nothing new: everything is up to date" in after_a_change_of("quintet/web/pages/parcels.py")
    unbuilt = after_a_change_of("quintet/parcels/headline.py")
    assert "no table or report depends on the change" in unbuilt, unbuilt
    computed = after_a_change_of("quintet/parcels/delays.py")
    assert "parcel_delays" in computed
    assert "stg_parcels" not in computed
    modelled = after_a_change_of("dbt_project/models/staging/parcels/stg_parcels.sql")
    assert "stg_parcels" in modelled
    assert "int_parcels_current" in modelled
    assert checkout.rows("select carrier, parcels from marts.fct_carrier_delays order by carrier") == [
        ("fast", 1),
        ("slow", 2),
    ], "built from scratch, and no row twice"


def test_its_keys_samples_and_definitions_come_with_the_entry(checkout: Checkout) -> None:
    made = checkout.python("-m", "cli", "keys", "create", "--name", "Ana", "--scopes", "parcels:read,parcels:note")
    assert "This is the key of Ana" in made
    checkout.python("-m", "cli", "sample", "--scale", "0.01", "--to", str(checkout.home / "generated"))
    assert (checkout.home / "generated" / "parcels" / "parcels_1.csv").exists()
    sensors = "import definitions as d; print([s.name for s in d.build_defs().get_repository_def().sensor_defs])"
    assert "watch_parcels" in checkout.python("-c", sensors)


def test_its_setting_is_in_the_table_and_checked_with_the_others(checkout: Checkout) -> None:
    rows = checkout.python("-m", "quintet.settings").splitlines()
    assert "| `QUINTET_PARCELS_LATE_DAYS` | 10 | Days after which the page calls a carrier late. |" in rows
    load = "from quintet.settings import *\ntry: load_settings()\nexcept SettingsError as fault: print(fault)"
    wrong = checkout.python("-c", load, QUINTET_PARCELS_LATE_DAYS="soon", QUINTET_PARCEL_LATE_DAYS="1")
    assert "QUINTET_PARCELS_LATE_DAYS is 'soon'; it must be a whole number from 1 to 100" in wrong
    assert "QUINTET_PARCEL_LATE_DAYS is not a setting of Quintet. Did you mean QUINTET_PARCELS_LATE_DAYS?" in wrong


def test_without_the_entry_the_domain_is_unknown(checkout: Checkout, project: Path) -> None:
    registered = (checkout.folder / "quintet" / "domains.py").read_text("utf-8")
    original = (project / "quintet" / "domains.py").read_text("utf-8")
    lines = set(registered.splitlines()) ^ set(original.splitlines())
    assert len(lines) == 3, "one import, and one line before and after"
    (checkout.folder / "quintet" / "domains.py").write_text(original, "utf-8")
    assert "parcels" not in checkout.python("-c", "from quintet.domains import DOMAIN_NAMES; print(DOMAIN_NAMES)")


def test_contributing_names_every_file_of_the_walkthrough(project: Path) -> None:
    text = (project / "CONTRIBUTING.md").read_text("utf-8").split("## Adding a business\n", 1)[1].split("\n## ", 1)[0]
    for file in (path.relative_to(_FILES) for path in _FILES.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        assert f"`{file.as_posix()}`" in text, file
