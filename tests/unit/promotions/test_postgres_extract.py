"""The application's promotions tables: filled from the inboxes, and extracted again with the same result."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg

from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.postgres_extract.extract import extract
from quintet.promotions.contract import DATASETS
from quintet.promotions.postgres_extract import fill
from quintet.warehouse.database import open_warehouse

_RAW = Path(__file__).parents[3] / "data" / "raw"
_TYPED = {
    "promo_users": "user_id, contract.as_timestamp(created_at), email, contract.as_boolean(is_email_verified), phone, "
    "first_name, last_name, ip_address, device_id, contract.as_date(dob), contract.as_boolean(is_abuser)",
    "promo_codes": "promo_code, discount_type, contract.as_number(discount_value), "
    "contract.as_number(min_purchase_amount)",
    "promo_usages": "user_id, promo_code, contract.as_timestamp(used_at), contract.as_boolean(used_promo)",
}


def test_filled_tables_are_extracted_like_the_files(database_url: str, tmp_path: Path) -> None:
    filled = fill(database_url, _RAW)
    found = []
    for way in ("files", "source"):
        file = tmp_path / way / "warehouse.duckdb"
        with open_warehouse(file, memory_limit="1GB", threads=2, lock_wait_seconds=0) as opened:
            prepare(opened, DATASETS)
            now = dt.datetime(2026, 1, 1)
            if way == "source":
                extract(opened, database_url, DATASETS, tmp_path / "landing", now, lambda _: None)
            else:
                for dataset in DATASETS:
                    load_files(opened, dataset, list_inbox(_RAW, dataset.name), now, lambda _: None)
            found.append(
                {
                    table: opened.execute(f"select {columns} from raw.{table} order by all").fetchall()
                    for table, columns in _TYPED.items()
                }
            )

    assert {table: len(rows) for table, rows in found[0].items()} == filled
    assert found[1] == found[0]


def test_tables_that_have_rows_are_not_changed(database_url: str) -> None:
    fill(database_url, _RAW)
    with psycopg.connect(database_url, autocommit=True) as source:
        source.execute("delete from promo_users where user_id <> (select min(user_id) from promo_users)")
        source.execute("truncate promo_codes")

    assert list(fill(database_url, _RAW)) == ["promo_codes"]
    with psycopg.connect(database_url) as source:
        assert source.execute("select count(*) from promo_users").fetchone() == (1,)
