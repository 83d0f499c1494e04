"""The bodies and answers of the payments routes."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    field_validator,
    model_validator,
)

from quintet.payments.auth_codes import status_of
from quintet.payments.detector import LARGEST_COUNT
from quintet.payments.incidents import to_minute
from quintet.payments.items import Item
from quintet.web.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from quintet.web.times import BusinessDay, RecordedMoment

MOST_ITEMS = 10_000
"""The most items of one request."""

EARLIEST = dt.datetime(2000, 1, 1)
_MINUTE_OF_DAY = re.compile(r"(\d{1,2})(?:h ?|:)(\d{2})")

Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT, strict=True)]


class _Timed(BaseModel):
    """An item with the minute it belongs to."""

    model_config = ConfigDict(extra="forbid")

    minute_at: Annotated[str, Field(min_length=4, max_length=40)] = Field(
        validation_alias=AliasChoices("minute_at", "timestamp", "time"),
        description="The minute, or a time in it: ISO 8601, UTC without a zone. Or `14h 31` of `day`.",
        examples=["2024-01-01T14:31:00Z"],
    )
    amount: float | None = Field(
        None,
        ge=0,
        le=1e15,
        allow_inf_nan=False,
        strict=True,
        description="The amount of all that the item counts, in currency.",
    )
    day: BusinessDay | None = Field(
        None, description="The day of a minute like `14h 31`, UTC.", examples=["2024-01-01"]
    )

    def minute(self) -> int:
        """Return the minutes since 1970. Raises ValueError for an invalid minute."""
        found = _MINUTE_OF_DAY.fullmatch(self.minute_at.strip())
        if found:
            hour, minute = int(found[1]), int(found[2])
            if hour > 23 or minute > 59:
                raise ValueError(f"{self.minute_at!r} is not a minute of a day; write 00h 00 to 23h 59")
            if self.day is None:
                raise ValueError(f"{self.minute_at!r} needs `day` as well, like 2024-01-01")
            return to_minute(dt.datetime.combine(self.day, dt.time(hour, minute)))
        try:
            at = dt.datetime.fromisoformat(self.minute_at.strip())
            return to_minute(at)
        except (ValueError, OverflowError):
            raise ValueError(f"{self.minute_at!r} is not a time; write one like 2024-01-01T14:31:00Z") from None

    @model_validator(mode="after")
    def _has_minute(self) -> _Timed:
        if self.minute() < to_minute(EARLIEST):
            raise ValueError(f"{self.minute_at!r} is before the year 2000")
        return self


class MinuteCount(_Timed):
    """The count of transactions of a status in a minute. If it is sent again, the last count replaces it."""

    status: Text = Field(description="approved, denied, failed or another; a new one gets a series of its own.")
    count: Count = Field(description="Transactions in the whole minute.", examples=[12])

    def item(self) -> Item:
        """Return the item in the monitor's form."""
        return Item(self.minute(), self.status.strip().lower(), self.count, amount=self.amount)


class Transaction(_Timed):
    """One transaction. Sent again with the same id and status, it counts once."""

    transaction_id: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="The sender's id.")
    status: Text | None = Field(None, description="Its status; send it or `auth_code`.")
    auth_code: str | None = Field(
        None, description="ISO 8583 action code: 00 is approved, 91 failed, 51 denied.", pattern=r"^[0-9A-Z]{2}$"
    )

    @field_validator("auth_code")
    @classmethod
    def _is_code(cls, code: str | None) -> str | None:
        if code is not None:
            status_of(code)
        return code

    @model_validator(mode="after")
    def _has_one(self) -> Transaction:
        if (self.status is None) == (self.auth_code is None):
            raise ValueError("send either status or auth_code")
        return self

    def item(self) -> Item:
        """Return the item in the monitor's form."""
        status = status_of(self.auth_code) if self.auth_code else (self.status or "").strip().lower()
        return Item(self.minute(), status, 1, self.transaction_id, self.amount)


def _kind(value: Any) -> str:
    has_id = "transaction_id" in value if isinstance(value, dict) else isinstance(value, Transaction)
    return "transaction" if has_id else "minute count"


