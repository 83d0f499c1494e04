"""Payments over HTTP: items and recommendations, bad input, too many items, incidents, silences, the stream."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from quintet.payments.live import Listener, MonitorService
from quintet.payments.service import PaymentsService
from quintet.web.routes.payments_models import MOST_ITEMS
from tests.unit.payments.teams import receiving
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.payments import DAY, TRANSACTIONS, minute, send
from tests.web.service import ADMIN, build_app


@pytest.fixture
def payments(built_home: Path, own_home: Path) -> Iterator[TestClient]:
    """A client of a service without live payments."""
    (own_home / "serving").symlink_to(built_home / "serving")
    with TestClient(build_app(own_home), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def test_a_burst_is_an_alert_with_its_reason_and_its_incident(payments: TestClient) -> None:
    send(payments, *(minute(number) for number in range(60)))
    answer = send(payments, minute(60, denied=70))
    approved, denied = answer["items"]

    assert (approved["recommendation"], denied["recommendation"], answer["alerts"]) == ("ok", "alert", 1)
    assert denied["rule"] == "denied_quarter"
    assert denied["observed"] == 70
    assert denied["score"] > 6
    (incident,) = payments.get("/v1/payments/incidents?source=live").json()["items"]
    assert incident["incident_id"] == denied["incident_id"]


@pytest.mark.parametrize(
    "body",
    [
        {"minute_at": "2024-01-01T10:00:00Z", "status": "approved", "count": 5},
        {"time": "10h 00", "day": DAY, "status": "approved", "count": 5},
        {"timestamp": "2024-01-01T12:00:30+02:00", "status": "approved", "count": 5},
        [{"minute_at": "2024-01-01 10:00", "status": " Approved".strip(), "count": 5}],
        {"items": [{"minute_at": "2024-01-01T10:00:00Z", "transaction_id": "a", "auth_code": "00"}]},
        {"minute_at": "2024-01-01T10:00:59Z", "transaction_id": "a", "status": "approved"},
    ],
)
def test_one_or_many_counts_or_transactions_in_any_zone(payments: TestClient, body: Any) -> None:
    answer = payments.post(TRANSACTIONS, json=body)

    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert (item["minute_at"], item["series"]) == ("2024-01-01T10:00:00Z", "volume")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"count": "12"}, "body.0.minute count.count: Input should be a valid integer"),
        ({"count": -1}, "greater than or equal to 0"),
        ({"count": 10**12}, "less than or equal to 1000000000"),
        ({"count": 1.5}, "valid integer"),
        ({"count": None}, "valid integer"),
        ({"minute_at": "24h 61", "day": DAY}, "is not a minute of a day; write 00h 00 to 23h 59"),
        ({"minute_at": "14h 31"}, "needs `day` as well"),
        ({"minute_at": "yesterday"}, "is not a time; write one like"),
        ({"minute_at": "0001-01-01T00:00:00+14:00"}, "is not a time"),
        ({"minute_at": "1999-12-31T23:59:00Z"}, "before the year 2000"),
        ({"minute_at": "2999-01-01T00:00:00Z"}, "has not begun: the service's clock is at"),
        ({"status": ""}, "at least 1 character"),
        ({"status": "<script>"}, "match pattern"),
        ({"status": None}, "valid string"),
        ({"colour": "red"}, "an item has no such field"),
        ({"transaction_id": "a"}, "an item has no such field"),
    ],
)
def test_bad_input_is_refused_with_what_and_where_and_nothing_is_stored(
    payments: TestClient, changed: dict[str, Any], says: str
) -> None:
    good = {"minute_at": "2024-01-01T10:00:00Z", "status": "denied", "count": 5}
    answer = payments.post(TRANSACTIONS, json=[good | changed, good])

    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert payments.get("/v1/payments/minutes").json()["items"] == []


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"items": []}', b"null", b"[" * 5_000, b"\xff"])
def test_a_body_without_a_list_of_items_is_refused(payments: TestClient, body: bytes) -> None:
    answer = payments.post(TRANSACTIONS, content=body)

    assert answer.status_code == 422
    assert answer.json()["status"] == 422


def test_too_many_items_are_refused_before_they_are_scored(payments: TestClient) -> None:
    one = {"minute_at": "2024-01-01T10:00Z", "status": "a", "count": 1}
    few = payments.post(TRANSACTIONS, json=[one] * (MOST_ITEMS + 1))
    many = payments.post(TRANSACTIONS, json=[one] * 100_000)

    assert (few.status_code, many.status_code) == (413, 413)
    assert "send at most" in few.json()["detail"]


def test_an_unknown_status_is_a_series_of_its_own_and_is_reported(payments: TestClient) -> None:
    answer = send(payments, minute(0), minute(1, chargeback=2))
    series = payments.get("/v1/payments/minutes?series=chargeback").json()["items"]

    assert answer["unknown_statuses"] == ["chargeback"]
    assert [one["minute_count"] for one in series] == [2]


def test_a_repeated_day_out_of_order_minutes_and_a_missing_hour_have_the_right_result(payments: TestClient) -> None:
    minutes = [minute(number) for number in range(200) if not 60 <= number < 120]
    send(payments, *minutes[::-1])
    points = payments.get("/v1/payments/minutes?page_size=1000").json()
    again = send(payments, *minutes)
    incidents = payments.get("/v1/payments/incidents?source=live").json()["items"]

    assert [(one["series"], one["started_at"]) for one in incidents] == [("feed", "2024-01-01T13:00:00Z")]
    assert {one["is_accepted"] for one in again["items"][:100]} == {False}
    assert payments.get("/v1/payments/minutes?page_size=1000").json() == points


def test_pages_of_points_make_up_the_series(payments: TestClient) -> None:
    send(payments, *(minute(number) for number in range(20)))
    whole = payments.get("/v1/payments/minutes?page_size=1000").json()["items"]
    found: list[Any] = []
    token = ""
    while token is not None:
        page = payments.get(f"/v1/payments/minutes?page_size=7{token and '&page_token=' + token}").json()
        found += page["items"]
        token = page["next_page_token"]

    assert found == whole
    assert len(whole) == 20 * 8


def test_points_and_incidents_of_files_equal_the_snapshot(payments: TestClient) -> None:
    page = payments.get("/v1/payments/minutes?source=batch&series=denied&since=2024-01-01T10:00Z&page_size=3").json()
    incidents = payments.get("/v1/payments/incidents?page_size=1000").json()

    assert page["snapshot"] == incidents["snapshot"] == payments.get("/readyz").json()["snapshot"]
    assert [one["minute_at"] for one in page["items"]] == [f"2024-01-01T10:0{number}:00Z" for number in range(3)]
    assert len(incidents["items"]) > 10
    starts = [one["started_at"] for one in incidents["items"]]
    assert starts == sorted(starts, reverse=True)


def test_the_first_acknowledgement_of_an_incident_stays(payments: TestClient) -> None:
    send(payments, *(minute(number) for number in range(60)))
    incident_id = send(payments, minute(60, denied=70))["items"][1]["incident_id"]
    path = f"/v1/payments/incidents/{incident_id}/acknowledge"

    assert payments.post(path).json() == payments.post(path).json()
    assert payments.get("/v1/payments/incidents?source=live").json()["items"][0]["acknowledged_by"]
    assert payments.post(path.replace(incident_id, "0" * 12)).status_code == 404


def test_a_silence_expires_or_is_ended(payments: TestClient) -> None:
    made = payments.post("/v1/payments/silences/begin", json={"series": "denied", "minutes": 60}).json()

    assert payments.get("/v1/payments/silences").json()["items"] == [made]
    assert payments.post(f"/v1/payments/silences/{made['silence_id']}/end").json()["items"] == []
    assert payments.post(f"/v1/payments/silences/{made['silence_id']}/end").status_code == 404
    assert payments.post("/v1/payments/silences/begin", json={"minutes": 0}).status_code == 422


def test_a_listener_gets_minutes_and_incidents_and_can_resume(payments: TestClient) -> None:
    live: MonitorService = payments.app.state.service.of(PaymentsService).live  # type: ignore[attr-defined]
    send(payments, *(minute(number) for number in range(60)))

    async def hear(listener: Listener) -> tuple[int, str]:
        event = await asyncio.wait_for(listener.queue.get(), 10)
        assert event is not None
        return event.number, event.kind

    async def scene() -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        listener = live.listen(after=0)
        before = [await hear(listener) for _ in range(60)]
        live.leave(listener)
        listener = live.listen(after=before[57][0])
        await asyncio.to_thread(send, payments, minute(60, denied=70))
        after = [await hear(listener) for _ in range(4)]
        live.leave(listener)
        return before, after

    before, after = asyncio.run(scene())
    first = before[0][0]
    assert before == [(number, "minute") for number in range(first, first + 60)]
    assert after == [*before[58:], (first + 60, "minute"), (first + 61, "incident")]


def test_the_stream_sends_server_sent_events(server: Any) -> None:
    now = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)
    item = {"minute_at": now.isoformat(), "status": "approved", "count": 3}
    headers = {"authorization": f"Bearer {server.key}"}
    with httpx.stream("GET", f"{server.url}/v1/payments/stream", headers=headers, timeout=LONG_SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith(": listening")
        httpx.post(f"{server.url}{TRANSACTIONS}", json=item, headers=headers).raise_for_status()
        # the clock closes further minutes meanwhile
        events = (json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:"))
        heard = next(one for one in events if {point["series"] for point in one.get("points", ())} >= {"volume"})
    assert heard["minute_at"] == now.strftime("%Y-%m-%dT%H:%M:00Z")


def test_an_incident_reaches_teams_as_a_card(built_home: Path, own_home: Path) -> None:
    (own_home / "serving").symlink_to(built_home / "serving")
    with receiving() as teams:
        app = build_app(own_home, QUINTET_TEAMS_WEBHOOK_URL=teams.url, QUINTET_PUBLIC_URL="https://quintet.example.org")
        with TestClient(app, headers=ADMIN) as client:
            send(client, *(minute(number) for number in range(60)), minute(60, denied=70))
            wait_until(lambda: teams.taken)
    (card,) = [one["attachments"][0]["content"] for one in teams.bodies]

    assert card["body"][0]["text"].startswith("Denied")
    assert card["actions"][0]["url"] == "https://quintet.example.org/payments"


def test_after_a_restart_the_monitor_continues(built_home: Path, own_home: Path) -> None:
    (own_home / "serving").symlink_to(built_home / "serving")
    minutes = [*(minute(number) for number in range(60)), minute(60, denied=70)]
    with TestClient(build_app(own_home), headers=ADMIN) as first:
        before = send(first, *minutes)["items"][-2:]
    with TestClient(build_app(own_home), headers=ADMIN) as second:
        after = send(second, minutes[-1])["items"]
        following = send(second, minute(61, denied=70))["items"]

    assert after == before
    assert following[1]["incident_id"] == before[1]["incident_id"]
