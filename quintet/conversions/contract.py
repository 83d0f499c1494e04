"""The conversions inboxes: the schemas of conversion files, broker files and page categories."""

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, boolean, identifier, integer, number, text, timestamp, unix_seconds

CONVERSIONS = Dataset(
    name="conversions",
    domain="conversions",
    description="Visitors sent to a broker, as recorded by the affiliate's site.",
    schema=pa.DataFrameSchema(
        {
            "id": integer("The conversion.", 0),
            "session_id": identifier("The visitor's session.", nullable=True),
            "country_name": text("The visitor's country as the site spells it.", nullable=True),
            "is_mobile": boolean("Whether the visitor was on a phone.", nullable=True),
            "ui_element": text("The element that was clicked; may contain a scanner's payload.", nullable=True),
            # the years of a broker's rows: a spreadsheet's zero date is no time
            "created_at": timestamp("Time of the conversion, UTC.", 2000, 2099),
            "measurement_category": text("Code of the page.", nullable=True),
        },
        name="conversions",
    ),
    key=("id",),
)

BROKER_ROWS = Dataset(
    name="broker_rows",
    domain="conversions",
    description="The broker's rows: registrations without a shared key.",
    schema=pa.DataFrameSchema(
        {
            # from 2000-01-01 to 2099-12-31; the bound rejects milliseconds
            "timestamp": unix_seconds(
                "Time of the registration: Unix seconds, or a date and time in UTC.", 946_684_800, 4_102_444_799
            ),
            "country_residency": text("Country of residence as the broker spells it.", nullable=True),
            "ip_country": text("Country of the IP address as the broker spells it.", nullable=True),
            "important_score": number(
                "Value of the registration; a spreadsheet error such as #REF! counts as missing.",
                missing=("#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"),
                nullable=True,
            ),
            "partner": text(
                "The broker, in files of several brokers; default: from the file's name (partner__anything.csv).",
                nullable=True,
                required=False,
            ),
        },
        name="broker_rows",
    ),
)

PAGE_CATEGORIES = Dataset(
    name="page_categories",
    domain="conversions",
    description="Names of the pages behind the measurement codes.",
    schema=pa.DataFrameSchema(
        {
            "page_category": text("Name of the page."),
            "measurement_category": identifier("Code of the page."),
        },
        name="page_categories",
    ),
    key=("measurement_category",),
)

DATASETS = (CONVERSIONS, BROKER_ROWS, PAGE_CATEGORIES)
