"""`quintet send`: every edition of a file becomes items of the endpoint, at the requested pace."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from quintet.ingest.inbox import list_inbox
from quintet.payments.__main__ import SendError, main, minutes_of, send_minutes
from quintet.state.keys import list_keys, recognise
from quintet.state.store import StateStore

ANCHOR = dt.date(2024, 1, 1)


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        (
            "transactions_2.csv",
            "time,status,f0_\n00h 01,denied,3\n00h 00,approved,9\n",
            {"minute_at": "00h 00", "day": "2024-01-02", "status": "approved", "count": 9},
        ),
        (
            "t_2024-05-06.csv",
            "time;status;count\n00h 00;approved;9\n",
            {"minute_at": "00h 00", "day": "2024-05-06", "status": "approved", "count": 9},
        ),
        (
            "any.csv",
            "timestamp,status,count\n2025-07-12 13:45:00,approved,9\n",
            {"minute_at": "2025-07-12 13:45:00", "status": "approved", "count": 9},
        ),
    ],
)
def test_each_edition_is_read_in_the_order_of_its_minutes(
    tmp_path: Path, name: str, text: str, first: dict[str, Any]
) -> None:
    assert minutes_of(file(tmp_path, name, text), None, ANCHOR)[0][1] == [first]


@pytest.mark.parametrize(
    "name",
    ["transactions_3.csv", "t_2024_05_06_v2.csv", "t.2024.05.06.csv", "t_20240506T1200_12345678.csv", "t_7_run_2.csv"],
)
def test_the_day_of_a_name_is_that_of_the_loader(tmp_path: Path, name: str) -> None:
    path = file(tmp_path / "transactions", name, "time,status,count\n00h 00,approved,9\n")
    ((_, (item,)),) = minutes_of(path, None, ANCHOR)
    (listed,) = list_inbox(tmp_path, "transactions")
    day = listed.date_in_name or ANCHOR + dt.timedelta(days=(listed.number_in_name or 0) - 1)
    assert item["day"] == day.isoformat()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "time,status,amount\n00h 00,approved,9\n", "needs the columns"),
        ("a.csv", "time,status,count\n00h 00,approved,9\n", "give it with --day"),
        ("a_1.csv", "time,status,count\n00h 00,approved,9\n00h 01,approved,many\n", "row 2: a count is a whole number"),
    ],
)
def test_a_file_that_cannot_be_sent_says_why(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(SendError, match=says):
        minutes_of(file(tmp_path, name, text), None, ANCHOR)


def test_the_pace_follows_the_speed() -> None:
    slept: list[float] = []
    sent: list[int] = []
    minutes: list[tuple[str, list[dict[str, Any]]]] = [(str(number), [{}]) for number in range(4)]

    def post(items: list[dict[str, Any]]) -> dict[str, Any]:
        sent.append(len(items))
        return {}

    list(send_minutes(minutes, 120, post, lambda: 0.0, slept.append))
    assert (slept, sent) == ([0.5, 1.0, 1.5], [1, 1, 1, 1])
    list(send_minutes(minutes * 6, 0, post, lambda: 0.0, slept.append))
    assert (len(slept), sent[4:]) == (3, [10, 10, 4])


def test_without_a_service_it_says_what_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "t_1.csv", "time,status,count\n00h 00,approved,9\n")
    monkeypatch.delenv("QUINTET_ADMIN_KEY", raising=False)

    (tmp_path / "key").write_text("x\n", "utf-8")
    assert main(["--file", str(path), "--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "key")]) == 2
    assert "start it with make serve" in capsys.readouterr().err
    assert main(["--file", str(path), "--url", "http://127.0.0.1:1"]) == 2
    assert "a key of http://127.0.0.1:1 is needed" in capsys.readouterr().err


def test_on_its_own_machine_it_needs_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "t_1.csv", "time,status,count\n00h 00,approved,9\n")
    monkeypatch.delenv("QUINTET_ADMIN_KEY", raising=False)
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QUINTET_PORT", "9")

    for _ in range(2):  # it stores the key that it has created
        assert main(["--file", str(path)]) == 2
        assert "start it with make serve" in capsys.readouterr().err
    store = StateStore(tmp_path / "home" / "online")
    kept = tmp_path / "home" / "online" / "send.key"
    (key,) = list_keys(store)
    assert key.scopes == {"payments:write"}
    assert recognise(store, kept.read_text("utf-8"), None) == key
    assert kept.stat().st_mode & 0o077 == 0
