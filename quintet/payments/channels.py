"""Send messages to channels: Microsoft Teams, a webhook, e-mail, and others through apprise."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from quintet.delivery.mail import MailServer, send_mail
from quintet.delivery.webhook import Delivery, DeliveryError, Send, post, to_webhook
from quintet.payments.settings import APPRISE, EMAIL, TEAMS, WEBHOOK, PaymentsSettings
from quintet.settings import Settings

MOST_CARD_BYTES = 24_000
"""Teams accepts 28 kB; this leaves room for the envelope around the card."""

_LONGEST_REASON = 300


def channels_of(settings: Settings) -> dict[str, Send]:
    """Return the channels that the settings name; none by default."""
    own = settings.of(PaymentsSettings)
    named: dict[str, Send] = {}
    if own.teams_webhook_url:
        teams_url = own.teams_webhook_url.get_secret_value()
        named[TEAMS] = lambda delivery: to_teams(teams_url, delivery)
    if own.alert_webhook_url:
        url = own.alert_webhook_url.get_secret_value()
        secret = own.alert_webhook_secret.get_secret_value() if own.alert_webhook_secret else ""
        named[WEBHOOK] = lambda delivery: to_webhook(url, secret, delivery)
    if own.smtp_url and own.alert_email_to:
        server, to = MailServer(own.smtp_url, own.smtp_ca_file), own.alert_email_to
        named[EMAIL] = lambda delivery: to_email(server, own.alert_email_from, to, delivery)
    if own.apprise_urls:
        urls = own.apprise_urls.get_secret_value()
        named[APPRISE] = lambda delivery: to_apprise(urls, delivery)
    return named


def payments_page_url(settings: Settings) -> str | None:
    """Return the public address of the payments page; None if the settings have none."""
    return f"{settings.public_url.rstrip('/')}/payments" if settings.public_url else None


def to_teams(url: str, delivery: Delivery) -> None:
    """Post an Adaptive Card to a Teams Workflows webhook, which answers 202."""
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": teams_card(delivery.body),
    }
    post(url, json.dumps({"type": "message", "attachments": [attachment]}).encode(), {"Idempotency-Key": delivery.key})


def teams_card(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message as an Adaptive Card 1.4 of less than `MOST_CARD_BYTES`."""
    incidents = list(body["incidents"])
    while True:
        card = _card(body, incidents, body["left_out"] + len(body["incidents"]) - len(incidents))
        if len(json.dumps(card).encode()) < MOST_CARD_BYTES or not incidents:
            return card
        incidents = incidents[: len(incidents) * 3 // 4]


def _card(body: Mapping[str, Any], incidents: list[Mapping[str, Any]], left_out: int) -> dict[str, Any]:
    colour = "Good" if body["state"] != "firing" else "Attention" if body["severity"] == "critical" else "Warning"
    blocks: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": _plain(body["title"]),
            "weight": "Bolder",
            "size": "Medium",
            "color": colour,
            "wrap": True,
        },
        {
            "type": "TextBlock",
            "text": f"{body['severity'].capitalize()}, {body['state']}",
            "isSubtle": True,
            "spacing": "None",
            "wrap": True,
        },
    ]
    for incident in incidents:
        facts = [
            {"title": "What", "value": _plain(incident["what"])},
            {"title": "Since", "value": incident["since"]},
            *([{"title": "Until", "value": incident["until"]}] if incident["until"] else []),
            {"title": "Severity", "value": incident["severity"]},
        ]
        blocks += [
            {"type": "FactSet", "facts": facts, "separator": True},
            {"type": "TextBlock", "text": _plain(incident["reason"][:_LONGEST_REASON]), "wrap": True},
            *({"type": "TextBlock", "text": _plain(words), "wrap": True} for words in _more_lines(incident)),
        ]
    if left_out:
        blocks.append({"type": "TextBlock", "text": f"And {left_out:,} more.", "wrap": True})
    actions = [{"type": "Action.OpenUrl", "title": "Open payments", "url": body["page_url"]}]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
        **({"actions": actions} if body["page_url"] else {}),
    }


def _more_lines(incident: Mapping[str, Any]) -> list[str]:
    """Return where the incident is and what it costs, as far as that is known."""
    return [incident[name] for name in ("where", "loss") if incident.get(name)]


def _plain(text: str) -> str:
    """Escape Markdown, for the card to show the text as it is."""
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>#" else mark for mark in text)


def to_email(mail_server: MailServer, sender: str, to: str, delivery: Delivery) -> None:
    """Send an alert as a mail, as `send_mail` does."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(f"[{delivery.body['severity']}] {delivery.body['title']}".split())
    mail["From"], mail["To"] = sender, to
    mail["Message-ID"] = f"<{delivery.key}@quintet>"
    mail.set_content(as_text(delivery.body))
    send_mail(mail_server, mail)


def to_apprise(urls: str, delivery: Delivery) -> None:
    """Send the message to every apprise address, separated by blanks or commas."""
    import apprise  # noqa: PLC0415  # takes a second to load, and few use it

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its log lines contain addresses
    services = apprise.Apprise()
    if not services.add(urls):
        raise DeliveryError("apprise knows no service for one of the addresses", is_refused=True)
    if not services.notify(title=delivery.body["title"], body=as_text(delivery.body)):
        raise DeliveryError("a service behind apprise did not accept it")


def as_text(body: Mapping[str, Any]) -> str:
    """Return the message as plain text."""
    lines = [f"{body['title']} ({body['severity']}, {body['state']})", ""]
    for incident in body["incidents"]:
        until = f" until {incident['until']}" if incident["until"] else ""
        lines += [
            f"{incident['what']}, {incident['severity']}, since {incident['since']}{until}",
            incident["reason"],
            *_more_lines(incident),
            "",
        ]
    if body["left_out"]:
        lines.append(f"And {body['left_out']:,} more.")
    if body["page_url"]:
        lines.append(body["page_url"])
    return "\n".join(lines).strip() + "\n"
