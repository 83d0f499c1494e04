"""Share reports, models and policies with services on other machines, whoever has changed them."""

from collections.abc import Sequence

import dagster as dg

from quintet.settings import Settings
from quintet.shared_files import share_files

_SECONDS = 30


def build_sharing_sensors(settings: Settings) -> Sequence[dg.SensorDefinition]:
    """Return the sensor, if the settings have a bucket to share through.

    Runs write reports and models, people write policies; each time it looks, it shares what has changed.
    """
    if settings.serving_url is None:
        return ()

    @dg.sensor(
        name="share_files",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Uploads reports, models and policies that have changed to the bucket of QUINTET_SERVING_URL.",
    )
    def share_changed_files() -> dg.SkipReason:
        release = share_files(settings)
        return dg.SkipReason(f"release {release.number if release else 0} has the files as they are")

    return (share_changed_files,)
