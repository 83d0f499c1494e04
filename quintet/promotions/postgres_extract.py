"""The application's promotions tables in PostgreSQL: create them, and fill them from the inboxes."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path

import adbc_driver_manager
from adbc_driver_postgresql import dbapi

from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.promotions.contract import DATASETS, PROMO_CODES, PROMO_USAGES, PROMO_USERS
from quintet.settings import SettingsError, load_settings
from quintet.warehouse.connect import connect_to_files

_NOT_USED = dt.datetime(2000, 1, 1)  # load time of the batches in the in-memory warehouse

_TABLES: Mapping[str, str] = {
    "promo_users": """
        create table if not exists promo_users (
            user_id text primary key, created_at timestamp not null, email text, is_email_verified boolean,
            phone text, is_phone_verified boolean, first_name text, last_name text, ip_address text, device_id text,
            user_agent text, city text, gender text, dob text, timezone text, is_abuser boolean
        )
    """,
    "promo_codes": """
        create table if not exists promo_codes (
            promo_code text not null, discount_type text not null, discount_value double precision not null,
            min_purchase_amount double precision
        )
    """,
    "promo_usages": """
        create table if not exists promo_usages (
            user_id text not null, promo_code text not null, used_at timestamp not null, used_promo boolean
        )
    """,
}
"""Typical of an application: codes repeat, no column has the time of a change, and dates of birth are as typed."""

_ROWS: Mapping[str, str] = {
    PROMO_USERS.name: """
        select * exclude (_extra, _batch_id, _source_file, _source_row) replace (
            contract.as_timestamp(created_at) as created_at,
            contract.as_boolean(is_email_verified) as is_email_verified,
            contract.as_boolean(is_phone_verified) as is_phone_verified,
            contract.as_boolean(is_abuser) as is_abuser
        )
        from raw.promo_users
        qualify row_number() over (partition by user_id order by _source_file desc, _source_row desc) = 1
        order by created_at, user_id
    """,
    PROMO_CODES.name: """
        select promo_code, discount_type, contract.as_number(discount_value) as discount_value,
            contract.as_number(min_purchase_amount) as min_purchase_amount
        from raw.promo_codes order by _source_file, _source_row
    """,
    PROMO_USAGES.name: """
        select user_id, promo_code, contract.as_timestamp(used_at) as used_at,
            contract.as_boolean(used_promo) as used_promo
        from raw.promo_usages order by _source_file, _source_row
    """,
}


def fill(url: str, raw: Path) -> dict[str, int]:
    """Create missing tables, and fill empty ones from the inboxes below `raw`; return the rows by filled table.

    A table that has rows is not changed, and is not in the result.
    """
    filled = {}
    with dbapi.connect(url) as connection, connect_to_files() as loaded:
        loaded.execute("attach ':memory:' as published")
        loaded.execute("create schema published.ml")
        prepare(loaded, DATASETS)
        with connection.cursor() as cursor:
            for dataset in DATASETS:
                cursor.execute(_TABLES[dataset.name])
                cursor.execute(f"select exists (select 1 from {dataset.name})")
                if cursor.fetchone() == (True,):
                    continue
                files = list_inbox(raw, dataset.name)
                load_files(loaded, dataset, files, _NOT_USED, lambda _: None)
                rows = loaded.sql(_ROWS[dataset.name]).to_arrow_table()
                cursor.adbc_ingest(dataset.name, rows, mode="append")
                filled[dataset.name] = len(rows)
        connection.commit()
    return filled


def main() -> int:
    """Fill the database of the settings; return the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.postgres_url is None:
        print("QUINTET_POSTGRES_URL is not set; `make up` starts an embedded database and fills it", file=sys.stderr)
        return 2
    try:
        filled = fill(settings.postgres_url.get_secret_value(), settings.raw)
    except adbc_driver_manager.Error as error:
        print(f"the database of QUINTET_POSTGRES_URL cannot be filled: {error}. Fix it and run again", file=sys.stderr)
        return 1
    print(", ".join(f"{table}: {rows:,} rows" for table, rows in filled.items()) or "every table has rows already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
