"""What lending needs of the source: three tables, and columns with their kinds."""

from __future__ import annotations

from quintet.change_log.change import Row

USER, LOAN, PAYMENT = "user", "loan", "payment"

TABLES: dict[str, dict[str, str]] = {
    USER: {"id": "integer", "created_on": "date", "birth_date": "date"},
    LOAN: {
        "id": "integer",
        "client_id": "integer",
        "amount": "double",
        "created_on": "date",
        "status": "varchar",
        "updated_on": "date",
    },
    PAYMENT: {
        "id": "integer",
        "loan_id": "integer",
        "principle": "double",
        "interest": "double",
        "status": "varchar",
        "created_on": "date",
    },
}
"""By table the columns that the features read; others are carried along."""

APPLICATION = "application"
"""The status of a loan that nobody has decided on."""

ISSUED = frozenset({"active", "paid", "overdue"})
"""The statuses of a loan that was paid out; an application was not."""

OPEN = frozenset({"active", "overdue"})
"""The statuses of a loan that is still owed."""


def amount(row: Row, column: str) -> float:
    """A sum of money of a row; null, negative and not-a-number count as nothing."""
    value = row[column]
    return value if isinstance(value, (int, float)) and value > 0 else 0.0
