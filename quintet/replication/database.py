"""The replicated database: its publication, slot, snapshot and replication connection."""

from __future__ import annotations

import select
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
import structlog
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from quintet.change_log.change import TableName
from quintet.replicated import Tables
from quintet.replication.catalog import Catalog, publication_faults, read_catalog, table_faults
from quintet.replication.pgoutput import Relation
from quintet.replication.row_reader import binary_tuple
from quintet.replication.values import UNCHECKED_UTF8, UTF8, as_readable, decoders

_LOG = structlog.get_logger()
_KEEPALIVE = struct.Struct("!cQqB")
HEADER = 25
_FEEDBACK = struct.Struct("!cQQQqB")
_SECONDS_TO_2000 = 946_684_800
_COPY_HEADER = 19
_OPTIONS = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "default_transaction_read_only": "off",
    "row_security": "off",
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""Options of every session, so that those of the role do not apply: its timeouts would end a snapshot, and its row
security would leave out rows. A machine that vanishes holds no lock for longer than some seconds."""

_NO_TRANSACTION_TIMEOUT = (
    "select set_config(name, '0', false) from pg_catalog.pg_settings where name = 'transaction_timeout'"
)
"""PostgreSQL 17 and later have it, and the others refuse it as an option."""

_FAILOVER_SINCE = 170_000
"""The version of PostgreSQL that copies slots to its standbys."""

_PASSING = ("08", "53", "57", "58")
"""Classes of SQLSTATE after which a retry may help: connection, resources, operator, system."""

_REFUSALS = ("authentication failed", "no pg_hba.conf entry", "does not exist", "permission denied", "no password")


class PublisherError(RuntimeError):
    """The database cannot be replicated; the message says why and what to do."""


class PublisherAwayError(PublisherError):
    """PostgreSQL does not answer, or a connection broke; a retry may help."""


class StreamEndedError(PublisherError):
    """PostgreSQL ended the stream with an error of its own; it may do so again."""


class ChangesLostError(PublisherError):
    """Changes are lost for good; the stream needs a new snapshot."""


class SlotTakenError(PublisherError):
    """Another consumer reads from the slot."""


@dataclass(frozen=True)
class SlotState:
    """The state of a slot. confirmed: the LSN up to which everything was acknowledged."""

    confirmed: int
    wal_status: str
    active_pid: int | None
    plugin: str
    retained_bytes: int


class Arrived(NamedTuple):
    """Messages received from the replication connection.

    messages: of pgoutput, each after HEADER bytes of its envelope. sent: the LSN up to which the server has sent its
    log, including these messages; 0 if unknown. wants_reply: whether it requests a status update.
    """

    messages: list[bytes]
    sent: int = 0
    wants_reply: bool = False


def lsn_of(text: str) -> int:
    """Parse an LSN like `16/B374D848` to a number."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(lsn: int) -> str:
    """Format a number as an LSN like `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def connect(url: str, **options: Any) -> psycopg.Connection:
    """Open an ordinary connection in autocommit mode, with UTF-8 and `_OPTIONS`.

    Raises PublisherError if the server refuses these credentials, PublisherAwayError if there is no connection for
    another reason; neither message has the password.
    """
    try:
        connection = psycopg.connect(_conninfo(url, client_encoding="utf8", **options), autocommit=True)
    except psycopg.OperationalError as error:
        raise _no_connection("connection", str(error)) from None
    connection.execute(_NO_TRANSACTION_TIMEOUT)
    return connection


def _conninfo(url: str, **options: Any) -> str:
    given = str(conninfo_to_dict(url).get("options") or "")
    settings = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
    return make_conninfo(
        url, application_name="quintet-stream", connect_timeout=10, options=f"{given} {settings}".strip(), **options
    )


def codec_of(connection: psycopg.Connection) -> str:
    """Return Python's name of the database's encoding. Raises PublisherError if Python has none."""
    encoding = connection.info.parameter_status("server_encoding") or ""
    if encoding in ("UTF8", "SQL_ASCII"):
        return UTF8 if encoding == "UTF8" else UNCHECKED_UTF8
    with _server_encoding(connection):
        try:
            return connection.info.encoding
        except psycopg.NotSupportedError:
            raise PublisherError(
                f"the database has the encoding {encoding}, which cannot be decoded; use UTF8"
            ) from None


@contextmanager
def _server_encoding(connection: psycopg.Connection) -> Iterator[None]:
    """Receive texts as they are stored: PostgreSQL refuses those that it cannot convert."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    connection.execute(sql.SQL("set client_encoding to {}").format(sql.Literal(encoding)))
    yield
    connection.execute("set client_encoding to 'UTF8'")


def _no_connection(kind: str, reason: str) -> PublisherError:
    is_refused = any(sign in reason for sign in _REFUSALS)  # libpq has no error codes while connecting
    return (PublisherError if is_refused else PublisherAwayError)(f"no {kind} to PostgreSQL: {reason.strip()}")


