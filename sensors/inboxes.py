"""A sensor for each inbox, which starts one run for all new files that have settled."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from assets.ingest import inbox_event, raw_key
from assets.jobs import DOMAIN_JOBS, EVERYTHING, EVERYTHING_JOB, changes_selection, domain_selection
from assets.versions import stale_assets
from quintet.domains import DATASETS
from quintet.ingest.contract import Dataset
from quintet.ingest.examine import examine
from quintet.ingest.inbox import InboxFile, is_settled, unsettled_seconds
from quintet.plan import compare_inbox
from resources.clock import Clock
from resources.inboxes import INBOX_TAG, Inboxes
from resources.paths import Paths
from sensors.first_build import FIRST_BUILD, is_building_first, is_first_build
from sensors.retries import PAUSES, failed_attempts, request_for

INTERVAL_SECONDS = 5
"""For a file that grows; one that arrives changes its folder, and `cli/dagster_daemon.py` does not wait for it."""

_LONGEST_WAIT_SECONDS = 2.0
"""The longest wait of a tick for a file to settle; the next tick is 5 s away, but a wait delays the other sensors."""

_LONGEST_PAUSE = 2 * PAUSES[-1]
"""How long a requested run is followed: the pauses after its attempts, and their durations."""


def listing_digest(files: Sequence[InboxFile]) -> str:
    """Return a hash over the names, sizes and times of the files, which keeps the cursor short."""
    listing = [[file.name, *file.version] for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def content_digest(dataset: Dataset, files: Sequence[InboxFile]) -> str:
    """Return a hash over the contents of the files and whether they can be read, independent of names and order.

    A file that was rejected only for its name can be read under another one, so renaming it starts a new run, and so
    does another mapping.
    """
    examined = [examine(file, dataset) for file in files]
    batches = sorted({f"{one.batch_id} {'rejected' if one.layout is None else 'readable'}" for one in examined})
    mapping = [dataset.mapping.digest] if dataset.mapping.digest else []
    return hashlib.sha256("\n".join([dataset.name, *batches, *mapping]).encode()).hexdigest()


@dataclass(frozen=True)
class Settled:
    """The files of an inbox that are to be compared with the snapshot."""

    files: list[InboxFile]
    listing: str
    at: dt.datetime

    def cursor(self, content: str | None = None) -> str:
        """Return the new cursor. content: what a run is requested for, if one is."""
        seen = {"listing": self.listing, "at": self.at.isoformat(timespec="seconds")}
        return json.dumps(seen if content is None else seen | {"content": content})


def settled_files(
    context: dg.SensorEvaluationContext, inbox: str, inboxes: Inboxes, clock: Clock, mapping: str = ""
) -> Settled | dg.SkipReason:
    """Return the files of an inbox that has settled, and has changed or whose run failed; else a reason to skip.

    mapping: the digest of what people have mapped in its files; a change of it is one of the inbox.
    """
    if not context.cursor and is_building_first(context.instance):
        return dg.SkipReason("the first build loads every inbox")
    files = inboxes.files(inbox)
    listing = listing_digest(files) + mapping
    seen = json.loads(context.cursor) if context.cursor else {}
    if not files or (seen.get("listing") == listing and not _is_to_repeat(context.instance, seen, clock.now())):
        return dg.SkipReason("the inbox is unchanged")
    unsettled = max(unsettled_seconds(file, clock.now(), inboxes.settle_seconds) for file in files)
    if 0 < unsettled <= _LONGEST_WAIT_SECONDS:
        clock.sleep(unsettled)
        files = inboxes.files(inbox)
        listing = listing_digest(files) + mapping
    growing = [file.name for file in files if not is_settled(file, clock.now(), inboxes.settle_seconds)]
    if growing:
        return dg.SkipReason(f"still being written: {', '.join(growing[:5])}")
    return Settled(files, listing, clock.now())


def _is_to_repeat(instance: dg.DagsterInstance, seen: Mapping[str, str], now: dt.datetime) -> bool:
    """Return whether the run that was requested for the inbox as it is has failed, and another one is due."""
    if "content" not in seen or now > dt.datetime.fromisoformat(seen["at"]) + _LONGEST_PAUSE:
        return False
    return bool(failed_attempts(instance, seen["content"], now))


def build_inbox_sensor(dataset: Dataset) -> dg.SensorDefinition:
    """Return the sensor that watches a dataset's inbox."""

    @dg.sensor(
        name=f"watch_{dataset.name}",
        jobs=[DOMAIN_JOBS[dataset.domain], EVERYTHING_JOB],
        minimum_interval_seconds=INTERVAL_SECONDS,
        tags={INBOX_TAG: dataset.name},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts one run for all new files in data/raw/{dataset.name}; the first run builds everything.",
    )
    def watch(
        context: dg.SensorEvaluationContext,
        inboxes: Inboxes,
        paths: Paths,
        clock: Clock,
    ) -> dg.SensorResult | dg.SkipReason:
        mapped = inboxes.mapped(dataset) if inboxes.files(dataset.name) else dataset  # an empty inbox opens no store
        settled = settled_files(context, dataset.name, inboxes, clock, mapped.mapping.digest)
        if isinstance(settled, dg.SkipReason):
            return settled
        listed = compare_inbox(mapped, settled.files, paths.serving)
        seen = [inbox_event(dataset.name, listed.version)]
        if not listed.fresh:
            reason = "the snapshot has the content of every file"
            return dg.SensorResult(skip_reason=reason, cursor=settled.cursor(), asset_events=seen)
        content = content_digest(mapped, listed.fresh)
        tags = {"inbox": dataset.name}
        if is_first_build(context.instance, paths.serving):
            request = request_for(context, content, clock.now(), tags | FIRST_BUILD, job_name=EVERYTHING)
        else:
            touched = _touched(context, dataset)
            request = request_for(context, content, clock.now(), tags, touched, job_name=dataset.domain)
        requests = [] if request is None else [request]
        return dg.SensorResult(run_requests=requests, cursor=settled.cursor(content), asset_events=seen)

    return watch


def _touched(context: dg.SensorEvaluationContext, dataset: Dataset) -> list[dg.AssetKey]:
    """Return the domain's assets that new files of the dataset affect, and its stale assets."""
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("the sensor has no repository to find assets in")
    graph = context.repository_def.asset_graph
    nodes = {key: graph.get(key) for key in graph.get_all_asset_keys()}
    of_domain = domain_selection(dataset.domain).resolve(graph)
    versions = {key: str(nodes[key].code_version) for key in of_domain if nodes[key].code_version is not None}
    begun = {raw_key(dataset.name), *stale_assets(versions, context.instance)}
    groups = {key: node.group_name for key, node in nodes.items()}
    return sorted(changes_selection(groups, begun).resolve(graph) & of_domain)


INBOX_SENSORS = [build_inbox_sensor(dataset) for dataset in DATASETS.values()]
