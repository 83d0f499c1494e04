"""The types of settings, the field that declares one, and the class of a domain's settings.

Errors here never hold the value, which may be a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MOST_DEFAULT_THREADS = 4

_MEMORY_SIZE = re.compile(r"(?=.*[1-9])\d+(\.\d+)?\s*([KMGT]i?B)", re.IGNORECASE)
_USER = r"(?:[^\s/@:?#]+(?::[^\s/@:?#]*)?@)?"  # other characters must be percent-encoded, or it is ambiguous
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:?#\[\]]+)(?::\d{1,5})?"
_HTTP = re.compile(rf"https?://{_USER}{_HOST}(?:[/?#]\S*)?", re.IGNORECASE)
_SMTP = re.compile(rf"smtps?://{_USER}{_HOST}/?", re.IGNORECASE)
_BUCKET = re.compile(rf"https?://{_USER}{_HOST}/[^\s/@:?#]+/?|s3://[^\s/@:?#]+/?|file://.+", re.IGNORECASE)
_SPARK = re.compile(rf"sc://{_HOST}(?:/(?:;[^\s;=]+=[^\s;=]*)*)?", re.IGNORECASE)
"""Its parameters are a name and a value each: the client would show a piece of another form, such as of a token."""
_POSTGRES = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)


def _folder(path: Path) -> Path:
    absolute = path.expanduser().resolve()
    if absolute.exists() and not absolute.is_dir():
        raise ValueError("not a folder")
    return absolute


def _file_to_be(path: Path) -> Path:
    absolute = path.expanduser().resolve()
    if absolute.is_dir():
        raise ValueError("a folder")
    return absolute


def _file(path: Path) -> Path:
    absolute = path.expanduser().resolve()
    if not absolute.is_file():
        raise ValueError("not a file")
    return absolute


def _iso_date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _memory_size(text: str) -> str:
    if not _MEMORY_SIZE.fullmatch(text.strip()):
        raise ValueError("not a size")
    return text.strip()


def _secret(pattern: re.Pattern[str]) -> Callable[[SecretStr], SecretStr]:
    def check(secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value().strip()
        if not pattern.fullmatch(text) or not _has_a_usable_port(text):
            raise ValueError("of another form")
        return SecretStr(text)

    return check


def _has_a_usable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:  # above 65535, or brackets around what is no address; its message may hold a part of the URL
        return False


def is_bucket_url(text: str) -> bool:
    """Return whether the text is the address of a bucket or folder, with nothing of a secret in its path."""
    return _BUCKET.fullmatch(text.strip()) is not None and _has_a_usable_port(text.strip())


def _postgres(secret: SecretStr) -> SecretStr:
    """Accept what libpq reads completely: a piece of a password in a host or a database's name would be shown."""
    from psycopg import ProgrammingError  # noqa: PLC0415  # most commands need no database
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    text = secret.get_secret_value().strip()
    if "://" in text and not _POSTGRES.match(text):
        raise ValueError("of another scheme")
    try:
        found = conninfo_to_dict(text)
    except (ProgrammingError, UnicodeError):
        raise ValueError("not readable") from None
    host, port, name = (str(found.get(key) or "") for key in ("host", "port", "dbname"))
    if not found or "@" in host + name or not re.fullmatch(r"[\d,]*", port):
        raise ValueError("ambiguous")
    return SecretStr(text)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text.strip()))


def _networks(text: str) -> str:
    for word in text.replace(",", " ").split():
        ipaddress.ip_network(word, strict=False)
    return text


def read_by(parse: Callable[[str], Any]) -> AfterValidator:
    """Return the validation of a text that `parse` can read."""

    def check(text: str) -> str:
        parse(text)
        return text.strip()

    return AfterValidator(check)


Folder = Annotated[Path, AfterValidator(_folder)]
"""An absolute path, which may not exist yet."""

ReadableFile = Annotated[Path, AfterValidator(_file)]
"""The absolute path of a file."""

FileToBe = Annotated[Path, AfterValidator(_file_to_be)]
"""The absolute path of a file, which may not exist yet."""

Day = Annotated[date, BeforeValidator(_iso_date)]
MemorySize = Annotated[str, AfterValidator(_memory_size)]
Address = Annotated[str, AfterValidator(_address)]
"""The address of a network interface."""

Networks = Annotated[str, AfterValidator(_networks)]
"""Addresses and networks, separated by commas or blanks."""

HttpUrl = Annotated[SecretStr, AfterValidator(_secret(_HTTP))]
SmtpUrl = Annotated[SecretStr, AfterValidator(_secret(_SMTP))]
BucketUrl = Annotated[SecretStr, AfterValidator(_secret(_BUCKET))]
SparkUrl = Annotated[SecretStr, AfterValidator(_secret(_SPARK))]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres)]


class DomainSettings(BaseModel):
    """The settings that a domain declares in `quintet/<domain>/settings.py`, as `SETTINGS`.

    The variable of a field is `QUINTET_` and its name in capitals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def default_threads() -> int:
    """Return the number of threads of DuckDB where none is set."""
    return min(os.cpu_count() or 1, MOST_DEFAULT_THREADS)


def setting(
    default: Any,
    description: str,
    requirement: str,
    shown: str | None = None,
    *,
    is_dbt_variable: bool = False,
    **bounds: Any,
) -> Any:
    """Return a field.

    requirement: completes "it must be …". shown: the default as shown in the table. is_dbt_variable: whether the dbt
    models read it, by its name.
    """
    source = {"default_factory": default} if callable(default) else {"default": default}
    extra: dict[str, Any] = {
        "requirement": requirement,
        "shown": shown if shown is not None else str(default),
        "is_dbt_variable": is_dbt_variable,
    }
    return Field(**source, **bounds, description=description, json_schema_extra=extra)


def setting_of_seconds(default: float, description: str, least: float, most: float) -> Any:
    """Return a field for a number of seconds from `least` to `most`."""
    requirement = f"a number of seconds from {least} to {most}"
    return setting(default, description, requirement, ge=least, le=most, allow_inf_nan=False)