def broken(error: psycopg.Error) -> PublisherAwayError:
    """Return the PublisherAwayError of a broken connection."""
    return PublisherAwayError(f"the connection to PostgreSQL broke: {str(error).strip()}")


def check_server(connection: psycopg.Connection) -> str:
    """Return the cluster's system identifier. Raises PublisherError if it cannot be replicated."""
    version, level = connection.info.server_version, _one(connection, "show wal_level")
    if version < 150_000:
        raise PublisherError(f"PostgreSQL 15 or later is needed, and this is {version // 10_000}")
    if level != "logical":
        raise PublisherError(f"wal_level is {level}; set it to logical in postgresql.conf and restart PostgreSQL")
    return str(_one(connection, "select system_identifier from pg_control_system()"))


def create_publication(connection: psycopg.Connection, name: str, tables: Tables, advice: str) -> Catalog:
    """Create the publication of `tables` if there is none, and return the catalog.

    advice: what to do if a table is missing. Raises PublisherError if a table is missing or cannot be replicated, or if
    the publication leaves out anything of it. Nothing is published then: PostgreSQL refuses changes of published rows
    that it cannot identify.
    """
    catalog = read_catalog(connection, name, tables)
    if missing := sorted(str(table) for table, found in catalog.tables.items() if found is None):
        raise PublisherError(f"the database has no table {', '.join(missing)}. {advice}")
    found = {table: one for table, one in catalog.tables.items() if one is not None}
    _refuse({table: table_faults(table, one, tables[table]) for table, one in found.items()}, "")
    if catalog.publication is None:
        quoted = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
        connection.execute(sql.SQL("create publication {} for table {}").format(sql.Identifier(name), quoted))
        catalog = read_catalog(connection, name, tables)
    publication = catalog.publication
    assert publication is not None
    how_to_fix = f" Fix it, or drop the publication and start again: drop publication {name}"
    _refuse({table: publication_faults(table, one, publication) for table, one in found.items()}, how_to_fix)
    return catalog


def _refuse(faults: Mapping[TableName, Sequence[str]], how_to_fix: str) -> None:
    if texts := [f"table {table} cannot be replicated: {'; '.join(why)}." for table, why in faults.items() if why]:
        raise PublisherError(" ".join(texts) + how_to_fix)


def slot_state(connection: psycopg.Connection, slot: str) -> SlotState | None:
    """Return the state of the slot; None if there is none."""
    row = connection.execute(
        "select confirmed_flush_lsn::text, wal_status, active_pid, plugin, "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint from pg_replication_slots where slot_name = %s",
        (slot,),
    ).fetchone()
    if row is None:
        return None
    confirmed, status, pid, plugin, retained = row
    return SlotState(lsn_of(confirmed or "0/0"), status or "unknown", pid, plugin, retained or 0)


def end_of_log(connection: psycopg.Connection) -> int:
    """Return the LSN up to which the log is written."""
    return lsn_of(_one(connection, "select pg_current_wal_lsn()::text"))


def drop_slot(connection: psycopg.Connection, slot: str) -> None:
    """Drop the slot if it exists and has no reader."""
    connection.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s and not active",
        (slot,),
    )


