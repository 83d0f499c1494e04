"""The settings of payments: the day of a numbered file, the hours of the business, and the channels of alerts."""

from __future__ import annotations

from datetime import date
from math import inf
from typing import Annotated

from pydantic import SecretStr

from quintet.payments.dimensions import parse_dimensions
from quintet.payments.escalation_steps import parse_escalation
from quintet.payments.opening_hours import parse_holidays, parse_weekly_hours, time_zone
from quintet.setting_fields import Day, DomainSettings, HttpUrl, ReadableFile, SmtpUrl, read_by, setting

CHANNELS = TEAMS, WEBHOOK, EMAIL, APPRISE = "teams", "webhook", "email", "apprise"
"""The channels of alerts."""


def parse_values(text: str) -> dict[str, float]:
    """Return the values of a text like `denied 35, volume 50`, by series. Raises ValueError for another form."""
    found: dict[str, float] = {}
    for part in text.split(",") if text.strip() else ():
        series, _, number = part.strip().lower().rpartition(" ")
        value = float(number)
        if not series.strip() or series.strip() in found or not 0 <= value < inf:
            raise ValueError(f"{part.strip()!r} is no series with its value, or the series is named twice")
        found[series.strip()] = value
    return found


def _escalation(text: str) -> None:
    parse_escalation(text, CHANNELS)


class PaymentsSettings(DomainSettings):
    """The settings that only payments reads."""

    transactions_anchor_day: Day = setting(
        date(2024, 1, 1),
        "Day of the transactions file with the number 1, for files without a date; file 2 is the day after.",
        "a real date like 2024-01-01",
        is_dbt_variable=True,
    )
    payments_time_zone: Annotated[str, read_by(time_zone)] = setting(
        "UTC",
        "Time zone in which payments have their hours and weekdays.",
        "a time zone like Europe/Berlin",
        is_dbt_variable=True,
    )
    payments_opening_hours: Annotated[str, read_by(parse_weekly_hours)] | None = setting(
        None,
        "Hours in which payments are expected; days that are not named are closed.",
        "days and hours like mon-fri 08:00-22:00; sat 09:00-12:00,14:00-18:00",
        "learned from the history",
        is_dbt_variable=True,
    )
    payments_holidays: Annotated[str, read_by(parse_holidays)] = setting(
        "",
        "Days without payments; a day without a year is one of each year.",
        "days like 2026-05-14, 12-25",
        "none",
        is_dbt_variable=True,
    )
    payments_dimensions: Annotated[str, read_by(parse_dimensions)] = setting(
        "",
        "Fields by which payments are also counted, at most 8; an incident names the values that explain it.",
        "names in lower case like merchant, acquirer, issuer, method, country",
        "none",
        is_dbt_variable=True,
    )
    payment_value: float = setting(
        1.0,
        "Value of a payment, in currency: incidents to judge are ordered by the payments that they cost.",
        "a number from 0",
        ge=0,
        allow_inf_nan=False,
        is_dbt_variable=True,
    )
    payments_values: Annotated[str, read_by(parse_values)] = setting(
        "",
        "Values of a payment by series, in currency; one that is not named has the mean of its amounts, else "
        "QUINTET_PAYMENT_VALUE.",
        "series and numbers like denied 35, volume 50",
        "none",
        is_dbt_variable=True,
    )
    payments_critical_loss: float | None = setting(
        None,
        "Expected loss an hour, in currency, from which an incident is critical.",
        "a number above 0",
        "by the share of payers that are affected",
        gt=0,
        allow_inf_nan=False,
        is_dbt_variable=True,
    )
    alert_escalation: Annotated[str, read_by(_escalation)] = setting(
        "",
        "Channels that are notified later or in some hours only, in the time zone of payments; minutes count from the "
        "first notification until somebody acknowledges the incident.",
        "steps like teams | email after 10 | apprise after 30 during mon-fri 18:00-08:00",
        "all channels at once",
    )
    teams_webhook_url: HttpUrl | None = setting(
        None,
        "URL of a Microsoft Teams workflow that posts what a webhook receives; alerts of payments go there.",
        "the URL of a workflow, like https://host/path",
        "none",
    )
    alert_webhook_url: HttpUrl | None = setting(
        None, "URL to which alerts are posted as JSON.", "a URL like https://host/path", "none"
    )
    alert_webhook_secret: SecretStr | None = setting(
        None,
        "Secret with which these posts are signed (`X-Quintet-Signature`).",
        "a secret of at least 16 characters",
        "none",
        min_length=16,
    )
    smtp_url: SmtpUrl | None = setting(
        None,
        "Mail server for alerts.",
        "a URL like smtp://user:password@host:587 (encrypted with STARTTLS) or smtps://user:password@host, with "
        "special characters percent-encoded (%2F for /)",
        "none",
    )
    smtp_ca_file: ReadableFile | None = setting(
        None, "File with the certificates that sign the mail server's, for a private authority.", "a file", "none"
    )
    alert_email_from: str = setting(
        "quintet@localhost", "Sender of these mails.", "an address like quintet@example.org", pattern=r"^\S+@\S+$"
    )
    alert_email_to: str | None = setting(
        None, "Recipients of these mails, comma-separated.", "addresses like a@example.org", "none", pattern=r"^\S+@.+$"
    )
    apprise_urls: SecretStr | None = setting(
        None,
        "Apprise URLs of all other services.",
        "Apprise URLs separated by blanks",
        "none",
        min_length=5,
    )
    heartbeat_url: HttpUrl | None = setting(
        None,
        "URL that is requested every minute while monitoring is healthy, for a watcher that alerts when requests stop.",
        "a URL like https://host/path",
        "none",
    )


SETTINGS = PaymentsSettings
