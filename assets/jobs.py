"""Which assets are built together: everything, or one business with all that it needs."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from assets.facts import DOMAIN_TAG, REPORTS
from assets.publish import SNAPSHOT
from quintet.datasets import DOMAINS

EVERYTHING = "everything"


def domain_selection(domain: str) -> dg.AssetSelection:
    """A domain's assets with all they need upstream, the bookkeeping tables, the snapshot, and the domain's reports."""
    wanted = dg.AssetSelection.groups(domain).upstream() | dg.AssetSelection.groups("ops")
    reports = dg.AssetSelection.tag(DOMAIN_TAG, domain)
    return (wanted | dg.AssetSelection.assets(SNAPSHOT) | reports).materializable()


def new_data_selection(begun: Iterable[dg.AssetKey], domains: Iterable[str]) -> dg.AssetSelection:
    """What new data touches: all downstream of it, the bookkeeping tables, the snapshot, the reports of its domains.

    begun: the assets that take the data in. domains: their domains. It is enough where the same code has built
    everything else before. The views on the bookkeeping tables stand then and show what is new by themselves.
    """
    fresh = dg.AssetSelection.assets(*begun).downstream()
    bookkeeping = dg.AssetSelection.groups("ops")
    views = bookkeeping & dg.AssetSelection.key_prefixes("marts")
    # every report stands on the snapshot, but only those of the domains with new data have changed
    selection = (fresh - dg.AssetSelection.groups(REPORTS) - views) | (bookkeeping.materializable() - views)
    for domain in domains:
        selection |= dg.AssetSelection.tag(DOMAIN_TAG, domain)
    return selection


def build_jobs(groups: set[str]) -> list[dg.UnresolvedAssetJobDefinition]:
    """A job for all assets, and one for each domain that has any."""
    everything = dg.define_asset_job(
        EVERYTHING,
        dg.AssetSelection.all().materializable(),
        description="Every asset, from the inboxes to the snapshot.",
    )
    return [
        everything,
        *(
            dg.define_asset_job(domain, domain_selection(domain), description=f"All of {domain}, and the snapshot.")
            for domain in DOMAINS
            if domain in groups
        ),
    ]
