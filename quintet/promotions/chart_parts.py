"""What the promotions charts share."""

from __future__ import annotations

import pandas as pd

from quintet.presentation.design import Column, Figure

KINDS = {
    "device": "device",
    "email": "e-mail",
    "phone": "phone",
    "phone_block": "phone block",
    "phone_range": "phone range",
    "ip": "IP address",
    "subnet": "network",
    "ring_place": "place of a ring",
    "mailbox_stem": "numbered mailboxes",
    "mail_domain": "mail domain",
    "code_burst": "code and days",
    "code_agent": "code and user agent",
}
NO_ROWS = "No user or usage has been loaded yet. Drop files into the inboxes of promotions and run `make run`."


def no_figure(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...], note: str) -> Figure:
    """Return a figure without a chart, whose note says what to do."""
    return Figure(name, title, "There is nothing to show.", None, table, columns, note=note)
