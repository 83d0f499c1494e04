"""Mails are encrypted and only go to a server whose certificate is trusted."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from quintet.delivery.webhook import Delivery, DeliveryError
from quintet.embedded.processes import free_port
from quintet.payments.channels import MailServer, to_email
from tests.security.certificates import Authority, make_authority

USER, PASSWORD = "quintet@example.org", "p/a%s@s:1"
ENCODED = "quintet%40example.org:p%2Fa%25s%40s%3A1"
BODY = {
    "title": "Denied:\nanomalous",
    "severity": "critical",
    "state": "firing",
    "incidents": [],
    "left_out": 0,
    "page_url": None,
}


@dataclass
class _Inbox:
    """A handler that keeps each mail with whether it came encrypted and after which login."""

    mails: list[tuple[str, bool, Any]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((content.decode(), session.ssl is not None, session.auth_data))
        return "250 fine"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority of these tests."""
    return make_authority(tmp_path_factory.mktemp("authority"), "IP:127.0.0.1")


def _check(*given: object) -> AuthResult:
    data = given[-1]
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False, auth_data=USER)


@contextmanager
def _mail_server(scheme: str, context: ssl.SSLContext | None, **options: Any) -> Iterator[tuple[_Inbox, int]]:
    inbox = _Inbox([])
    given: dict[str, Any] = {"tls_context": context}
    if scheme == "smtps":
        given = {"ssl_context": context, "auth_require_tls": False}  # it does not know that it is behind TLS
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, authenticator=_check, **given, **options)
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()


def _send(url: str, ca: Path | None = None) -> None:
    delivery = Delivery("key-1", BODY, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    to_email(MailServer(SecretStr(url), ca), "q@example.org", "a@example.org", delivery)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_is_encrypted_and_the_login_works_with_special_characters(authority: Authority, scheme: str) -> None:
    with _mail_server(scheme, authority.context, auth_required=True) as (inbox, port):
        _send(f"{scheme}://{ENCODED}@127.0.0.1:{port}", authority.ca)
    ((text, is_encrypted, user),) = inbox.mails
    assert (is_encrypted or scheme == "smtps", user) == (True, USER)
    assert "Subject: [critical] Denied: anomalous" in text


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_whose_certificate_is_not_trusted_gets_nothing(authority: Authority, scheme: str) -> None:
    refused = pytest.raises(DeliveryError, match=r"certificate is not trusted.*QUINTET_SMTP_CA_FILE")
    with _mail_server(scheme, authority.context) as (inbox, port), refused:
        _send(f"{scheme}://{ENCODED}@127.0.0.1:{port}")
    assert inbox.mails == []


def test_a_certificate_for_another_name_gets_nothing(tmp_path: Path) -> None:
    other = make_authority(tmp_path, "DNS:other.example.org")
    refused = pytest.raises(DeliveryError, match="certificate is not trusted")
    with _mail_server("smtp", other.context) as (inbox, port), refused:
        _send(f"smtp://{ENCODED}@127.0.0.1:{port}", other.ca)
    assert inbox.mails == []


def test_a_server_on_this_machine_without_encryption_gets_the_mail() -> None:
    with _mail_server("smtp", None, auth_require_tls=False) as (inbox, port):
        _send(f"smtp://127.0.0.1:{port}")
        _send(f"smtp://{ENCODED}@127.0.0.1:{port}")
    assert [(is_encrypted, user) for _, is_encrypted, user in inbox.mails] == [(False, None), (False, USER)]


def test_a_password_is_not_sent_in_the_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quintet.delivery.mail._THIS_MACHINE", frozenset())  # as if it were another one
    with _mail_server("smtp", None, auth_require_tls=False) as (inbox, port):
        with pytest.raises(DeliveryError, match="offers no encryption"):
            _send(f"smtp://{ENCODED}@127.0.0.1:{port}")
        _send(f"smtp://127.0.0.1:{port}")
    assert len(inbox.mails) == 1


def test_a_wrong_password_is_reported_without_it(authority: Authority) -> None:
    refused = pytest.raises(DeliveryError, match="SMTPAuthenticationError")
    with _mail_server("smtp", authority.context) as (inbox, port), refused as raised:
        _send(f"smtp://quintet%40example.org:wrongword@127.0.0.1:{port}", authority.ca)
    assert "wrongword" not in str(raised.value)
    assert inbox.mails == []
