"""The settings of one process: those that several parts of Quintet read, and those that each domain declares itself.

A domain's settings are the class `SETTINGS` of `quintet/<domain>/settings.py`, found by its place.
"""

from __future__ import annotations

import difflib
import importlib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from quintet.limits import DEFAULT_LIMITS, Limits
from quintet.masking import masked
from quintet.places import Places
from quintet.setting_fields import (
    MOST_DEFAULT_THREADS,
    Address,
    BucketUrl,
    DomainSettings,
    Folder,
    HttpUrl,
    MemorySize,
    Networks,
    PostgresUrl,
    SparkUrl,
    default_threads,
    setting,
    setting_of_seconds,
)
from quintet.state_place import StatePlace

_PREFIX = "QUINTET_"
# Set by Quintet itself for the processes that it starts, such as dbt.
_SET_FOR_PARTS = {"QUINTET_DBT_PARSED", "QUINTET_DBT_SERVER", "QUINTET_RUN_SERVER", "QUINTET_WAREHOUSE"}
_LONGEST_SHOWN = 80

Kind = TypeVar("Kind", bound=DomainSettings)
AnyKind = TypeVar("AnyKind", bound=BaseModel)


class SettingsError(ValueError):
    """A setting is wrong; the text names the variable, its value and the fix."""


