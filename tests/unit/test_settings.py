"""Settings are read from the environment, and wrong ones are reported."""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pydantic
import pytest

from quintet.domains import DOMAIN_NAMES
from quintet.lending.settings import LendingSettings
from quintet.payments.settings import PaymentsSettings
from quintet.setting_fields import DomainSettings, setting
from quintet.settings import (
    Settings,
    SettingsError,
    check_declared_once,
    declared_fields,
    load_settings,
    settings_table,
)


def test_without_variables_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    settings = load_settings({})

    assert settings.raw == tmp_path / "data/raw"
    assert settings.home == tmp_path / "data"
    assert settings.memory_limit == "800MB"
    assert 1 <= settings.threads <= 4
    assert settings.snapshots_kept == 3
    assert settings.settle_seconds == 2
    assert settings.lock_wait_seconds == 900
    assert settings.port == 8000
    assert settings.admin_key is None


def test_each_variable_is_read(tmp_path: Path):
    settings = load_settings(
        {
            "QUINTET_RAW": str(tmp_path / "in"),
            "QUINTET_HOME": str(tmp_path / "out"),
            "QUINTET_MEMORY_LIMIT": "512 MiB",
            "QUINTET_THREADS": "3",
            "QUINTET_SNAPSHOTS_KEPT": "1",
            "QUINTET_SETTLE_SECONDS": "0.5",
            "QUINTET_LOCK_WAIT_SECONDS": "0",
            "QUINTET_PORT": "8080",
            "QUINTET_ADMIN_KEY": "0123456789",
            "QUINTET_POSTGRES_URL": "postgresql://localhost/lending",
            "QUINTET_OBJECT_STORE_URL": "http://localhost:9000/log",
        }
    )

    assert settings.raw == tmp_path / "in"
    assert settings.home == tmp_path / "out"
    assert (settings.memory_limit, settings.threads, settings.snapshots_kept) == ("512 MiB", 3, 1)
    assert (settings.settle_seconds, settings.lock_wait_seconds) == (0.5, 0)
    assert settings.port == 8080
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "0123456789"
    assert settings.postgres_url is not None
    assert settings.object_store_url is not None


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUINTET_PORT", "8123")

    assert load_settings().port == 8123


def test_a_given_environment_stands_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUINTET_PORT", "8123")

    assert load_settings({}).port == 8000


def test_relative_paths_start_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert load_settings({"QUINTET_RAW": "../there"}).raw == tmp_path / "there"


def test_a_path_stays_where_it_was_when_the_folder_changes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"QUINTET_HOME": "out"})
    monkeypatch.chdir("/")

    assert settings.warehouse == tmp_path / "out/warehouse.duckdb"


def test_the_home_folder_gives_every_other_path(tmp_path: Path):
    settings = load_settings({"QUINTET_HOME": str(tmp_path)})

    assert settings.warehouse == tmp_path / "warehouse.duckdb"
    assert settings.serving == tmp_path / "serving"
    assert settings.current_snapshot == tmp_path / "serving/current.duckdb"
    assert settings.reports == tmp_path / "reports"
    assert settings.models == tmp_path / "models"
    assert settings.online == tmp_path / "online"


def test_nothing_is_created_on_disk(tmp_path: Path):
    load_settings({"QUINTET_HOME": str(tmp_path / "out"), "QUINTET_RAW": str(tmp_path / "in")})

    assert list(tmp_path.iterdir()) == []


def test_an_empty_variable_counts_as_not_set():
    assert load_settings({"QUINTET_PORT": "", "QUINTET_THREADS": " "}).port == 8000


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("QUINTET_THREADS", "many", "a whole number from 1 to 1024"),
        ("QUINTET_THREADS", "0", "a whole number from 1 to 1024"),
        ("QUINTET_THREADS", "2.5", "a whole number from 1 to 1024"),
        ("QUINTET_PORT", "70000", "a whole number from 1 to 65535"),
        ("QUINTET_SNAPSHOTS_KEPT", "0", "a whole number from 1 to 1000"),
        ("QUINTET_SETTLE_SECONDS", "nan", "a number of seconds from 0 to 3600"),
        ("QUINTET_LOCK_WAIT_SECONDS", "inf", "a number of seconds from 0 to 86400"),
        ("QUINTET_TRANSACTIONS_ANCHOR_DAY", "30.02.2024", "a real date like 2024-01-01"),
        ("QUINTET_TRANSACTIONS_ANCHOR_DAY", "2024-02-30", "a real date like 2024-01-01"),
        ("QUINTET_TRANSACTIONS_ANCHOR_DAY", "0", "a real date like 2024-01-01"),
        ("QUINTET_MEMORY_LIMIT", "lots", "a size like 512MB"),
        ("QUINTET_MEMORY_LIMIT", "0GB", "a size like 512MB"),
        ("QUINTET_MEMORY_LIMIT", "1GB'; drop table x", "a size like 512MB"),
        ("QUINTET_HOME", __file__, "a folder"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_the_fix(variable: str, value: str, fix: str):
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})

    message = str(caught.value)
    assert message.startswith(f"{variable} is ")
    assert repr(value[:80]) in message
    assert fix in message
    assert "unset it for" in message


