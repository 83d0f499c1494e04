"""The contracts of the promotions inboxes: users, codes and usages.

A contract requires what makes a row usable, not what makes a user plausible: an odd phone or age passes, as evidence
for the detector.
"""

import pandera.pandas as pa

from quintet.ingest.contract import Dataset, boolean, identifier, number, text, timestamp

PROMO_USERS = Dataset(
    name="promo_users",
    domain="promotions",
    description="People who signed up.",
    schema=pa.DataFrameSchema(
        {
            "user_id": identifier("The user."),
            "created_at": timestamp("When the account was opened, UTC."),
            "email": text("E-mail address as given.", nullable=True),
            "is_email_verified": boolean("Whether the address was confirmed.", nullable=True, required=False),
            "phone": identifier("Phone number as given.", nullable=True),
            "is_phone_verified": boolean("Whether the phone was confirmed.", nullable=True, required=False),
            "first_name": text("First name as given.", nullable=True, required=False),
            "last_name": text("Last name as given.", nullable=True, required=False),
            "ip_address": text("IP address at sign-up.", nullable=True, required=False),
            "device_id": identifier("Device at sign-up.", nullable=True, required=False),
            "user_agent": text("Browser at sign-up.", nullable=True, required=False),
            "city": text("City.", nullable=True, required=False),
            "gender": text("Gender as given.", nullable=True, required=False),
            "dob": text("Date of birth as given.", nullable=True, required=False),
            "timezone": text("IANA time zone.", nullable=True, required=False),
            "is_abuser": boolean("Confirmed label, where one is known.", nullable=True, required=False),
        },
        name="promo_users",
    ),
    key=("user_id",),
    persons={"user_id": "user"},
)

PROMO_CODES = Dataset(
    name="promo_codes",
    domain="promotions",
    description="Promotion codes and their discounts.",
    schema=pa.DataFrameSchema(
        {
            "promo_code": identifier("The code."),
            "discount_type": text("percentage or fixed_amount."),
            "discount_value": number("Percent, or an amount of money.", 0),
            "min_purchase_amount": number("The smallest purchase that the code applies to.", 0, nullable=True),
        },
        name="promo_codes",
    ),
    key=("promo_code",),
)

PROMO_USAGES = Dataset(
    name="promo_usages",
    domain="promotions",
    description="Uses of a promotion code.",
    schema=pa.DataFrameSchema(
        {
            "user_id": identifier("Who used the code."),
            "promo_code": identifier("The code."),
            "used_at": timestamp("When, UTC."),
            "used_promo": boolean("Whether the discount was applied.", nullable=True, required=False),
        },
        name="promo_usages",
    ),
    key=("user_id", "promo_code", "used_at"),
    persons={"user_id": "user"},
)

DATASETS = (PROMO_USERS, PROMO_CODES, PROMO_USAGES)