class Settings(Places):
    """The settings of one process, read once at its start. Paths are absolute; see `load_settings`.

    The fields are what several parts read; `of` returns the settings of a domain.
    """

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
    host: Address = setting(
        "127.0.0.1",
        "Address on which the service, the Dagster UI and the stream's metrics listen; 0.0.0.0 in a container, behind "
        "a reverse proxy.",
        "an address like 127.0.0.1 or 0.0.0.0",
    )
    port: int = setting(8000, "Port of the API and the pages.", "a whole number from 1 to 65535", ge=1, le=65_535)
    trusted_proxies: Networks = setting(
        "",
        "Addresses or networks of reverse proxies whose `X-Forwarded-For`, `-Proto` and `-Prefix` are believed.",
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
    dagster_url: str | None = setting(
        None,
        "Address at which people open the Dagster UI behind a proxy, which passes its path on unchanged.",
        "a URL like https://quintet.example.org/dagster",
        "none; only this machine opens it",
        pattern=r"^https?://[^\s@/?#]+(/[A-Za-z0-9._~-]+)*/?$",
    )
    openlineage_url: HttpUrl | None = setting(
        None,
        "Address of an OpenLineage service, such as Marquez, that gets the lineage of each run of `make dev`.",
        "a URL like http://127.0.0.1:5000",
        "none; nothing is sent",
    )
    postgres_url: PostgresUrl | None = setting(
        None,
        "URL of your own PostgreSQL with the tables of promotions and lending, instead of the embedded one.",
        "a URL like postgresql://user:password@host:5432/database, with special characters percent-encoded (%2F for /)",
        "none; `make up` starts its own",
    )
    state_url: PostgresUrl | None = setting(
        None,
        "URL of the PostgreSQL database for what service and stream write: keys, decisions, labels, incidents. An "
        "empty one takes over the SQLite files of the home.",
        "a URL like postgresql://user:password@host:5432/database, with special characters percent-encoded (%2F for /)",
        "SQLite files in `online/` of the home",
    )
    dagster_storage_url: PostgresUrl | None = setting(
        None,
        "URL of the PostgreSQL database for Dagster's runs, events and schedules, in a schema `dagster`. One machine "
        "builds with it; a machine that replaces it goes on with its history.",
        "a URL like postgresql://user:password@host:5432/database, with special characters percent-encoded (%2F for /)",
        "SQLite files in `dagster/` of the home",
    )
    object_store_url: BucketUrl | None = setting(
        None,
        "URL of the S3 API that stores the change log.",
        "a URL like http://key:secret@host:9000/bucket, with special characters percent-encoded (%2F for /); "
        "s3://bucket with the usual AWS variables; or file:///folder",
        "the embedded store",
    )
    serving_url: BucketUrl | None = setting(
        None,
        "URL of the S3 API or folder through which a build shares its snapshots, reports, models and policies with "
        "services on other machines.",
        "a URL like http://key:secret@host:9000/bucket, with special characters percent-encoded (%2F for /); "
        "s3://bucket with the usual AWS variables; or file:///folder",
        "none; build and service share the home",
    )
    engine: Literal["duckdb", "spark"] = setting(
        "duckdb",
        "What runs the heavy steps of matching, abuse and features: this machine, or the cluster of "
        "`QUINTET_SPARK_REMOTE`.",
        "duckdb or spark",
    )
    spark_remote: SparkUrl | None = setting(
        None,
        "URL of the cluster's Spark Connect server.",
        "a URL like sc://host:15002, with a token as sc://host:15002/;token=…, percent-encoded (%3D for =)",
        "none",
    )
    spark_folder: Folder | None = setting(
        None,
        "Folder that this machine and the workers of the cluster both reach, for the rows of a step and its results.",
        "a folder",
        "`spark/` of the home",
    )
    spark_group_rows: int = setting(
        200_000,
        "About how many rows a worker of the cluster gets at once, of accounts, pairs and changes. Lower it where "
        "workers run out of memory; the results stay the same.",
        "a whole number from 1,000 to 10,000,000",
        ge=1_000,
        le=10_000_000,
    )
    stream_slot: str = setting(
        "quintet",
        "Name of the stream's replication slot and publication in the database.",
        "lower-case letters, digits and underscores, at most 63",
        pattern=r"^[a-z0-9_]{1,63}$",
    )
    stream_port: int = setting(
        9464,
        "Port of the stream's metrics; 0 for none.",
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
    state_days: float = setting(
        400.0,
        "Days that the service keeps sent messages, report runs, ended incidents and silences.",
        "a number of days from 1 to 36500",
        ge=1,
        le=36_500,
        allow_inf_nan=False,
    )

    report_page: Literal["a4", "16:9"] = setting("a4", "Pages of the PDF reports: A4, or slides of 16:9.", "a4 or 16:9")

    _of_domains: Mapping[type[DomainSettings], DomainSettings] = PrivateAttr(default_factory=dict)

    def of(self, kind: type[Kind]) -> Kind:
        """Return the settings that a domain declares."""
        settings = self._of_domains[kind]
        assert isinstance(settings, kind)
        return settings

    @property
    def dbt_variables(self) -> dict[str, str]:
        """The settings that the dbt models read, by the name of the variable; one without a value is empty."""
        return {
            name: "" if getattr(settings, name) is None else str(getattr(settings, name))
            for kind, settings in self._of_domains.items()
            for name, info in kind.model_fields.items()
            if _extra(info).get("is_dbt_variable")
        }

    def local_url(self, port: int) -> str:
        """Return the URL at which a program of this machine reaches what listens on `host` and this port."""
        address = ipaddress.ip_address(self.host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        return f"http://{f'[{address}]' if address.version == 6 else address}:{port}"

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
    def served(self) -> Path:
        """The folder in which a service finds reports, models and the record of builds."""
        return self.fetched if self.serving_url is not None else self.home

    @property
    def state(self) -> StatePlace:
        """Where the state store is."""
        return StatePlace(self.online, self.state_url.get_secret_value() if self.state_url else None)


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
    faults: list[str] = []
    general = _read(Settings, given, faults)
    of_domains = {kind: _read(kind, given, faults) for kind in domain_settings()}
    known = [_variable(field) for field in declared_fields()]
    faults += [_unknown(name, known) for name in sorted(given) if name not in known]
    if faults or general is None:
        raise SettingsError("\n".join(faults))
    general._of_domains = {kind: settings for kind, settings in of_domains.items() if settings is not None}
    return general


@cache
def domain_settings() -> tuple[type[DomainSettings], ...]:
    """Return the settings of each domain that declares some, in the order of the domains' names."""
    packages = sorted(file.parent.name for file in Path(__file__).parent.glob("*/settings.py"))
    kinds = tuple(importlib.import_module(f"quintet.{package}.settings").SETTINGS for package in packages)
    check_declared_once((Settings, *kinds))
    return kinds


def check_declared_once(kinds: Sequence[type[BaseModel]]) -> None:
    """Raise SettingsError if two classes declare the same setting."""
    owners: dict[str, type[BaseModel]] = {}
    for kind in kinds:
        for field in kind.model_fields:
            other = owners.setdefault(field, kind)
            if other is not kind:
                both = f"{other.__module__} and {kind.__module__}"
                raise SettingsError(f"{_variable(field)} is declared by {both}. Rename the field in one of them.")


def declared_fields() -> dict[str, FieldInfo]:
    """Return the fields of all settings by name: first those of `Settings`, then those of each domain."""
    kinds: tuple[type[BaseModel], ...] = (Settings, *domain_settings())
    return {field: info for kind in kinds for field, info in kind.model_fields.items()}


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of all secret settings in the environment, valid or not."""
    return tuple(environment.get(variable, "") for variable in _secret_variables())


@cache
def _secret_variables() -> tuple[str, ...]:
    """Return the variables of all secret settings: every event of a run is searched for their values."""
    return tuple(_variable(field) for field, info in declared_fields().items() if _is_secret(info))


def settings_table() -> str:
    """Return a Markdown table of all settings: variable, default, meaning; without a line break at the end."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for field, info in declared_fields().items():
        lines.append(f"| `{_variable(field)}` | {_extra(info)['shown']} | {info.description} |")
    return "\n".join(lines)


def _read(kind: type[AnyKind], given: Mapping[str, str], faults: list[str]) -> AnyKind | None:
    """Return the settings of a class; on wrong values add the faults and return None."""
    values = {field: given[_variable(field)] for field in kind.model_fields if _variable(field) in given}
    try:
        return kind(**values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors())
        faults += [_fault(field, kind.model_fields[field], values.get(field)) for field in wrong]
        return None


def _variable(field: str) -> str:
    return f"{_PREFIX}{field.upper()}"


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)


def _fault(field: str, info: FieldInfo, value: str | None) -> str:
    """Return what is wrong with a field and how to fix it; `value` is None if the default itself is invalid."""
    variable, extra = _variable(field), _extra(info)
    shown = extra["shown"] if value is None else value
    quoted = "a secret that is not shown here" if _is_secret(info) else masked(repr(shown[:_LONGEST_SHOWN]))
    return f"{variable} is {quoted}; it must be {extra['requirement']}. Fix it, or unset it for {extra['shown']}."


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Unset it, or use one of {', '.join(known)}."
    return f"{name} is not a setting of Quintet. {fix}"


if __name__ == "__main__":
    print(settings_table())
