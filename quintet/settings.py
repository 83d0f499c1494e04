"""The settings of Quintet, each with its validation and meaning."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from quintet.limits import DEFAULT_LIMITS, Limits
from quintet.masking import masked
from quintet.setting_fields import (
    MOST_DEFAULT_THREADS,
    BucketUrl,
    Day,
    Folder,
    Holidays,
    HttpUrl,
    MemorySize,
    Networks,
    PostgresUrl,
    ReadableFile,
    SmtpUrl,
    TimeZone,
    WeeklyHours,
    default_threads,
    setting,
    setting_of_seconds,
)

_PREFIX = "QUINTET_"
# Set by Quintet itself for the processes that it starts, such as dbt.
_SET_FOR_PARTS = {"QUINTET_DBT_PARSED", "QUINTET_DBT_SERVER", "QUINTET_WAREHOUSE"}
_LONGEST_SHOWN = 80


class SettingsError(ValueError):
    """A setting is wrong; the text names the variable, its value and the fix."""


class Settings(BaseModel):
    """The settings of one process, read once at its start. Paths are absolute; see `load_settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    raw: Folder = setting(
        Path("data/raw"), "Folder of the inboxes, one folder in it for each dataset.", "a folder, or a path to be one"
    )
    home: Folder = setting(
        Path("data"),
        "Folder for everything that Quintet writes: `warehouse.duckdb`, `serving/`, `reports/`, `models/`, `online/`.",
        "a folder, or a path to be one",
    )
    transactions_anchor_day: Day = setting(
        date(2024, 1, 1),
        "Day of the transactions file with the number 1, for files without a date; file 2 is the day after.",
        "a real date like 2024-01-01",
    )
    payments_time_zone: TimeZone = setting(
        "UTC", "Time zone in which payments have their hours and weekdays.", "a time zone like Europe/Berlin"
    )
    payments_opening_hours: WeeklyHours | None = setting(
        None,
        "Hours in which payments are expected; days that are not named are closed.",
        "days and hours like mon-fri 08:00-22:00; sat 09:00-12:00,14:00-18:00",
        "learned from the history",
    )
    payments_holidays: Holidays = setting(
        "", "Days without payments; a day without a year is one of each year.", "days like 2026-05-14, 12-25", "none"
    )
    memory_limit: MemorySize = setting(
        "800MB", "Most memory that DuckDB uses before it spills to disk.", "a size like 512MB, 1.5GB or 2GiB"
    )
    threads: int = setting(
        default_threads,
        "Threads of DuckDB.",
        "a whole number from 1 to 1024",
        shown=f"number of cores, at most {MOST_DEFAULT_THREADS}",
        ge=1,
        le=1024,
    )
    snapshots_kept: int = setting(
        3, "Published snapshots kept, the current one included.", "a whole number from 1 to 1000", ge=1, le=1000
    )
    settle_seconds: float = setting_of_seconds(
        2.0, "Seconds that an inbox file must be unchanged before a sensor loads it.", 0, 3600
    )
    inbox_unpacked_bytes: int = setting(
        DEFAULT_LIMITS.unpacked_bytes,
        "Most bytes of an inbox file, unpacked; a larger one is rejected.",
        "a whole number of bytes from 1000000",
        ge=1_000_000,
    )
    inbox_rows: int = setting(DEFAULT_LIMITS.rows, "Most rows of an inbox file.", "a whole number from 1000", ge=1_000)
    inbox_columns: int = setting(
        DEFAULT_LIMITS.columns, "Most columns of an inbox file.", "a whole number from 100 to 16384", ge=100, le=16_384
    )
    inbox_line_bytes: int = setting(
        DEFAULT_LIMITS.line_bytes,
        "Most bytes of a line of an inbox file.",
        "a whole number of bytes from 10000 to 100000000",
        ge=10_000,
        le=100_000_000,
    )
    inbox_cell_bytes: int = setting(
        DEFAULT_LIMITS.cell_bytes,
        "Most bytes of a cell; in a CSV or Parquet file only its row is quarantined.",
        "a whole number of bytes from 1000 to 2000000",
        ge=1_000,
        le=2_000_000,
    )
    inbox_shared_text_bytes: int = setting(
        DEFAULT_LIMITS.shared_text_bytes,
        "Most bytes of memory for the texts that the cells of a workbook share.",
        "a whole number of bytes from 1000000",
        ge=1_000_000,
    )
    lock_wait_seconds: float = setting_of_seconds(
        900.0, "Seconds to wait for another run that is writing the warehouse.", 0, 86_400
    )
    port: int = setting(8000, "Port of the API and the pages.", "a whole number from 1 to 65535", ge=1, le=65_535)
    trusted_proxies: Networks = setting(
        "",
        "Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
        "addresses or networks like 127.0.0.1, 10.0.0.0/8",
        "none",
    )
    admin_key: SecretStr | None = setting(
        None, "First admin key of the API, for automation.", "a key of at least 10 characters", "none", min_length=10
    )
    requests_per_minute: int = setting(
        60_000, "Requests that a key may make in a minute.", "a whole number from 1 to 10000000", ge=1, le=10_000_000
    )
    request_seconds: float = setting_of_seconds(10.0, "Seconds after which a request times out.", 0.01, 600)
    request_bytes: int = setting(
        1_000_000, "Most bytes in the body of a request.", "a whole number from 1 to 100000000", ge=1, le=100_000_000
    )
    public_url: str | None = setting(
        None,
        "Address at which people open the pages, for links in messages.",
        "a URL like https://quintet.example.org",
        "none",
        pattern=r"^https?://[^\s@]+$",
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
    postgres_url: PostgresUrl | None = setting(
        None,
        "URL of your own PostgreSQL with the tables of promotions and lending, instead of the embedded one.",
        "a URL like postgresql://user:password@host:5432/database, with special characters percent-encoded (%2F for /)",
        "none; `make up` starts its own",
    )
    object_store_url: BucketUrl | None = setting(
        None,
        "URL of the S3 API that stores the change log.",
        "a URL like http://key:secret@host:9000/bucket, with special characters percent-encoded (%2F for /); "
        "s3://bucket with the usual AWS variables; or file:///folder",
        "the embedded store",
    )
    stream_slot: str = setting(
        "quintet",
        "Name of the stream's replication slot and publication in the database.",
        "lower-case letters, digits and underscores, at most 63",
        pattern=r"^[a-z0-9_]{1,63}$",
    )
    stream_port: int = setting(
        9464,
        "Port of 127.0.0.1 for the stream's metrics; 0 for none.",
        "a whole number from 0 to 65535",
        ge=0,
        le=65_535,
    )
    log_days: float = setting(
        7.0,
        "Days that small objects of the change log stay after they were compacted into the lake.",
        "a number of days from 0 to 3650",
        ge=0,
        le=3650,
        allow_inf_nan=False,
    )
    loan_book_seconds: float = setting_of_seconds(
        3600.0, "Seconds that restoring a dump of the inbox `loan_book` may take.", 1, 86_400
    )
    loan_book_bytes: int = setting(
        20_000_000_000,
        "Bytes that such a dump may occupy when restored.",
        "a whole number of bytes from 1000000",
        ge=1_000_000,
    )
    lending_as_of: Day | None = setting(
        None,
        "Day at whose end the published features of clients are computed.",
        "a real date like 2020-08-23",
        "the day of the run; for a dump without later changes, its last day",
    )
    lending_policy: Path = setting(
        Path(__file__).parents[1] / "policy" / "lending.toml",
        "File of the policy for loan decisions.",
        "a file, or a path to be one",
        "policy/lending.toml",
    )
    decision_seconds: float = setting_of_seconds(
        0.5, "Seconds to wait for features and score of a loan decision; without them, a person decides.", 0.01, 10
    )
    lending_score_url: str | None = setting(
        None,
        "Endpoint that scores applications, with the interface of `POST /v1/lending/score`.",
        "a URL like https://scores.example.org/v1/lending/score",
        "none; the service scores itself",
        pattern=r"^https?://[^\s@]+$",
    )
    lending_score_key: SecretStr | None = setting(
        None, "Key for that endpoint.", "a key of at least 10 characters", "none", min_length=10
    )
    lending_score_seconds: float = setting_of_seconds(
        0.15, "Seconds after which a request to that endpoint times out.", 0.001, 10
    )

    @property
    def inbox_limits(self) -> Limits:
        """The limits on a file of an inbox."""
        return Limits(
            unpacked_bytes=self.inbox_unpacked_bytes,
            rows=self.inbox_rows,
            columns=self.inbox_columns,
            line_bytes=self.inbox_line_bytes,
            cell_bytes=self.inbox_cell_bytes,
            shared_text_bytes=self.inbox_shared_text_bytes,
        )

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only the orchestration opens."""
        return self.home / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        """Folder of the published snapshots."""
        return self.home / "serving"

    @property
    def current_snapshot(self) -> Path:
        """The link to the snapshot that readers open."""
        return self.serving / "current.duckdb"

    @property
    def reports(self) -> Path:
        """Folder of reports and exports."""
        return self.home / "reports"

    @property
    def models(self) -> Path:
        """Folder of fitted models."""
        return self.home / "models"

    @property
    def online(self) -> Path:
        """Folder of the state store of the service and the stream."""
        return self.home / "online"

    @property
    def lending(self) -> Path:
        """Folder of the features that runs build from the change log; the stream's features are in `online`."""
        return self.home / "lending"

    @property
    def embedded_postgres(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.home / "postgres"

    @property
    def restores(self) -> Path:
        """Temporary folder of the server on which a dump is restored before its rows are loaded."""
        return self.home / "restore"

    @property
    def embedded_objects(self) -> Path:
        """Folder of the embedded object store."""
        return self.home / "objects"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in `environment`, by default `os.environ`; relative paths start at the current folder.

    An empty variable counts as not set.
    Raises SettingsError if a value is wrong or a `QUINTET_*` name is unknown; it lists all problems at once.
    """
    given = {
        name: value
        for name, value in (os.environ if environment is None else environment).items()
        if name.startswith(_PREFIX) and name not in _SET_FOR_PARTS and value.strip()
    }
    fields = {_variable(field): field for field in Settings.model_fields}
    faults = [_unknown(name, list(fields)) for name in sorted(given) if name not in fields]
    values = {fields[name]: value for name, value in given.items() if name in fields}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors())
        raise SettingsError("\n".join([*(_fault(field, values.get(field)) for field in wrong), *faults])) from None
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of all secret settings in the environment, valid or not."""
    return tuple(environment.get(_variable(field), "") for field in Settings.model_fields if _is_secret(field))


def settings_table() -> str:
    """Return a Markdown table of all settings: variable, default, meaning; without a line break at the end."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for field, info in Settings.model_fields.items():
        lines.append(f"| `{_variable(field)}` | {_extra(field)['shown']} | {info.description} |")
    return "\n".join(lines)


def _variable(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"


def _extra(field: str) -> dict[str, str]:
    extra = Settings.model_fields[field].json_schema_extra
    return {name: str(value) for name, value in extra.items()} if isinstance(extra, dict) else {}


def _is_secret(field: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[field].annotation)


def _fault(field: str, value: str | None) -> str:
    """Return what is wrong with a field and how to fix it; `value` is None if the default itself is invalid."""
    variable, extra = _variable(field), _extra(field)
    shown = extra["shown"] if value is None else value
    quoted = "a secret that is not shown here" if _is_secret(field) else masked(repr(shown[:_LONGEST_SHOWN]))
    return f"{variable} is {quoted}; it must be {extra['requirement']}. Fix it, or unset it for {extra['shown']}."


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Unset it, or use one of {', '.join(known)}."
    return f"{name} is not a setting of Quintet. {fix}"


if __name__ == "__main__":
    print(settings_table())
