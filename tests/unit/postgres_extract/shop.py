"""The tables of a small shop, for the tests of the extract."""

from __future__ import annotations

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, number, text, timestamp

PEOPLE = Dataset(
    name="people",
    domain="shop",
    description="Who signed up.",
    schema=pa.DataFrameSchema(
        {
            "person_id": text("The person."),
            "created_at": timestamp("When."),
            "phone": text("Phone.", nullable=True, required=False),
        },
        name="people",
    ),
    key=("person_id",),
)
CODES = Dataset(
    name="codes",
    domain="shop",
    description="Codes, some of them twice.",
    schema=pa.DataFrameSchema({"code": text("The code."), "amount": number("Its worth.", 0)}, name="codes"),
    key=("code",),
)
DATASETS = (PEOPLE, CODES)
