"""A sensor for each inbox: new files that lie still start one run for all of them.

Belongs here: when a run is due. An error fails the tick, where Dagster shows it; it is never turned into a skip.
"""

import hashlib
import json
from collections.abc import Sequence

import dagster as dg

from assets.ingest import raw_key
from assets.publish import SNAPSHOT
from quintet.datasets import DATASETS
from quintet.warehouse.contract import Dataset
from quintet.warehouse.inbox import InboxFile, is_settled
from quintet.warehouse.load import examine
from resources.clock import Clock
from resources.inboxes import Inboxes

INTERVAL_SECONDS = 10


def listing_digest(files: Sequence[InboxFile]) -> str:
    """A hash of what the folder shows: names, sizes and times; one line of cursor, however many files there are."""
    listing = [[file.name, *file.version] for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def content_digest(dataset: Dataset, files: Sequence[InboxFile]) -> str:
    """A hash of what the files hold, whatever their names and order."""
    batches = sorted({examine(file, dataset).batch_id for file in files})
    return hashlib.sha256("\n".join([dataset.name, *batches]).encode()).hexdigest()


def build_inbox_sensor(dataset: Dataset) -> dg.SensorDefinition:
    """The sensor that watches a dataset's inbox."""
    selection = dg.AssetSelection.assets(raw_key(dataset.name)).downstream() | dg.AssetSelection.assets(SNAPSHOT)

    @dg.sensor(
        name=f"watch_{dataset.name}",
        target=selection,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Takes new files of data/raw/{dataset.name}, all waiting ones in one run.",
    )
    def watch(context: dg.SensorEvaluationContext, inboxes: Inboxes, clock: Clock) -> dg.SensorResult | dg.SkipReason:
        files = inboxes.files(dataset.name)
        listing = listing_digest(files)
        seen = json.loads(context.cursor) if context.cursor else {}
        if not files or seen.get("listing") == listing:
            return dg.SkipReason("nothing has changed in the inbox")
        growing = [file.name for file in files if not is_settled(file, clock.now(), inboxes.settle_seconds)]
        if growing:
            return dg.SkipReason(f"still being written: {', '.join(growing[:5])}")
        content = content_digest(dataset, files)
        cursor = json.dumps({"listing": listing, "at": clock.now().isoformat(timespec="seconds")})
        request = dg.RunRequest(run_key=content, tags={"inbox": dataset.name})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return watch


INBOX_SENSORS = [build_inbox_sensor(dataset) for dataset in DATASETS.values()]
