"""A generated loan book as the changes of a first snapshot."""

from __future__ import annotations

from quintet.change_log.change import Change
from quintet.samples.lending import LoanBook


def snapshot_of(book: LoanBook, clients: int | None = None) -> list[Change]:
    """Return a book's rows as the stream's snapshot has them, for the first `clients` or for all."""
    loans = book.loan if clients is None else book.loan[book.loan["client_id"] <= clients]
    tables = {
        "user": book.user if clients is None else book.user.head(clients),
        "loan": loans,
        "payment": book.payment if clients is None else book.payment[book.payment["loan_id"].isin(loans["id"])],
    }
    changes: list[Change] = []
    for table, rows in tables.items():
        cleaned = rows.copy()
        for name in cleaned.select_dtypes("datetime"):
            cleaned[name] = cleaned[name].dt.strftime("%Y-%m-%d")
        cleaned = cleaned.astype(object).where(cleaned.notna(), None)
        changes += [
            Change(1 + len(changes) + number, 0, "2020-08-23T10:00:00.000000Z", table, "snapshot", "s", row, None)
            for number, row in enumerate(cleaned.to_dict("records"))
        ]
    return changes
