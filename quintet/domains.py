"""The only list of the five domains. A new domain adds an entry here and its own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from quintet.conversions.domain import CONVERSIONS
from quintet.domain import Domain
from quintet.ingest.contract import Dataset
from quintet.insurance.domain import INSURANCE
from quintet.lending.domain import LENDING
from quintet.ml.life_cycle import ModelSpec
from quintet.payments.domain import PAYMENTS
from quintet.promotions.domain import PROMOTIONS
from quintet.rules import store as rules
from quintet.state import audit, features
from quintet.state.recorded import RecordedTable
from quintet.state.retention import CORE_RETENTION, Retention
from quintet.state.store import CORE, CORE_MIGRATIONS, StateStore

DOMAINS: tuple[Domain, ...] = (INSURANCE, PROMOTIONS, CONVERSIONS, LENDING, PAYMENTS)

DOMAIN_NAMES: tuple[str, ...] = tuple(domain.name for domain in DOMAINS)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.name: dataset for domain in DOMAINS for dataset in domain.datasets}
)
"""Every dataset by name, in the order of the domains."""

RECORDED: tuple[RecordedTable, ...] = (
    audit.RECORDED,
    *rules.RECORDED,
    *(table for domain in DOMAINS for table in domain.recorded),
)
"""The tables that the service writes and a run ingests."""

MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {domain.name: domain.model for domain in DOMAINS if domain.model is not None}
)
"""The models that are trained, by domain."""

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        **{scope: opens for domain in DOMAINS for scope, opens in domain.scopes.items()},
        "metrics:read": "metrics for monitoring",
        "admin": "everything",
    }
)
"""The scopes of API keys, with a description of each."""

MIGRATIONS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        CORE: CORE_MIGRATIONS,
        features.OWNER: features.MIGRATIONS,
        rules.OWNER: rules.MIGRATIONS,
        **{domain.name: domain.migrations for domain in DOMAINS},
        **{owner: scripts for domain in DOMAINS for owner, scripts in domain.stores.items()},
    }
)
"""The scripts of every SQLite file, by owner."""


RETENTION: tuple[Retention, ...] = (
    *CORE_RETENTION,
    *rules.RETENTION,
    *(one for domain in DOMAINS for one in domain.retention),
)
"""How long the rows of every table of the state store stay."""


def open_state_store(folder: Path) -> StateStore:
    """Open the state store in `folder` with the tables of every domain."""
    of_domains = {domain.name: domain.migrations for domain in DOMAINS if domain.migrations}
    return StateStore(folder, migrations={rules.OWNER: rules.MIGRATIONS, **of_domains})
