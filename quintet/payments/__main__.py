"""`quintet send`: send a file of transactions to a running service, minute by minute, at any speed."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from quintet.http_client import http_client
from quintet.ingest.inbox import date_in_name, number_in_name
from quintet.payments.contract import TRANSACTIONS
from quintet.payments.settings import PaymentsSettings
from quintet.settings import Settings, SettingsError, load_settings
from quintet.state.local_key import local_key

_MINUTES_AT_ONCE = 10
_SECONDS = 30.0


class SendError(ValueError):
    """The file cannot be sent, or the service did not accept it; the text says why and how to fix it."""


Post = Callable[[list[dict[str, Any]]], dict[str, Any]]
"""Sends items to the service and returns its answer."""


def minutes_of(path: Path, day: dt.date | None, anchor: dt.date) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the minutes of a file in order, each with its items; counts are as written in the file.

    day: of a file that has no dates in its rows or name. anchor: the day of the file with the number 1.
    Raises SendError.
    """
    frame = pd.read_csv(path, dtype=str, sep=None, engine="python").rename(columns=lambda name: name.strip().lower())
    aliases = (TRANSACTIONS.schema.columns["count"].metadata or {})["aliases"]
    count_names = ["count", *(name.lower() for name in aliases)]
    count = next((name for name in count_names if name in frame), None)
    moment = next((name for name in ("timestamp", "time") if name in frame), None)
    if count is None or moment is None or "status" not in frame:
        raise SendError(f"{path.name} needs the columns time or timestamp, status and count; it has {list(frame)}")
    if moment == "time":
        frame["day"] = (day or _day_of(path.name, anchor)).isoformat()
    frame["number"] = pd.to_numeric(frame[count], errors="coerce")
    wrong = frame[frame["number"].isna() | (frame["number"] % 1 != 0)]
    if len(wrong):
        row, text = int(wrong.index[0]) + 1, wrong[count].iloc[0]
        raise SendError(f"{path.name}, row {row}: a count is a whole number, not {text!r}")
    frame = frame.sort_values(moment, kind="stable")
    found = []
    for at, rows in groupby(frame.to_dict("records"), key=lambda row: row[moment]):
        items = [
            {"minute_at": at, "status": row["status"], "count": int(row["number"])}
            | ({"day": row["day"]} if moment == "time" else {})
            for row in rows
        ]
        found.append((str(at), items))
    return found


def send_minutes(
    minutes: Sequence[tuple[str, list[dict[str, Any]]]],
    speed: float,
    post: Post,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Send the minutes and yield each answer with its time. speed: file minutes per minute; 0: without pause."""
    began = clock()
    at_once = 1 if speed else _MINUTES_AT_ONCE
    for place in range(0, len(minutes), at_once):
        if speed:
            pause = began + place * 60 / speed - clock()
            if pause > 0:
                sleep(pause)
        part = minutes[place : place + at_once]
        yield part[-1][0], post([item for _, items in part for item in items])


def main(arguments: Sequence[str]) -> int:
    """Send the file; return 0 if the service accepted all of it."""
    parser = argparse.ArgumentParser(prog="quintet send", description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="a CSV of transactions, as for the inbox")
    parser.add_argument("--speed", type=float, default=60.0, help="factor by which to speed up; 0: as fast as possible")
    parser.add_argument("--day", type=dt.date.fromisoformat, help="day of a file without dates; default: from its name")
    parser.add_argument("--url", help="address of the service; default: this machine, port QUINTET_PORT")
    parser.add_argument(
        "--key-file", type=Path, help="file with a key with payments:write; default: QUINTET_ADMIN_KEY, else own key"
    )
    given = parser.parse_args(arguments)
    try:
        settings = load_settings()
        minutes = minutes_of(given.file, given.day, settings.of(PaymentsSettings).transactions_anchor_day)
        post = _poster(given.url or settings.local_url(settings.port), _key(settings, given.url, given.key_file))
        alerts = settled = 0
        for at, answer in send_minutes(minutes, given.speed, post):
            settled += sum(not item["is_accepted"] for item in answer["items"])
            for item in answer["items"]:
                if item["recommendation"] == "alert":
                    alerts += 1
                    print(f"{at}  {item['series']}: {item['reason']}", flush=True)
    except (SendError, SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(minutes):,} minutes sent, {alerts:,} alerts, {settled:,} items refused: their minute was settled")
    return 0


def _key(settings: Settings, url: str | None, file: Path | None) -> str:
    """Return the key in the file, else the key of the settings, else this machine's own.

    It is no argument: every user of the machine can list those. Raises SendError for a service on another machine.
    """
    if file is not None:
        return file.read_text("utf-8").strip()
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    if url is not None:
        create = "quintet keys create --name sender --scopes payments:write"
        raise SendError(
            f"a key of {url} is needed: create one there with `{create}`, write it to a file that only you can read, "
            "and pass that with --key-file"
        )
    return local_key(settings.state, "send", ["payments:write"], dt.datetime.now(dt.UTC), os.urandom)


def _day_of(name: str, anchor: dt.date) -> dt.date:
    if (date := date_in_name(name)) is not None:
        return date
    if (number := number_in_name(name)) is not None:
        return anchor + dt.timedelta(days=number - 1)
    raise SendError(f"{name} has no day in its rows or its name; give it with --day 2024-01-01")


def _poster(url: str, key: str) -> Post:
    client = http_client(headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS)

    def post(items: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            answer = client.post(f"{url.rstrip('/')}/v1/payments/transactions", json=items)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SendError(f"no service answers at {url}: {error}; start it with make serve") from None
        try:
            body: dict[str, Any] = answer.json()
        except ValueError:
            raise SendError(f"{url} answered {answer.status_code}, and not as Quintet does; check --url") from None
        if answer.status_code != httpx.codes.OK:
            raise SendError(f"the service answered {answer.status_code}: {body.get('detail')}")
        return body

    return post


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
