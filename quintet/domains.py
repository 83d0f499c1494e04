"""The only list of the five domains. A new domain adds an entry here and its own files."""

from collections.abc import Mapping
from types import MappingProxyType

from quintet.cases import file_mappings
from quintet.cases import tables as case_tables
from quintet.cases.drift import drift_kind
from quintet.cases.files import file_kind
from quintet.cases.kind import CaseKind
from quintet.conversions.domain import CONVERSIONS
from quintet.domain import Domain
from quintet.ingest.contract import Dataset
from quintet.insurance.domain import INSURANCE
from quintet.lending.domain import LENDING
from quintet.ml.life_cycle import ModelSpec
from quintet.payments.domain import PAYMENTS
from quintet.promotions.domain import PROMOTIONS
from quintet.row_policy import RowPolicy
from quintet.rules import store as rules
from quintet.state import audit, features
from quintet.state.migrations import CORE, CORE_MIGRATIONS, Migrations
from quintet.state.recorded import RecordedTable
from quintet.state.retention import CORE_RETENTION, Retention
from quintet.state.store import FILE, StateStore
from quintet.state_place import Place

DOMAINS: tuple[Domain, ...] = (INSURANCE, PROMOTIONS, CONVERSIONS, LENDING, PAYMENTS)

DOMAIN_NAMES: tuple[str, ...] = tuple(domain.name for domain in DOMAINS)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.name: dataset for domain in DOMAINS for dataset in domain.datasets}
)
"""Every dataset by name, in the order of the domains."""

RECORDED: tuple[RecordedTable, ...] = (
    audit.RECORDED,
    case_tables.RECORDED,
    file_mappings.RECORDED,
    *rules.RECORDED,
    *(table for domain in DOMAINS for table in domain.recorded),
)
"""The tables that the service writes and a run ingests."""

MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {domain.name: domain.model for domain in DOMAINS if domain.model is not None}
)
"""The models that are trained, by domain."""

CASE_KINDS: Mapping[tuple[str, str], CaseKind] = MappingProxyType(
    {
        kind.key: kind
        for domain in DOMAINS
        for kind in (
            *domain.cases,
            file_kind(domain.name, domain.datasets, domain.other_inboxes, domain.row_value),
            drift_kind(domain.name, domain.cases, domain.row_value),
        )
        if kind is not None
    }
)
"""The kinds of cases, by domain and name: those that it declares, its files, and drifts of its verdicts."""

ROW_POLICIES: Mapping[str, RowPolicy] = MappingProxyType(
    {policy.kind: policy for domain in DOMAINS for policy in domain.row_policies}
)
"""How tables are split for bound keys, by the kind of the binding."""

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        **{scope: opens for domain in DOMAINS for scope, opens in domain.scopes.items()},
        "cases:read": "cases of the businesses that the key may read",
        "cases:decide": "assigning, snoozing and deciding these cases",
        "metrics:read": "metrics for monitoring",
        "admin": "everything",
    }
)
"""The scopes of API keys, with a description of each."""

MIGRATIONS: Migrations = MappingProxyType(
    {
        CORE: CORE_MIGRATIONS,
        features.OWNER: features.MIGRATIONS,
        case_tables.OWNER: case_tables.MIGRATIONS,
        file_mappings.OWNER: file_mappings.MIGRATIONS,
        rules.OWNER: rules.MIGRATIONS,
        **{domain.name: domain.migrations for domain in DOMAINS},
        **{owner: scripts for domain in DOMAINS for owner, scripts in domain.stores.items()},
    }
)
"""The scripts of the whole state store, by owner."""


RETENTION: tuple[Retention, ...] = (
    *CORE_RETENTION,
    *case_tables.RETENTION,
    *file_mappings.RETENTION,
    *rules.RETENTION,
    *(one for domain in DOMAINS for one in domain.retention),
)
"""How long the rows of every table of the state store stay."""


def state_files() -> Mapping[str, Migrations]:
    """Return the scripts by the SQLite file that has their tables, and by owner."""
    own = {features.OWNER, *(owner for domain in DOMAINS for owner in domain.stores)}
    shared = {owner: scripts for owner, scripts in MIGRATIONS.items() if owner not in own}
    return {FILE: shared, **{f"{owner}.sqlite": {owner: MIGRATIONS[owner]} for owner in own}}


def open_state_store(place: Place) -> StateStore:
    """Open the state store with the tables of every domain; a folder stands for the SQLite files in it."""
    shared = {one.OWNER: one.MIGRATIONS for one in (case_tables, file_mappings, rules)}
    own = {domain.name: domain.migrations for domain in DOMAINS if domain.migrations}
    return StateStore(place, migrations={**shared, **own})
