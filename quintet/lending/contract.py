"""The tables and columns that lending reads from the lender's database."""

from __future__ import annotations

from quintet.change_log.change import Row, TableName
from quintet.replicated import Kind

SCHEMA = "public"
"""PostgreSQL's schema of the tables."""

USER, LOAN, PAYMENT = "user", "loan", "payment"

TABLES: dict[str, dict[str, Kind]] = {
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
"""The columns that features read, by table; other columns are replicated as well."""

REPLICATED_TABLES = {TableName(SCHEMA, table): columns for table, columns in TABLES.items()}
"""`TABLES` by schema and name."""

PERSONS = {
    TableName(SCHEMA, USER): ("id", None),
    TableName(SCHEMA, LOAN): ("client_id", None),
    TableName(SCHEMA, PAYMENT): ("loan_id", TableName(SCHEMA, LOAN)),
}
"""By table, the column that says whose a row is, and the table of that id; None for the client's id."""

APPLICATION = "application"
"""The status of a loan that is not decided yet."""

ISSUED = frozenset({"active", "paid", "overdue"})
"""The statuses of a loan that was paid out."""

OPEN = frozenset({"active", "overdue"})
"""The statuses of a loan that is still owed."""


def amount(row: Row, column: str) -> float:
    """Return an amount of money of a row; null, negative and NaN count as 0."""
    value = row[column]
    return value if isinstance(value, (int, float)) and value > 0 else 0.0