def test_a_bad_secret_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        load_settings({"QUINTET_ADMIN_KEY": "tooshort"})

    assert "QUINTET_ADMIN_KEY" in str(caught.value)
    assert "tooshort" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("QUINTET_SPARK_REMOTE", "sc://host:{port}/;token=my-secret"),
        ("QUINTET_SMTP_URL", "smtp://user:my-secret@host:{port}"),
        ("QUINTET_OBJECT_STORE_URL", "http://key:my-secret@host:{port}/bucket"),
        ("QUINTET_ALERT_WEBHOOK_URL", "https://host:{port}/my-secret"),
    ],
)
def test_a_port_that_does_not_exist_is_refused_at_the_start(variable: str, url: str):
    load_settings({variable: url.format(port=65_535)})
    for port in (65_536, 99_999, 0):
        with pytest.raises(SettingsError, match=variable) as caught:
            load_settings({variable: url.format(port=port)})
        assert "my-secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["my-word==", "my;word", "my-word;", "my word"])
def test_a_token_that_the_client_would_show_a_piece_of_is_refused(token: str):
    for url in ("sc://host", "sc://host:15002/", "sc://host:15002/;token=my-secret%3D%3D", "sc://h/;a=1;token=x"):
        load_settings({"QUINTET_SPARK_REMOTE": url})
    with pytest.raises(SettingsError, match=r"QUINTET_SPARK_REMOTE .*%3D for =") as caught:
        load_settings({"QUINTET_SPARK_REMOTE": f"sc://host:15002/;token={token}"})
    assert "word" not in str(caught.value)


def test_secrets_are_not_shown_when_the_settings_are_printed():
    settings = load_settings(
        {"QUINTET_ADMIN_KEY": "my-secret-key", "QUINTET_POSTGRES_URL": "postgresql://u:my-secret-word@host/db"}
    )

    assert "my-secret" not in repr(settings)


class Postage(DomainSettings):
    """A domain with a setting of its own."""

    postage_cents: int = setting(80, "Cents of a stamp.", "a whole number")


class Harbour(DomainSettings):
    """Another domain that declares a general setting again."""

    port: int = setting(1, "Number of the quay.", "a whole number")


def test_a_setting_is_declared_once() -> None:
    check_declared_once((Settings, Postage))
    with pytest.raises(SettingsError, match=r"QUINTET_PORT is declared by quintet.settings and .*Rename the field"):
        check_declared_once((Settings, Postage, Harbour))


def owners_of_general_settings(project: Path) -> dict[str, set[str]]:
    """Return the general settings that only one domain reads, with that domain."""
    readers: dict[str, set[str]] = {}
    for file in [*project.glob("quintet/**/*.py"), *project.glob("[acdrs]*/*.py"), project / "definitions.py"]:
        for field in re.findall(r"\b(?:settings|self)\.(\w+)", file.read_text("utf-8")):
            readers.setdefault(field, set()).add(
                file.relative_to(project).parts[1:2][0] if file.parent != project else ""
            )
    return {
        field: by
        for field in Settings.model_fields
        if len(by := readers.get(field, set())) == 1 and by <= set(DOMAIN_NAMES)
    }


def test_no_general_setting_is_read_by_a_single_domain(project: Path, tmp_path: Path) -> None:
    assert owners_of_general_settings(project) == {}
    (tmp_path / "quintet" / "lending").mkdir(parents=True)
    (tmp_path / "definitions.py").touch()
    (tmp_path / "quintet" / "lending" / "planted.py").write_text("days = settings.log_days")
    assert owners_of_general_settings(tmp_path) == {"log_days": {"lending"}}


