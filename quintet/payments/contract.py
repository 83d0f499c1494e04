"""The contracts of the payments inboxes: transactions by minute and checkout sales by hour."""

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, hour, identifier, integer, minute_of_day, number, timestamp

_MOST = 10**9
"""The largest count of a minute or an hour."""

TRANSACTIONS = Dataset(
    name="transactions",
    domain="payments",
    description="Counts of transactions by minute and status; minutes and statuses without any have no row.",
    schema=pa.DataFrameSchema(
        {
            "time": minute_of_day("Minute of the day, where the file is of one day.", nullable=True, required=False),
            "timestamp": timestamp(
                "The minute with its date, UTC; in a file that has it, every row does.", required=False
            ),
            "status": identifier(
                "approved, denied, failed, reversed, backend_reversed, refunded, processing or another."
            ),
            "count": integer("Transactions in the minute.", 0, _MOST, aliases=("f0_", "f1", "F1")),
        },
        name="transactions",
    ),
    key=("day", "minute", "status"),
    one_of_groups=(("time", "timestamp"),),
    day_from_name=True,
)

CHECKOUT_SALES = Dataset(
    name="checkout_sales",
    domain="payments",
    description="Sales of a day by hour, beside the days they are compared with.",
    schema=pa.DataFrameSchema(
        {
            "time": hour("Hour of the day."),
            "today": integer("Sales in the hour.", 0, _MOST),
            "yesterday": integer("Sales in the same hour of the day before.", 0, _MOST, nullable=True),
            "same_day_last_week": integer("Sales in the same hour a week ago.", 0, _MOST, nullable=True),
            "avg_last_week": number("Mean sales in the hour over last week.", 0, _MOST, nullable=True),
            "avg_last_month": number("Mean sales in the hour over last month.", 0, _MOST, nullable=True),
        },
        name="checkout_sales",
    ),
    key=("source_file", "hour"),
)

DATASETS = (TRANSACTIONS, CHECKOUT_SALES)
