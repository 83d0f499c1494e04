"""A generated loan book as the changes of a first snapshot."""

from __future__ import annotations

from quintet.change_log.change import Change
from quintet.samples.lending import LoanBook


def snapshot_of(book: LoanBook, clients: int | None = None) -> list[Change]:
    """The rows of a book as the stream tells them at its start; of the first `clients`, or of all."""
    loans = book.loan if clients is None else book.loan[book.loan["client_id"] <= clients]
    tables = {
        "user": book.user if clients is None else book.user.head(clients),
        "loan": loans,
        "payment": book.payment if clients is None else book.payment[book.payment["loan_id"].isin(loans["id"])],
    }
    changes: list[Change] = []
    for table, rows in tables.items():
        told = rows.copy()
        for name in told.select_dtypes("datetime"):
            told[name] = told[name].dt.strftime("%Y-%m-%d")
        told = told.astype(object).where(told.notna(), None)
        changes += [
            Change(1 + len(changes) + number, 0, "2020-08-23T10:00:00.000000Z", table, "snapshot", "s", row, None)
            for number, row in enumerate(told.to_dict("records"))
        ]
    return changes