def test_the_settings_of_domains_come_from_the_same_environment() -> None:
    settings = load_settings({"QUINTET_TRANSACTIONS_ANCHOR_DAY": "2023-02-28", "QUINTET_DECISION_SECONDS": "2"})

    assert settings.of(PaymentsSettings).transactions_anchor_day == date(2023, 2, 28)
    assert settings.of(LendingSettings).decision_seconds == 2
    assert load_settings({}).of(PaymentsSettings).transactions_anchor_day == date(2024, 1, 1)


def test_the_path_of_the_policy_is_absolute_and_may_not_exist_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings({"QUINTET_LENDING_POLICY": "other.toml"})
    assert settings.of(LendingSettings).lending_policy == tmp_path / "other.toml"
    with pytest.raises(SettingsError, match=r"QUINTET_LENDING_POLICY is .*; it must be a file, or a path to be one"):
        load_settings({"QUINTET_LENDING_POLICY": str(tmp_path)})


def test_faults_of_general_and_of_domain_settings_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"QUINTET_PORT": "x", "QUINTET_DECISION_SECONDS": "y", "QUINTET_TRANSACTIONS_ANCHOR_DAY": "z"})

    assert [line.split(" is ")[0] for line in str(caught.value).splitlines()] == [
        "QUINTET_PORT", "QUINTET_DECISION_SECONDS", "QUINTET_TRANSACTIONS_ANCHOR_DAY",
    ]  # fmt: skip


def test_only_the_settings_that_models_read_are_dbt_variables() -> None:
    settings = load_settings({"QUINTET_TRANSACTIONS_ANCHOR_DAY": "2023-02-28", "QUINTET_PORT": "1"})

    assert settings.dbt_variables == {
        "transactions_anchor_day": "2023-02-28",
        "payments_time_zone": "UTC",
        "payments_opening_hours": "",  # not set
        "payments_holidays": "",
        "payments_dimensions": "",
        "payment_value": "1.0",
        "payments_values": "",
        "payments_critical_loss": "",
    }


def test_an_unknown_variable_is_reported_with_the_nearest_name():
    with pytest.raises(SettingsError, match=r"QUINTET_SNAPSHOT_KEPT is not a setting.*QUINTET_SNAPSHOTS_KEPT"):
        load_settings({"QUINTET_SNAPSHOT_KEPT": "5"})


def test_a_name_like_no_other_is_reported_with_all_the_names():
    with pytest.raises(SettingsError, match=r"QUINTET_XYZZY is not a setting.*QUINTET_RAW"):
        load_settings({"QUINTET_XYZZY": "5"})


def test_all_faults_are_reported_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings({"QUINTET_PORT": "x", "QUINTET_THREADS": "y", "QUINTET_PROT": "1"})

    assert len(str(caught.value).splitlines()) == 3


def test_variables_of_other_programs_and_of_started_parts_are_ignored():
    set_for_parts = {"QUINTET_WAREHOUSE": "/somewhere/warehouse.duckdb", "QUINTET_DBT_PARSED": "/somewhere/parsed"}
    load_settings({"PATH": "/bin", "DAGSTER_HOME": "x", **set_for_parts})


def test_settings_cannot_be_changed():
    settings = load_settings({})

    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("size", ["1GB", "512MB", "1.5GB", "2GiB", "800 MB", "100000kb"])
def test_every_accepted_memory_size_is_one_that_duckdb_takes(size: str):
    duckdb.connect(config={"memory_limit": load_settings({"QUINTET_MEMORY_LIMIT": size}).memory_limit})


def test_the_default_of_threads_is_capped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)

    assert load_settings({}).threads == 4


def test_every_setting_has_a_row_in_the_table_with_its_meaning():
    rows = settings_table().splitlines()[2:]

    assert len(rows) == len(declared_fields())
    for row, (field, info) in zip(rows, declared_fields().items(), strict=True):
        assert row.startswith(f"| `QUINTET_{field.upper()}` | ")
        assert info.description
        assert row.endswith(f" | {info.description} |")
        assert row.count("|") == 4


def test_the_table_does_not_depend_on_the_machine():
    assert str(Path.cwd()) not in settings_table()
    assert "number of cores, at most 4" in settings_table()


def test_the_module_prints_the_table():
    printed = subprocess.run([sys.executable, "-m", "quintet.settings"], capture_output=True, text=True, check=True)

    assert printed.stdout == settings_table() + "\n"
