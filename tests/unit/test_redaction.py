"""The secrets of a process are removed from its messages, even where a setting is malformed."""

from __future__ import annotations

import json

import pytest

from quintet.redaction import mask_secrets, without_secrets
from quintet.settings import declared_fields, load_settings


def test_every_secret_setting_is_known_by_its_type() -> None:
    secret = {name for name, info in declared_fields().items() if "Secret" in str(info.annotation)}
    named = {name for name in declared_fields() if any(word in name for word in ("secret", "password", "_key"))}
    assert named <= secret
    for name in secret:
        value = "planted-" + name
        assert without_secrets(f"x {value} y", {f"QUINTET_{name.upper()}": value}) == "x *** y"


def test_a_secret_is_not_shown_by_the_settings_themselves() -> None:
    settings = load_settings(
        {"QUINTET_POSTGRES_URL": "postgresql://me:planted@h/d", "QUINTET_ADMIN_KEY": "planted-admin-key"}
    )
    assert "planted" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_an_entry_of_the_log_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINTET_POSTGRES_URL", "postgresql+psycopg2://me:plan/ted@host/db")
    entry = {"event": "failed", "error": ValueError("no plan/ted@host/db"), "lines": [{"text": 'x "plan/ted"'}]}
    assert "plan/ted" not in json.dumps(mask_secrets(None, "error", entry))
