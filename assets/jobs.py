"""The assets to build together, as selections and jobs: all of them, or one domain with everything it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg

from assets.facts import DOMAIN_TAG, REPORTS
from assets.publish import SNAPSHOT
from quintet.domains import DOMAIN_NAMES

EVERYTHING = "everything"


def domain_selection(domain: str) -> dg.AssetSelection:
    """Return a domain's assets with everything upstream, the bookkeeping tables, the snapshot and its reports."""
    wanted = dg.AssetSelection.groups(domain).upstream() | dg.AssetSelection.groups("ops")
    reports = dg.AssetSelection.tag(DOMAIN_TAG, domain)
    return (wanted | dg.AssetSelection.assets(SNAPSHOT) | reports).materializable()


def changes_selection(groups: Mapping[dg.AssetKey, str | None], begun: Collection[dg.AssetKey]) -> dg.AssetSelection:
    """Return the assets to build after some have changed: everything downstream, the bookkeeping and the snapshot.

    All reports depend on the snapshot; only the reports in `begun` and the reports of changed domains are selected.
    The records that the service wrote for these domains are ingested too. Views on the bookkeeping tables need no
    rebuild.
    groups: the group of each asset. begun: the assets that new data or new code changes.
    """
    reports = {key for key in begun if groups[key] == REPORTS}
    domains = [name for name in DOMAIN_NAMES if name in {groups[key] for key in set(begun) - reports}]
    recorded = {key for key, group in groups.items() if key.path[0] == "ops" and group in domains}
    changed = sorted((set(begun) - reports) | recorded)
    selection: dg.AssetSelection = dg.AssetSelection.assets(*sorted(reports))
    if not changed:
        return selection
    bookkeeping = dg.AssetSelection.groups("ops")
    views = bookkeeping & dg.AssetSelection.key_prefixes("marts")
    downstream = dg.AssetSelection.assets(*changed).downstream() - dg.AssetSelection.groups(REPORTS) - views
    selection |= dg.AssetSelection.assets(*changed) | downstream | (bookkeeping.materializable() - views)
    for domain in domains:
        selection |= dg.AssetSelection.tag(DOMAIN_TAG, domain)
    return selection


EVERYTHING_JOB = dg.define_asset_job(
    EVERYTHING,
    dg.AssetSelection.all().materializable(),
    description="Every asset, from the inboxes to the snapshot.",
)
"""The job over all assets."""

DOMAIN_JOBS = {
    domain: dg.define_asset_job(domain, domain_selection(domain), description=f"All of {domain}, and the snapshot.")
    for domain in DOMAIN_NAMES
}
"""The job of each domain."""


def build_jobs(groups: set[str]) -> list[dg.UnresolvedAssetJobDefinition]:
    """Return the job for all assets, and those of the domains that have assets. groups: of all models."""
    return [EVERYTHING_JOB, *(job for domain, job in DOMAIN_JOBS.items() if domain in groups)]
