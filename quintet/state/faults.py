"""The errors of the state store."""

from __future__ import annotations

import sqlite3


class StateError(RuntimeError):
    """The state store cannot be opened; the message says which one, why and what to do."""


class StateAwayError(StateError):
    """PostgreSQL does not answer at the start; it may in a moment."""


class StateUnavailableError(RuntimeError):
    """PostgreSQL did not answer, or not in time. Nothing of the transaction was written; the message has no secrets."""


class UnstorableValueError(ValueError):
    """PostgreSQL cannot hold a value: a text with a NUL character, or a number beyond 64 bits. Nothing was written."""


STATE_FAULTS = (sqlite3.Error, StateUnavailableError)
"""What a statement raises when the store cannot be read or written: a full disk, a server that is down."""
