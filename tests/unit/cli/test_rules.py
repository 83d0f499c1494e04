"""`quintet rules`: rules and lists from files, in a home without a service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli import rules
from quintet.domains import open_state_store
from quintet.promotions.rules import GRAMMAR
from quintet.rules.saving import rules_now
from quintet.rules.store import entry_counts
from quintet.settings import load_settings

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
TEXT = """version = "1"
[[list]]
name = "domains"
figure = "email"
matches = "email_domain"
action = "block"
sentence = "Blocked domain."
[[rule]]
when = "uses > 5"
decision = "review"
code = "BUSY"
sentence = "Busy."
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a file; the home of the commands is empty."""
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path / "home"))

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def save(path: Path, mode: str = "activate") -> int:
    return rules.main("save", "promotions", path=path, mode=mode, reason="a test", confirmed=False)


def entries(path: Path, remove: bool = False) -> int:
    return rules.main("entries", "promotions", name="domains", path=path, expires=None, remove=remove)


def test_rules_and_lists_are_saved_from_files(file, capsys: pytest.CaptureFixture[str]) -> None:
    path = file("rules.toml", TEXT)
    assert rules.main("test", "promotions", path=path) == 0
    assert "version 1 is valid; there is nothing to test it on" in capsys.readouterr().out
    assert save(path) == 0
    assert save(file("next.toml", TEXT.replace('"1"', '"2"')), "shadow") == 0
    assert entries(file("domains.txt", "a.example\n\nb.example\n")) == 0
    assert entries(file("gone.txt", "a.example\n"), remove=True) == 0
    assert rules.main("list", "promotions") == 0
    said = capsys.readouterr().out
    assert "list domains: 2 entries added" in said
    assert "list domains: 1 entries removed" in said
    with closing(open_state_store(load_settings().online)) as store:
        now = rules_now(store, GRAMMAR)
        assert now.active is not None
        assert now.shadow is not None
        assert (now.active.version, now.shadow.version, now.active.note) == ("1", "2", "a test")
        assert entry_counts(store, "promotions", NOW) == {"domains": 1}
    assert rules.main("drop", "promotions") == 0
    assert rules.main("drop", "promotions") == 0
    assert "no rules run in shadow" in capsys.readouterr().out


def test_what_is_wrong_is_printed_with_file_and_place(file, capsys: pytest.CaptureFixture[str]) -> None:
    assert rules.main("list", "insurance") == 2
    assert save(file("rules.toml", TEXT.replace("uses", "use"))) == 2
    assert save(file("missing", "").with_name("none.toml")) == 2
    latin = file("latin.toml", "")
    latin.write_bytes("version = 'é'".encode("latin-1"))
    assert save(latin) == 2
    assert save(file("rules.toml", TEXT)) == 0
    assert entries(file("domains.txt", "a.example\nno domain\n")) == 2
    assert rules.main("entries", "promotions", name="nets", path=latin, expires=None, remove=False) == 2
    said = capsys.readouterr().err
    assert "insurance has no rules; there are promotions, payments" in said
    assert "rules.toml: line 9: there is no figure use;" in said
    assert "none.toml" in said
    assert "latin.toml is not UTF-8; save it as UTF-8" in said
    assert "domains.txt: entry 2: no domain is no domain; write it like example.com. No entry was changed." in said
    assert "there is no list nets; there are domains" in said
