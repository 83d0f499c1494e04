"""The application's PostgreSQL instead of the inboxes: the same marts, and a failing database leaves them in place."""

from __future__ import annotations

from pathlib import Path

import psycopg

from quintet.promotions.postgres_extract import fill
from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.digest import ARRIVAL_COLUMNS, schema_digests

_PROVENANCE = {"_batch_id", "_source_file", "_source_row"}
_SAME = (
    "fct_promo_users",
    "fct_promo_usages",
    "dim_promo_code",
    "fct_abuse_scores",
    "fct_abuse_links",
    "agg_abuse_clusters",
)


def marts(quintet: Quintet) -> dict[str, str]:
    with open_snapshot(quintet.snapshot) as snapshot:
        digests = schema_digests(snapshot, "marts", exclude=ARRIVAL_COLUMNS | _PROVENANCE)
    return {name: digests[name] for name in _SAME}


def test_the_database_gives_the_same_marts_as_the_files_and_a_fault_leaves_them(
    built: Quintet, database_url: str, tmp_path: Path
) -> None:
    fill(database_url, built.raw)
    quintet = Quintet(tmp_path / "empty", tmp_path / "home")
    quintet.raw.mkdir()
    quintet.environment["QUINTET_POSTGRES_URL"] = database_url
    printed = quintet.run("--select", "promotions")
    assert "no data" not in printed
    assert marts(quintet) == marts(built)

    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("alter table promo_users rename column first_name to forename")
    before = marts(quintet)
    printed = quintet.run("--select", "promotions", status=1)
    assert "column first_name (text) vanished" in " ".join(printed.split())
    assert marts(quintet) == before

    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("alter table promo_users rename column forename to first_name")
        db.execute("update promo_users set phone = '+1-000' where user_id = (select min(user_id) from promo_users)")
        db.execute("delete from promo_users where user_id = (select max(user_id) from promo_users)")
    quintet.run("--select", "promotions")
    with open_snapshot(quintet.snapshot) as snapshot:
        changed = snapshot.execute("select count(*) from marts.fct_promo_users where phone = '+1-000'").fetchall()
        deleted = snapshot.execute("select dataset from marts.ops_source_deletes").fetchall()
    assert (changed, deleted) == ([(1,)], [("promo_users",)])
