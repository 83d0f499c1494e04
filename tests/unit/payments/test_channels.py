"""Sending messages to channels: their format, what counts as delivered, and that no secret leaks."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import threading
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr

from quintet.delivery.webhook import Delivery, DeliveryError, signature, to_webhook
from quintet.payments import channels
from quintet.payments.channels import (
    MOST_CARD_BYTES,
    MailServer,
    as_text,
    channels_of,
    teams_card,
    to_apprise,
    to_email,
    to_teams,
)
from quintet.settings import load_settings
from tests.unit.payments.teams import CARD, receiving
from tests.waiting import LONG_SECONDS

NOW = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
SECRET = "secret-in-the-path"


def body(incidents: int = 1, reason: str = "60 denied in 5 minutes.", **changed: Any) -> dict[str, Any]:
    one = {
        "incident_id": "0123456789ab",
        "series": "denied",
        "what": "denied",
        "since": "2024-01-01 12:00 UTC",
        "until": None,
        "severity": "critical",
        "state": "firing",
        "reason": reason,
    }
    return {
        "title": "Denied: anomalous",
        "severity": "critical",
        "state": "firing",
        "page_url": "https://quintet.example.org/payments",
        "notified_at": NOW.isoformat(),
        "incidents": [one] * incidents,
        "left_out": 0,
    } | changed


def delivery(**changed: Any) -> Delivery:
    return Delivery("key-1", body(**changed), NOW)


def test_teams_accepts_a_card() -> None:
    with receiving() as teams:
        to_teams(teams.url, delivery())

    (sent,) = teams.bodies
    card = sent["attachments"][0]["content"]
    assert card["version"] == "1.4"
    assert card["body"][0]["text"] == "Denied: anomalous"
    assert teams.taken[0][0]["idempotency-key"] == "key-1"


def test_a_card_of_another_shape_is_refused_by_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "teams_card", lambda _: {"type": "AdaptiveCard", "version": "1.5", "body": []})
    with receiving() as teams, pytest.raises(DeliveryError, match="answered 400") as refused:
        to_teams(teams.url, delivery())

    assert refused.value.is_refused
    assert teams.taken == []


@pytest.mark.parametrize("incidents", [1, 20, 400])
def test_a_card_is_never_too_large_and_always_fits_the_schema(incidents: int) -> None:
    card = teams_card(body(incidents, reason="x" * 5_000))

    jsonschema.validate(card, CARD)
    assert len(json.dumps(card).encode()) < MOST_CARD_BYTES
    if incidents == 400:
        assert card["body"][-1]["text"].startswith("And ")


def test_marks_of_markdown_are_shown_as_they_are() -> None:
    card = teams_card(body(title="[click](https://bad.example) *now*"))

    assert card["body"][0]["text"] == "\\[click\\](https://bad.example) \\*now\\*"


def test_without_a_public_address_the_card_has_no_button() -> None:
    card = teams_card(body(page_url=None))

    jsonschema.validate(card, CARD)
    assert "actions" not in card


def test_a_webhook_is_signed_so_that_the_receiver_knows_who_sent_it() -> None:
    with receiving(None) as receiver:
        to_webhook(receiver.url, "a secret of sixteen", delivery())
    headers, sent = receiver.taken[0]

    assert headers["x-quintet-signature"] == signature("a secret of sixteen", headers["x-quintet-timestamp"], sent)
    assert headers["x-quintet-signature"] != signature("another secret....", headers["x-quintet-timestamp"], sent)
    assert json.loads(sent)["key"] == headers["idempotency-key"] == "key-1"


@pytest.mark.parametrize(
    ("status", "is_refused"), [(500, False), (503, False), (404, False), (400, True), (302, False)]
)
def test_any_status_but_success_is_a_failure(status: int, is_refused: bool) -> None:
    with receiving() as teams:
        teams.failing = status
        with pytest.raises(DeliveryError, match=f"answered {status}") as failed:
            to_teams(teams.url, delivery())

    assert failed.value.is_refused == is_refused


def test_a_rate_limited_channel_says_how_long_to_wait() -> None:
    with receiving() as teams:
        teams.failing, teams.headers = 429, {"Retry-After": "17"}
        with pytest.raises(DeliveryError) as failed:
            to_teams(teams.url, delivery())

    assert failed.value.wait == dt.timedelta(seconds=17)


def test_no_secret_of_an_address_gets_into_an_error_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []
    with receiving() as teams:
        to_teams(teams.url, delivery())
        teams.failing = 500
        addresses = [teams.url, f"http://127.0.0.1:1/{SECRET}", f"http://{SECRET}.invalid/", f"nonsense {SECRET}"]
        for url in addresses:
            with pytest.raises(DeliveryError) as failed:
                to_teams(url, delivery())
            texts.append(str(failed.value))
    for url in (f"smtp://user:{SECRET}@127.0.0.1:1", f"smtps://user:{SECRET}@127.0.0.1:1"):
        with pytest.raises(DeliveryError) as failed:
            to_email(MailServer(SecretStr(url)), "a@example.org", "b@example.org", delivery())
        texts.append(str(failed.value))
    for url in (f"json://127.0.0.1:1/{SECRET}", f"unknown://{SECRET}"):
        with pytest.raises(DeliveryError) as failed:
            to_apprise(url, delivery())
        texts.append(str(failed.value))

    assert SECRET not in " ".join(texts) + caplog.text
    assert len(texts) == 8


def test_apprise_sends_the_message() -> None:
    with receiving(None) as receiver:
        to_apprise(receiver.url.replace("http://", "json://"), delivery())

    (sent,) = receiver.bodies
    assert sent["title"] == "Denied: anomalous"
    assert "60 denied in 5 minutes." in sent["message"]


def test_a_mail_has_subject_text_and_an_id_that_stays() -> None:
    lines: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", newline="\r\n") as talk:
            talk.write("220 here\n")
            talk.flush()
            in_data = False
            for line in talk:
                lines.append(line.rstrip())
                if in_data and line.rstrip() != ".":
                    continue
                word = line.split()[0].upper() if line.split() else ""
                in_data = word == "DATA"
                talk.write({"DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 fine") + "\n")
                talk.flush()
                if word == "QUIT":
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        mail_server = MailServer(SecretStr(f"smtp://127.0.0.1:{listener.getsockname()[1]}"))
        to_email(mail_server, "q@example.org", "a@example.org", delivery())
        server.join(LONG_SECONDS)

    assert "Subject: [critical] Denied: anomalous" in lines
    assert "Message-ID: <key-1@quintet>" in lines
    assert "60 denied in 5 minutes." in lines


def test_the_text_has_the_whole_message() -> None:
    text = as_text(body(2, left_out=3))

    assert text.count("denied, critical, since 2024-01-01 12:00 UTC") == 2
    assert "And 3 more." in text
    assert text.endswith("https://quintet.example.org/payments\n")


def test_the_settings_name_the_channels_and_none_by_default() -> None:
    given = {
        "QUINTET_TEAMS_WEBHOOK_URL": "https://example.org/workflow",
        "QUINTET_ALERT_WEBHOOK_URL": "https://example.org/hook",
        "QUINTET_SMTP_URL": "smtp://example.org",
        "QUINTET_ALERT_EMAIL_TO": "a@example.org",
        "QUINTET_APPRISE_URLS": "json://example.org",
    }

    assert channels_of(load_settings({})) == {}
    assert set(channels_of(load_settings(given))) == {"teams", "webhook", "email", "apprise"}
    assert "example.org/workflow" not in repr(load_settings(given))
