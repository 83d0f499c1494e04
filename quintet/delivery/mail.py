"""Send mails: encrypted, with the server's certificate checked."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from quintet.delivery.webhook import DeliveryError

_SECONDS = 5.0
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class MailServer:
    """A mail server: `smtp://user:password@host:port` or `smtps://…`. ca_file: of a private authority, if any."""

    url: SecretStr
    ca_file: Path | None = None


def send_mail(mail_server: MailServer, mail: EmailMessage) -> None:
    """Send a mail. Raises DeliveryError; a recipient that the server refuses is a fault of the mail itself.

    A server that offers no STARTTLS gets the mail in the clear; a password is never sent in the clear to another
    machine.
    """
    try:
        with _connected(mail_server) as server:
            server.send_message(mail)
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(
            f"the mail server's certificate is not trusted: {error.verify_message}. Set QUINTET_SMTP_CA_FILE"
        ) from None
    except smtplib.SMTPRecipientsRefused:
        raise DeliveryError("the mail server does not accept the recipient", is_refused=True) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise DeliveryError(f"the mail server did not accept it: {type(error).__name__}") from None


@contextmanager
def _connected(mail_server: MailServer) -> Iterator[smtplib.SMTP]:
    parts = urlsplit(mail_server.url.get_secret_value())
    host, context = parts.hostname or "", ssl.create_default_context(cafile=mail_server.ca_file)
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=_SECONDS)
    with server:
        server.ehlo_or_helo_if_needed()  # what a server can do is known after its greeting only
        is_encrypted = parts.scheme == "smtps"
        if not is_encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            is_encrypted = True
        if parts.username:
            if not is_encrypted and host not in _THIS_MACHINE:
                raise DeliveryError("the mail server offers no encryption, and a password is not sent in the clear")
            server.login(unquote(parts.username), unquote(parts.password or ""))
        yield server