class Replication:
    """A replication connection, to create a slot with its snapshot or to receive from a slot."""

    def __init__(self, url: str) -> None:
        self._connection = pq.PGconn.connect(_conninfo(url, replication="database").encode())
        if self._connection.status != pq.ConnStatus.OK:
            message = self._connection.get_error_message().strip()
            self._connection.finish()
            raise _no_connection("replication connection", message)
        encoding = (self._connection.parameter_status(b"server_encoding") or b"UTF8").decode()
        self._connection.exec_(f"set client_encoding to '{encoding}'".encode())  # as `_server_encoding`
        self._connection.exec_(_NO_TRANSACTION_TIMEOUT.encode())

    def create_slot(self, slot: str) -> tuple[int, str]:
        """Create a slot; return the LSN from which it sends, and the name of the snapshot of everything before.

        The snapshot can be used as long as this connection does nothing else.
        """
        failover = ", FAILOVER" if self._has_failover_slots else ""
        result = self._connection.exec_(
            f"CREATE_REPLICATION_SLOT \"{slot}\" LOGICAL pgoutput (SNAPSHOT 'export'{failover})".encode()
        )
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise PublisherError(f"slot {slot} could not be created: {self._error(result)}")
        lsn, snapshot = result.get_value(0, 1), result.get_value(0, 2)
        assert lsn is not None
        assert snapshot is not None
        return lsn_of(lsn.decode()), snapshot.decode()

    @property
    def _has_failover_slots(self) -> bool:
        return self._connection.server_version >= _FAILOVER_SINCE

    def _keep_on_failover(self, slot: str) -> None:
        """Mark a slot of an earlier release as one that PostgreSQL copies to its standbys."""
        if not self._has_failover_slots:
            return
        literal = slot.replace("'", "''")
        query = f"select 1 from pg_replication_slots where slot_name = '{literal}' and not failover and not active"
        if self._connection.exec_(query.encode()).ntuples:
            result = self._connection.exec_(f'ALTER_REPLICATION_SLOT "{slot}" (FAILOVER true)'.encode())
            if result.status != pq.ExecStatus.COMMAND_OK:
                _LOG.warning("the slot will not be on a standby", slot=slot, reason=self._error(result))

    def start(self, slot: str, publication: str, begin: int, binary: bool) -> None:
        """Start to receive, from `begin` or the slot's position, whichever is later.

        Raises SlotTakenError if another consumer reads from it, ChangesLostError if its changes are gone.
        """
        self._keep_on_failover(slot)
        options = f"proto_version '1', publication_names '\"{publication}\"'" + (", binary 'true'" if binary else "")
        result = self._connection.exec_(
            f'START_REPLICATION SLOT "{slot}" LOGICAL {lsn_text(begin)} ({options})'.encode()
        )
        if result.status != pq.ExecStatus.COPY_BOTH:
            message = self._error(result)
            if "is active for PID" in message:
                raise SlotTakenError(f"slot {slot} is read by another consumer: {message}")
            if any(sign in message for sign in ("can no longer", "does not exist", "has been invalidated", "lost")):
                raise ChangesLostError(f"slot {slot} cannot be read from: {message}")
            raise PublisherError(f"the stream did not start: {message}")
        self._connection.nonblocking = 1

    def receive(self, seconds: float, most: int = 2_000) -> Arrived:
        """Return what has arrived, at most `most` messages; if nothing has, wait up to `seconds`.

        Raises PublisherAwayError if the connection breaks, StreamEndedError if the server ends the stream with an
        error.
        """
        get, connection = self._connection.get_copy_data, self._connection
        messages: list[bytes] = []
        sent, wants_reply, may_wait = 0, False, True
        while len(messages) < most:
            length, data = get(1)
            if length > 0:
                if data[0] == 0x77:  # w
                    messages.append(bytes(data))
                elif data[0] == 0x6B:  # k
                    _, sent, _, wants = _KEEPALIVE.unpack_from(data)
                    wants_reply, may_wait = wants_reply or bool(wants), False
            elif length < 0:
                result = connection.get_result()
                reason = self._error(result) if result else "no reason given"
                state = (result.error_field(pq.DiagnosticField.SQLSTATE) if result else None) or b"08000"
                is_passing = state[:2].decode() in _PASSING
                raise (PublisherAwayError if is_passing else StreamEndedError)(f"PostgreSQL ended the stream: {reason}")
            elif select.select([connection.socket], [], [], seconds if may_wait and not messages else 0)[0]:
                self._consume()
            else:
                break
        return Arrived(messages, sent, wants_reply)

    def acknowledge(self, flushed: int, now: float) -> None:
        """Acknowledge everything before `flushed` to the server. now: Unix seconds."""
        at = int((now - _SECONDS_TO_2000) * 1_000_000)
        self._connection.put_copy_data(_FEEDBACK.pack(b"r", flushed, flushed, flushed, at, 0))
        self._connection.flush()

    def close(self) -> None:
        """Close the connection."""
        self._connection.finish()

    def _consume(self) -> None:
        try:
            self._connection.consume_input()
        except psycopg.OperationalError as error:
            raise broken(error) from None

    def _error(self, result: Any) -> str:
        return str(result.get_error_message()).strip() or self._connection.get_error_message().strip()


def snapshot_rows(
    connection: psycopg.Connection, relation: Relation, most_rows: int, codec: str
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table, in lists of at most `most_rows`, within the caller's transaction.

    codec: of `codec_of`.
    """
    readable = [as_readable(column) for column in relation.columns]
    columns = decoders(tuple(readable), True, codec)
    names = sql.SQL(", ").join(
        sql.SQL("{}" if column == wanted else "{}::text").format(sql.Identifier(column.name))
        for column, wanted in zip(relation.columns, readable, strict=True)
    )
    statement = sql.SQL("copy (select {} from {}) to stdout (format binary)").format(
        names, sql.Identifier(*relation.name)
    )
    rows: list[dict[str, Any]] = []
    with (
        _server_encoding(connection),
        connection.cursor(row_factory=tuple_row) as cursor,
        cursor.copy(statement) as copy,
    ):
        is_first = True
        for block in copy:
            data = bytes(block)[_COPY_HEADER if is_first else 0 :]
            is_first = False
            if data[:2] in (b"\xff\xff", b""):
                continue
            rows.append(binary_tuple(data, columns))
            if len(rows) == most_rows:
                yield rows
                rows = []
    if rows:
        yield rows


def use_snapshot(connection: psycopg.Connection, name: str) -> None:
    """Start a transaction that sees a slot's snapshot."""
    connection.execute("begin isolation level repeatable read read only")
    connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(name)))


def _one(connection: psycopg.Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    return row[0] if row else None
