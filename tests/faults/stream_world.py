"""A database, a bucket and a stream that can be killed, and the truth to compare the log with.

The truth is a second slot of PostgreSQL that is never acknowledged: at the end it still has every committed change.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from quintet.change_log.change import Change, Position
from quintet.change_log.log import ObjectStore, epochs, open_store
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.replication.database import lsn_of
from quintet.replication.pgoutput import Decoder
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.samples.lending_traffic import Traffic
from quintet.state.features import FeatureStore
from tests.change_log import logged_changes
from tests.command import Python
from tests.waiting import wait_until

TODAY = date(2020, 8, 24)
AUDIT = "audit"


class World:
    """Servers in `folder` with a loan book; a stream in its own process, and traffic in a thread."""

    def __init__(self, folder: Path, clients: int, seed: int) -> None:
        self.postgres = EmbeddedPostgres(folder / "pg", {"wal_sender_timeout": "5s"})
        self.objects = EmbeddedObjectStore(folder / "s3")
        self.home = folder / "home"
        self.seed = seed
        self.clients = clients
        self.committed = 0
        self.has_new_column = False
        self.said = folder / "stream.log"
        self._stream: Python | None = None
        self._ends = threading.Event()
        self._traffic: threading.Thread | None = None

    def __enter__(self) -> World:
        self.postgres.start()
        self.objects.start()
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            load_book(make_book(LendingWorld(clients=self.clients), self.seed), connection)
            connection.execute("create index on loan (client_id)")  # for the recomputation by plain SQL
            connection.execute("create index on payment (loan_id)")
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        if self._traffic is not None:
            self._traffic.join()
        self.stop_stream()
        self.objects.stop()
        self.postgres.stop()

    @property
    def log(self) -> ObjectStore:
        return open_store(self.objects.url)

    def features(self) -> OnlineFeatures:
        """Return the features as another process reads them."""
        return OnlineFeatures(FeatureStore(self.home / "online"), features())

    def start_stream(self, *arguments: str) -> Python:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        environment |= {
            "QUINTET_HOME": str(self.home),
            "QUINTET_POSTGRES_URL": self.postgres.url,
            "QUINTET_OBJECT_STORE_URL": self.objects.url,
            "QUINTET_STREAM_PORT": "0",
        }
        self._stream = Python(["-m", "quintet.replication", *arguments], environment, output=self.said)
        return self._stream

    def kill_stream(self) -> None:
        assert self._stream is not None
        self._stream.kill()
        self._stream.wait()

    def stop_stream(self) -> int:
        """End the stream with a signal, as an operator does, and return its exit status."""
        if self._stream is None:
            return 0
        self._stream.send_signal(signal.SIGTERM)
        return self._stream.wait()

    def await_epoch(self) -> None:
        """Wait until the snapshot is complete, then start the truth."""
        wait_until(lambda: epochs(self.log), self.said.read_text)
        self.ask(f"select pg_create_logical_replication_slot('{AUDIT}', 'pgoutput')")

    def start_traffic(self, pause: float) -> None:
        self._traffic = threading.Thread(target=self._commit, args=(pause,))
        self._traffic.start()

    def stop_traffic(self) -> None:
        self._ends.set()
        if self._traffic is not None:
            self._traffic.join()

    def await_applied(self) -> None:
        """Wait until all commits are in the features and in the log."""
        end = lsn_of(str(self.ask("select pg_current_wal_lsn()::text")))
        store = FeatureStore(self.home / "online")

        def is_applied() -> bool:
            assert self._stream is not None
            assert self._stream.returncode is None, f"the stream has ended: {self.said.read_text()[-3000:]}"
            confirmed = self.ask(
                "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = 'quintet'"
            )
            return int(store.fact("flushed") or 0) >= end and lsn_of(str(confirmed)) >= end

        wait_until(is_applied, lambda: self.said.read_text()[-3000:])
        store.close()

    def await_commits(self, count: int) -> None:
        """Wait until the traffic has made this many commits, and has added the column."""
        wait_until(lambda: self.committed >= count and self.has_new_column, lambda: f"{self.committed} commits")

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return row[0] if row else None

    def rows(self, table: str) -> dict[int, dict[str, Any]]:
        """Return the rows of a table by id, as the log writes values."""
        with psycopg.connect(self.postgres.url) as connection:
            cursor = connection.execute(f'select * from "{table}"'.encode())
            assert cursor.description is not None
            names = [column.name for column in cursor.description]
            found = (dict(zip(names, row, strict=True)) for row in cursor)
            return {
                row["id"]: {n: v.isoformat() if isinstance(v, date) else v for n, v in row.items()} for row in found
            }

    def truth(self) -> list[Change]:
        """Return every change committed since the truth started, in order."""
        decoder, changes = Decoder(binary=True), []
        with psycopg.connect(self.postgres.url) as connection:
            messages = connection.execute(
                f"select data from pg_logical_slot_peek_binary_changes('{AUDIT}', null, null, "
                "'proto_version', '1', 'publication_names', 'quintet', 'binary', 'true')".encode()
            )
            for (data,) in messages:
                changes += [message for message in decoder.decode(bytes(data)) if isinstance(message, Change)]
        return changes

    def logged(self, after: Position | None = None) -> list[Change]:
        """Return the log as a reader sees it: every change once and in order."""
        epoch = epochs(self.log)[-1]
        return logged_changes(self.log, epoch, after)

    def _commit(self, pause: float) -> None:
        number = self.seed
        while not self._ends.is_set():
            try:
                with psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=2) as connection:
                    traffic = Traffic(connection, number, TODAY)
                    while not self._ends.is_set():
                        traffic.step()
                        self.committed += 1
                        if self.committed >= 100 and not self.has_new_column:
                            traffic.change_schema()
                            self.has_new_column = True
                        time.sleep(pause)
            except psycopg.Error:
                number += 1
                time.sleep(0.05)
