"""The declaration of a domain. Code that serves all domains loops over `quintet.domains.DOMAINS`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import duckdb

from quintet.cases.kind import CaseKind
from quintet.ingest.contract import Dataset
from quintet.ml.life_cycle import ModelSpec
from quintet.row_policy import RowPolicy
from quintet.search import Searched
from quintet.settings import Settings
from quintet.state.dialect import AnyScript
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import StateStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


@dataclass(frozen=True)
class ServiceContext:
    """The inputs of a domain's service part.

    clock: returns the time in UTC, with its zone. metrics: the registry for its metrics.
    """

    settings: Settings
    store: StateStore
    clock: Callable[[], dt.datetime]
    metrics: CollectorRegistry


class DomainService(Protocol):
    """The part of a domain that runs in the service, besides its routes."""

    async def start(self) -> None:
        """Start the part; called once, before the first request."""

    async def close(self) -> None:
        """Stop the part and write pending data; called once, after the last request."""

    def faults(self) -> Sequence[str]:
        """Return the files that it refuses, each with the reason and what it uses instead."""


@dataclass(frozen=True)
class Card:
    """A business on the overview: one number, its trend and comparison, and the state of the business.

    value: None without data. change: of the value, relative, or in points for a share. better: whether more is better;
    None if neither. trend: the values of the periods in order. state: in words, with its weight.
    """

    label: str
    value: float | None
    kind: Literal["count", "money", "percent"] = "count"
    unit: str = ""
    change: float | None = None
    change_against: str = ""
    better: bool | None = None
    trend: Sequence[float | None] = ()
    basis: str = ""
    state: str = ""
    weight: Literal["critical", "warning", "none"] = "none"

    @classmethod
    def of_shares(cls, what: str, periods: Sequence[tuple[int, int, int, str]], days: int, **state: Any) -> Card:
        """Return the card of a share in the last period, against the period before.

        periods: the oldest first; how many periods of `days` days ago, cases, out of how many, and the last day of all.
        state: the card's other fields.
        """
        shares = {ago: cases / count for ago, cases, count, _ in periods}
        ago, cases, count, last = periods[-1]
        before = shares.get(ago + 1)
        return cls(
            f"{what}, last {days} days",
            shares[ago],
            "percent",
            change=None if before is None else shares[ago] - before,
            change_against=f"against the {days} days before",
            trend=[shares.get(place) for place in range(max(shares), -1, -1)],
            basis=f"{cases:,} of {count:,}, to {last}",
            **state,
        )


@dataclass(frozen=True)
class Waiting:
    """What waits for a person: how many of what (in the singular), what to do, the path of the page to do it on."""

    count: int
    what: str
    action: str
    page: str
    is_urgent: bool = False


@dataclass(frozen=True)
class DataCheck:
    """A check of a table that a run has built.

    table: what it is about, such as `ml.matching_placebo`. function: the module and name of a function of a connection
    to the warehouse that returns a `CheckOutcome`, such as `quintet.conversions.checks.placebo_rate`. is_error: whether
    a run in which it fails has failed; otherwise it warns.
    """

    name: str
    table: str
    description: str
    function: str
    is_error: bool = False


@dataclass(frozen=True)
class ReportFile:
    """A PDF that each run writes from the snapshot: its name, without suffix, and what it holds.

    function: the module and name of a function of a connection to the snapshot that returns a
    `quintet.presentation.blocks.Report`, such as `quintet.insurance.review_report.review_report`; "" if an asset of the
    business writes it with other results.
    """

    name: str
    description: str
    function: str = ""


@dataclass(frozen=True)
class Persons:
    """Where a domain has data of persons, for `quintet forget`. Its datasets declare their own columns.

    kind: what a person is, such as `user`; an option of the command. columns: the columns of the warehouse that hold
    the id of the person whom a row is about; such rows are erased, in every table. mentions: the columns in which rows
    about others name the person; the id is replaced. state: by SQLite file and table, the column with the id.
    state_mentions: the same for mentions. files: patterns of files in the home that are built again without the person.
    """

    kind: str
    columns: Sequence[str]
    mentions: Sequence[str] = ()
    state: Mapping[tuple[str, str], str] = field(default_factory=dict)
    state_mentions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    files: Sequence[str] = ()


@dataclass(frozen=True)
class Domain:
    """A business domain.

    headline: returns its key result in a sentence, from a snapshot; "no data" if there is none.
    card: returns its card on the overview, from a snapshot; None without one.
    waiting: returns what waits for a person, from a snapshot and the state store.
    datasets: the inboxes that hold tables. other_inboxes: the inboxes that an asset of the domain reads itself.
    has_rows: whether a snapshot has rows from `other_inboxes` or a database.
    scopes: the scopes of keys, each with a description of what it allows.
    migrations: the scripts of its tables in the state store. stores: by owner, the scripts of SQLite files of its own.
    recorded: the tables that a run ingests. retention: how long the rows of each of its tables stay.
    model: the model that it trains.
    web: the modules with its routes and pages; each has `ROUTERS`, and `FIRST_ROUTERS` for the busiest routes.
    service: the module whose `build_service(context: ServiceContext)` returns its `DomainService`; "" for none.
    replication: the module whose `REPLICATED` declares its replicated tables; "" for none.
    assets, sensors: the modules with its Dagster assets and sensors.
    persons: where it has data of persons.
    cases: the kinds of cases that need a person's verdict.
    searched: the rows that are found by their id. row_policies: how its tables are split for keys that are bound.
    shared_files: returns the files that its service reads and a build or a person writes, by the name under which they
    are shared with services on other machines (`quintet.shared_files`).
    row_value: what a row of a file costs that is not loaded, in currency, by the settings.
    rules: the module with the `GRAMMAR` of its rules, and `backtest_of` of a snapshot, the active rules, others and the
    time in Unix seconds; "" without rules.
    samples: the module that generates its inbox files. checks: what is checked after its tables are built.
    reports: the PDFs of a run.

    Modules are given by name, so that a command imports only what it uses and imports keep their direction.
    """

    name: str
    headline: Callable[[duckdb.DuckDBPyConnection], str]
    assets: Sequence[str]
    samples: str
    card: Callable[[duckdb.DuckDBPyConnection], Card] | None = None
    waiting: Callable[[duckdb.DuckDBPyConnection, StateStore], Sequence[Waiting]] = lambda *_: ()
    datasets: Sequence[Dataset] = ()
    other_inboxes: Sequence[str] = ()
    has_rows: Callable[[duckdb.DuckDBPyConnection], bool] = lambda _: False
    scopes: Mapping[str, str] = field(default_factory=dict)
    migrations: Sequence[AnyScript] = ()
    stores: Mapping[str, Sequence[AnyScript]] = field(default_factory=dict)
    recorded: Sequence[RecordedTable] = ()
    retention: Sequence[Retention] = ()
    model: ModelSpec | None = None
    web: Sequence[str] = ()
    service: str = ""
    replication: str = ""
    rules: str = ""
    sensors: Sequence[str] = ()
    checks: Sequence[DataCheck] = ()
    reports: Sequence[ReportFile] = ()
    persons: Persons | None = None
    cases: Sequence[CaseKind] = ()
    searched: Sequence[Searched] = ()
    shared_files: Callable[[Settings], Mapping[str, Path]] = lambda _: {}
    row_policies: Sequence[RowPolicy] = ()
    row_value: Callable[[Settings], float] = lambda _: 1.0

    @property
    def title(self) -> str:
        """The name for display."""
        return self.name.capitalize()

    @property
    def page(self) -> str:
        """The path of its first page."""
        return f"/{self.name}"

    @property
    def inboxes(self) -> list[str]:
        """The names of its inboxes."""
        return [*(dataset.name for dataset in self.datasets), *self.other_inboxes]
