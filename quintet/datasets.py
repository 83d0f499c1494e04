"""The register of inboxes, gathered from the domains' contracts.

A new domain adds its name to `_CONTRACTS`; nothing else here changes.
"""

from collections.abc import Mapping
from types import MappingProxyType

import quintet.conversions.contract
import quintet.insurance.contract
import quintet.payments.contract
import quintet.promotions.contract
from quintet.warehouse.contract import Dataset

_CONTRACTS = (
    quintet.insurance.contract,
    quintet.promotions.contract,
    quintet.conversions.contract,
    quintet.payments.contract,
)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.name: dataset for contract in _CONTRACTS for dataset in contract.DATASETS}
)
"""Every dataset by name, in the order of the domains."""

DOMAINS = ("insurance", "promotions", "conversions", "lending", "payments")
"""The five businesses; lending has no inbox, its data comes from a change stream."""
