"""What incidents cost: the value of a payment by series, the expected loss, and the severity that follows from it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from quintet.payments.incidents import (
    APPROVED,
    CRITICAL,
    FEED,
    VOLUME,
    WARNING,
    Incident,
    Point,
    severity_by_share,
)
from quintet.payments.items import Item
from quintet.payments.settings import PaymentsSettings, parse_values
from quintet.settings import Settings
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

AMOUNT_DAYS = 7
"""Days whose amounts give the mean value of a payment."""

LEAST_PAYMENTS = 30
"""The fewest payments with an amount from which a mean is used."""

_MINUTES_PER_DAY = 1_440


@dataclass(frozen=True)
class Losses:
    """The value of a payment, in currency, and the loss from which an incident is critical.

    by_series: as set; a status, `volume` or `feed`. means: by status, from the amounts in the data. critical_per_hour:
    None if severity follows the share of payers that are affected.
    """

    default: float = 1.0
    by_series: Mapping[str, float] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)
    critical_per_hour: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether a value of payments is known, so that a loss means something."""
        return bool(self.by_series or self.means) or self.critical_per_hour is not None

    def value_of(self, series: str) -> float:
        """Return the value of a payment of a series: as set, else the mean of its amounts, else the default."""
        status = APPROVED if series in (VOLUME, FEED) else series
        return self.by_series.get(series, self.means.get(status, self.default))

    def total(self, one: Point | Incident) -> float:
        """Return the loss in the window of a point, or of an incident's worst point."""
        missing = one.expected if one.series == FEED else one.expected - one.observed
        affected = missing if one.series in (VOLUME, FEED) else one.observed - one.expected
        return max(affected, 0.0) * self.value_of(one.series)

    def per_hour(self, one: Point | Incident) -> float:
        """Return the loss of an hour that goes on like the window of the point or worst point."""
        return self.total(one) * 60 / max(one.window_minutes, 1)

    def severity(self, point: Point) -> str:
        """Return the severity of an anomalous point: by its expected loss, else by the share of payers affected."""
        if self.critical_per_hour is None:
            return severity_by_share(point)
        return CRITICAL if self.per_hour(point) >= self.critical_per_hour else WARNING

    def in_words(self, incident: Incident) -> str:
        """Return the expected loss of an incident in a sentence; empty if no value of payments is known."""
        if not self.is_set:
            return ""
        said = (
            f"Expected loss: {self.per_hour(incident):,.0f} an hour if it goes on, at "
            f"{self.value_of(incident.series):,.2f} a payment"
        )
        if self.critical_per_hour is None:
            return f"{said}."
        return f"{said}; critical from {self.critical_per_hour:,.0f} an hour."


BY_SHARE = Losses()
"""No value is known: severity follows the share of payers that are affected."""


def losses_of(settings: Settings) -> Losses:
    """Return the values that the settings give."""
    own = settings.of(PaymentsSettings)
    return Losses(own.payment_value, parse_values(own.payments_values), {}, own.payments_critical_loss)


RETENTION_OF_TABLE = Retention("payment_amount_days", "Each new amount removes those of more than a week before.")

TABLE = """
    create table if not exists payment_amount_days (
        day integer not null,
        status text not null,
        count integer not null,
        amount real not null,
        primary key (day, status)
    ) strict, without rowid;
    """


def record_amounts(connection: Connection, items: Iterable[Item]) -> None:
    """Add the amounts of items to those of their days. An item that is sent again hardly changes a mean."""
    sums: dict[tuple[int, str], tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for item in items:
        if item.amount is not None and item.count:
            key = (item.minute // _MINUTES_PER_DAY, item.status)
            count, amount = sums[key]
            sums[key] = (count + item.count, amount + item.amount)
    if not sums:
        return
    connection.executemany(
        "insert into payment_amount_days (day, status, count, amount) values (?, ?, ?, ?) on conflict (day, status) "
        "do update set count = payment_amount_days.count + excluded.count, "
        "amount = payment_amount_days.amount + excluded.amount",
        [(*key, *value) for key, value in sums.items()],
    )
    newest = max(day for day, _ in sums)
    connection.execute("delete from payment_amount_days where day < ?", (newest - AMOUNT_DAYS,))


def with_amounts(losses: Losses, store: StateStore, now: dt.datetime) -> Losses:
    """Return the losses with the mean amounts of the last days."""
    day = int(now.timestamp() // 86_400)
    rows = store.read().execute(
        "select status, sum(count) as payments, sum(amount) as amount from payment_amount_days where day >= ? "
        "group by status",
        (day - AMOUNT_DAYS,),
    )
    means = {
        row["status"]: float(row["amount"]) / int(row["payments"])
        for row in rows.fetchall()
        if int(row["payments"]) >= LEAST_PAYMENTS
    }
    return losses if means == losses.means else replace(losses, means=means)
