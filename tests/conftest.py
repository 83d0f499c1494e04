"""Fixtures for all tests: the folder of the real data, and homes that a real run has built."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from quintet.embedded.postgres import EmbeddedPostgres
from resources.warm_dbt import SERVER, WarmDbt, warehouse_variables
from tests import prepared_cluster
from tests.command import Command
from tests.folders import alone, memory_folder, open_folder, shared_folder
from tests.spark_server import sail

_PROJECT = Path(__file__).parents[1]
_DATABASES = itertools.count(1)
_WORKERS_DBT = "SUITE_DBT_SERVER"
_DBT_OF_ALL_WORKERS = os.environ.get(_WORKERS_DBT, "")
"""The address of the warm dbt that the workers of a suite share; empty in a process that runs alone."""
EQUAL_PRIORITY = _PROJECT / "tests" / "equal_priority"
"""A folder for PYTHONPATH with which the product's processes keep their priority."""

# The suite starts hundreds of processes; without bytecode each would compile everything it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Commits wait for no disk here; the tests of kills end processes, not machines.
if (memory := memory_folder()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))  # pytest's own folders
    os.environ.setdefault("TMPDIR", str(memory))
# The matrices here are small: BLAS threads would wait for one another longer than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# The time a machine needs to generate and run examples says nothing about the product.
hypothesis_settings.register_profile(
    "suite", parent=hypothesis_settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the length of the fault tests: short by default, longer in `make bench NAME=faults`."""
    parser.addoption("--seeds", type=int, default=1, help="how many seeds the tests that draw at random are run with")
    parser.addoption("--kills", type=int, default=6, help="how often the test of the stream kills one of its world")
    parser.addoption("--decision-kills", type=int, default=4, help="how many kills the loan decisions are tried with")
    parser.addoption("--replica-kills", type=int, default=3, help="how many kills several services are tried with")
    parser.addoption("--replica-seconds", type=float, default=6, help="how long several services are tried")
    parser.addoption("--replica-longest", type=float, help="most seconds that an answer of several services may take")
    parser.addoption("--replica-rate", type=float, default=10, help="applications a second; as many counts")
    parser.addoption("--payment-seconds", type=float, default=15, help="how long payments are tried with faults")
    parser.addoption("--replica-server", help="URL of a superuser of another PostgreSQL for the tests of replication")
    parser.addoption("--image", action="store_true", help="build the container image and try it; it takes minutes")
    parser.addoption("--outage-seconds", type=float, default=4, help="how long the object store is away in its test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test with `random_seed` with the number of seeds of the command line."""
    if "random_seed" in metafunc.fixturenames:
        seeds = range(1, metafunc.config.getoption("seeds") + 1)
        metafunc.parametrize("random_seed", seeds, scope="session")  # fixtures of any scope may use it


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers for each processor, because tests wait for other processes half of their time."""
    return 2 * (os.cpu_count() or 1)


_FIRST = (
    "tests/integration/test_incremental.py",
    "tests/unit/payments/test_evaluation.py",
    "tests/integration/test_loan_book.py",
    "tests/unit/conversions/test_insights.py",
    "tests/integration/test_documents.py",
    "tests/web/test_browser.py",
    "tests/integration/test_benches.py",
    "tests/integration/test_ui.py",
    "tests/web/test_openapi.py",
    "tests/integration/test_sixth_domain.py",
    "tests/integration/test_lending_commands.py",
    "tests/integration/test_dbt.py",
    "tests/integration/test_up.py",
    "tests/integration/test_source.py",
    "tests/unit/insurance/test_forecast.py",
    "tests/faults",
    "tests/integration",
    "tests/unit/conversions",
    "tests/web",
    "tests",
)
"""The long files, then the rest: so no worker is left with a long one at the end. The first waits for a build, and the
next three need none.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    items.sort(key=lambda item: next(place for place, name in enumerate(_FIRST) if item.nodeid.startswith(name)))


def pytest_collection_finish() -> None:
    """Exclude the million objects of imported modules from later garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def decision_kills(pytestconfig: pytest.Config) -> int:
    """Return the number of kills for the tests of loan decisions."""
    return int(pytestconfig.getoption("decision_kills"))


@pytest.fixture(scope="session")
def spark_remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a Spark Connect server that the tests of this process share."""
    with sail(tmp_path_factory.mktemp("sail") / "log") as remote:
        yield remote


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the root of the checkout."""
    return _PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real files, which is beside the project and not part of it."""
    folder = Path(os.environ.get("REAL_DATA", _PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}; set REAL_DATA to run these tests")
    return folder


class Quintet:
    """The product as a user runs it: `quintet run` in a separate process, with its inboxes and its home."""

    def __init__(self, raw: Path, home: Path) -> None:
        self.raw, self.home, self.printed = raw, home, ""
        dagster_home = home / "dagster"
        dagster_home.mkdir(parents=True, exist_ok=True)
        shutil.copy(_PROJECT / "dagster.yaml", dagster_home)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        self.environment = inherited | {
            "QUINTET_RAW": str(raw),
            "QUINTET_HOME": str(home),
            "DAGSTER_HOME": str(dagster_home),
            "DO_NOT_TRACK": "1",
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join([str(EQUAL_PRIORITY), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def start(self, *arguments: str) -> Command:
        """Start a run, which uses the warm dbt of these tests."""
        return Command(["run", *arguments], self.environment | {SERVER: _address_of_dbt()})

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run to the end, check the exit status, and return the output."""
        process = self.start(*arguments)
        printed = process.finish()
        assert process.returncode == status, printed
        return printed

    def run_from_nothing(self) -> str:
        """Run as from a shell: in a process that does its own imports and starts its own dbt."""
        ran = subprocess.run(
            [sys.executable, "-m", "cli", "run"],
            cwd=_PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    @property
    def snapshot(self) -> Path:
        """The current snapshot's file."""
        return (self.home / "serving" / "current.duckdb").resolve()


def start_warm_dbt(checkout: Path) -> tuple[WarmDbt, str]:
    """Start a warm dbt for the runs in a checkout, so that they do not each start one; return its address too."""
    project = checkout / "dbt_project"
    warm = WarmDbt(project, warehouse_variables(project, Path("warehouse.duckdb"), "1GB", 2))
    return warm, os.environ.pop(SERVER, "")


@functools.cache
def _warm_dbt() -> tuple[WarmDbt, str]:
    return start_warm_dbt(_PROJECT)


def _address_of_dbt() -> str:
    return _DBT_OF_ALL_WORKERS or _warm_dbt()[1]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the warm dbt of all workers in the process that distributes the tests to them."""
    if session.config.getoption("dist", "no") != "no" and "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[_WORKERS_DBT] = _warm_dbt()[1]


def pytest_sessionfinish() -> None:
    """End the warm dbt."""
    if _warm_dbt.cache_info().currsize:
        _warm_dbt()[0].close()


@pytest.fixture(scope="session", autouse=True)
def _prepared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let all PostgreSQL servers of the suite copy one cluster."""
    prepared_cluster.use(shared_folder(tmp_path_factory) / "cluster")
    yield
    prepared_cluster.stop_using()


def _built_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, raw: Path, build: Callable[[Quintet], str]
) -> Quintet:
    """Return a home that one process of the suite builds while the others wait; `build` returns the output."""
    shared = shared_folder(tmp_path_factory)
    printed = shared / f"{name}.txt"
    with alone(printed) as is_built:
        quintet = Quintet(raw, shared / name)
        if not is_built:
            printed.write_text(build(quintet), "utf-8")
    quintet.printed = printed.read_text("utf-8")
    return quintet


@pytest.fixture(scope="session")
def warm_dbt(
    built: Quintet,  # noqa: ARG001  # its run parses the project
) -> str:
    """Return the address of a warm dbt that has parsed the project."""
    return _address_of_dbt()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Quintet:
    """Return the build of the committed samples, made once; tests only read it."""
    return _built_once(tmp_path_factory, "built", _PROJECT / "data" / "raw", Quintet.run_from_nothing)


@pytest.fixture(scope="session")
def built_home(built: Quintet) -> Path:
    """Return the home folder of the committed samples' build."""
    return built.home


@pytest.fixture(scope="session")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Quintet:
    """Return the build of the real files, made once; tests only read it."""
    return _built_once(tmp_path_factory, "real", real_data, Quintet.run)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """Yield a PostgreSQL without durability, started once for each of the suite's processes."""
    with open_folder() as folder, EmbeddedPostgres(folder / "postgres", {"fsync": "off"}) as postgres:
        yield postgres


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> str:
    """Return the URL of an empty database."""
    name = f"test{next(_DATABASES)}"
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return f"{postgres_server.url.rsplit('/', 1)[0]}/{name}"
