"""The contract of the parcels inbox."""

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, integer, text, timestamp

PARCELS = Dataset(
    name="parcels",
    domain="parcels",
    description="Parcels that were sent, and when they arrived.",
    schema=pa.DataFrameSchema(
        {
            "parcel_id": integer("The parcel.", 0),
            "carrier": text("Who carried it."),
            "sent_at": timestamp("When it was sent, UTC."),
            "delivered_at": timestamp("When it was delivered, UTC.", nullable=True),
        },
        name="parcels",
    ),
    key=("parcel_id",),
)

DATASETS = (PARCELS,)
