"""Which assets are built together: everything, or one business with all that it needs."""

from __future__ import annotations

import dagster as dg

from assets.facts import DOMAIN_TAG
from assets.publish import SNAPSHOT
from quintet.datasets import DOMAINS

EVERYTHING = "everything"


def domain_selection(domain: str) -> dg.AssetSelection:
    """A domain's assets with all they need upstream, the bookkeeping tables, the snapshot, and the domain's reports."""
    wanted = dg.AssetSelection.groups(domain).upstream() | dg.AssetSelection.groups("ops")
    reports = dg.AssetSelection.tag(DOMAIN_TAG, domain)
    return (wanted | dg.AssetSelection.assets(SNAPSHOT) | reports).materializable()


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
