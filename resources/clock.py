"""The clock as a Dagster resource, so that tests can set the time."""

import datetime as dt
import time

from dagster import ConfigurableResource


class Clock(ConfigurableResource):
    """The machine's clock, or the fixed moment `at` (ISO 8601)."""

    at: str | None = None

    def now(self) -> dt.datetime:
        """Return the time in UTC, without zone, as the warehouse stores it."""
        moment = (
            dt.datetime.now(tz=dt.UTC) if self.at is None else dt.datetime.fromisoformat(self.at).astimezone(dt.UTC)
        )
        return moment.replace(tzinfo=None)

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; return at once if the moment is fixed."""
        if self.at is None:
            time.sleep(seconds)
