"""Which servers can be replicated, and the end of the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from quintet.replication.database import PublisherError, check_server, end_of_log, lsn_of, lsn_text


class _Server:
    """A connection to a server that answers each query with one value."""

    def __init__(self, version: int, **answers: Any) -> None:
        self.info = SimpleNamespace(server_version=version)
        self._answers = answers

    def execute(self, statement: bytes, _values: object = ()) -> SimpleNamespace:
        answer = next(value for name, value in self._answers.items() if name in statement.decode())
        return SimpleNamespace(fetchone=lambda: (answer,))


def test_a_server_that_is_too_old_is_named() -> None:
    with pytest.raises(PublisherError, match="PostgreSQL 15 or later is needed, and this is 14"):
        check_server(_Server(140_011, wal_level="logical"))  # type: ignore[arg-type]  # stands in for a connection


def test_without_logical_replication_the_message_says_what_to_set() -> None:
    with pytest.raises(PublisherError, match="wal_level is replica; set it to logical"):
        check_server(_Server(150_000, wal_level="replica"))  # type: ignore[arg-type]  # as above


def test_a_server_that_can_be_replicated_returns_its_identifier() -> None:
    assert check_server(_Server(170_000, wal_level="logical", system_identifier=77)) == "77"  # type: ignore[arg-type]


def test_the_end_of_the_log_is_a_number() -> None:
    assert end_of_log(_Server(170_000, pg_current_wal_lsn="16/B374D848")) == lsn_of("16/B374D848")  # type: ignore[arg-type]
    assert lsn_text(lsn_of("16/B374D848")) == "16/B374D848"