AnyItem = Annotated[
    Annotated[MinuteCount, Tag("minute count")] | Annotated[Transaction, Tag("transaction")], Discriminator(_kind)
]


ITEMS: TypeAdapter[list[MinuteCount | Transaction]] = TypeAdapter(list[AnyItem])


_LIST = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_ITEMS,
    "items": {"anyOf": [MinuteCount.model_json_schema(), Transaction.model_json_schema()]},
}
BODY = {
    "anyOf": [
        *_LIST["items"]["anyOf"],  # type: ignore[index]
        _LIST,
        {"type": "object", "properties": {"items": _LIST}, "required": ["items"], "additionalProperties": False},
    ]
}


class Recommendation(BaseModel):
    """The recommendation for one item."""

    series: str
    minute_at: str
    recommendation: Literal["alert", "ok"]
    reason: str
    is_accepted: bool = Field(description="False if the minute was already closed.")
    scored_minute_at: str | None = Field(description="The scored minute; earlier while the item's is incomplete.")
    score: float | None = Field(description="Minus the decimal logarithm of the probability of the observed count.")
    expected: float | None
    observed: int | None
    window_minutes: int | None
    rule: str | None
    incident_id: str | None


class Recommendations(BaseModel):
    """The recommendations in the order of the items."""

    items: list[Recommendation]
    alerts: int = Field(description="How many of the items recommend an alert.")
    unknown_statuses: list[str] = Field(description="Unknown statuses among the items; each is a series of its own.")


class IncidentQuery(BaseModel):
    """Filters of incidents."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["all", "live", "batch"] = Field(
        "all", description="`live`: from items sent to the service; `batch`: from files; `all`: both, each once."
    )
    state: Literal["any", "firing", "resolved", "withdrawn"] = Field(
        "any", description="`any` omits incidents that late counts withdrew."
    )
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Maximum number of items.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the previous page.")


class ExplainingValue(BaseModel):
    """A value of a dimension that explains a part of an incident."""

    dimension: str
    value: str
    observed: int
    expected: float
    share: float = Field(description="Of the excess over what is expected; of the volume, of what is missing.")
    p_value: float = Field(description="Probability of as much by chance if the incident affected all values alike.")


class IncidentRow(BaseModel):
    """An incident; ended_at is null while it is open."""

    model_config = ConfigDict(extra="allow")

    incident_id: str
    source: Literal["live", "batch"]
    series: str
    state: str
    severity: str
    started_at: str
    detected_at: str
    ended_at: str | None
    rule: str
    reason: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    loss: str | None = Field(None, description="The expected loss in words, if the value of a payment is known.")
    values: list[ExplainingValue] = Field(description="The values that explain it, at most five.")


class IncidentPage(BaseModel):
    """Incidents, the last one first."""

    items: list[IncidentRow]
    next_page_token: str | None
    snapshot: str | None = Field(description="The snapshot of the incidents from files; null if none is published.")


class MinuteQuery(BaseModel):
    """Filters of points."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["live", "batch"] = Field("live", description="From items sent to the service, or from files.")
    series: list[Text] = Field(default_factory=list, max_length=40, description="Statuses, `volume` or `feed`.")
    since: RecordedMoment | None = Field(None, description="First minute, included; UTC without a zone.")
    until: RecordedMoment | None = Field(None, description="End, excluded.")
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Maximum number of items.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the previous page.")


class PointRow(BaseModel):
    """One minute of a series."""

    series: str
    minute_at: str
    score: float
    expected: float
    observed: int
    window_minutes: int
    minute_count: int
    lower: float
    upper: float
    rule: str | None
    is_anomalous: bool
    reason: str | None


class PointPage(BaseModel):
    """Points by minute and series."""

    items: list[PointRow]
    next_page_token: str | None
    snapshot: str | None


class Acknowledged(BaseModel):
    """Who acknowledged an incident, and when."""

    incident_id: str
    acknowledged_at: str
    acknowledged_by: str


IncidentId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
