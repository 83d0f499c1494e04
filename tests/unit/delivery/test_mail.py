"""Mails: a refused recipient is a fault of the mail, and no password goes in the clear."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest
from pydantic import SecretStr

from quintet.delivery.mail import MailServer, send_mail
from quintet.delivery.webhook import DeliveryError


class Server:
    """A mail server without encryption that answers a mail with a fault, or accepts it."""

    fault: Exception | None = None
    mails: list[EmailMessage] = []  # noqa: RUF012  # emptied by each test

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ehlo_or_helo_if_needed(self) -> None:
        pass

    def has_extn(self, _: str) -> bool:
        return False

    def send_message(self, mail: EmailMessage) -> None:
        if Server.fault:
            raise Server.fault
        Server.mails.append(mail)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtplib, "SMTP", Server)
    Server.fault, Server.mails = None, []


@pytest.mark.parametrize(
    ("fault", "is_refused"),
    [
        (smtplib.SMTPRecipientsRefused({}), True),
        (smtplib.SMTPServerDisconnected("gone"), False),
        (ConnectionRefusedError("no"), False),
    ],
)
def test_a_refused_recipient_is_a_fault_of_the_mail_and_a_server_that_is_away_is_not(
    fault: Exception, is_refused: bool
) -> None:
    Server.fault = fault
    with pytest.raises(DeliveryError) as raised:
        send_mail(MailServer(SecretStr("smtp://mail.example.org")), EmailMessage())
    assert raised.value.is_refused == is_refused


def test_a_mail_is_sent_without_encryption_and_a_password_is_not() -> None:
    send_mail(MailServer(SecretStr("smtp://mail.example.org")), EmailMessage())
    assert len(Server.mails) == 1
    with pytest.raises(DeliveryError, match="a password is not sent in the clear"):
        send_mail(MailServer(SecretStr("smtp://ana:secret@mail.example.org")), EmailMessage())
    assert len(Server.mails) == 1
