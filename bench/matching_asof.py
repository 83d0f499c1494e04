"""The comparator of `bench/matching.py` in SQL alone: DuckDB's ASOF join.

Arguments: clicks.parquet, rows.parquet and result.parquet, as those of `bench/matching_splink.py`. Nothing of the
project is imported here, so that memory and time are those of the join.
"""

import sys

import duckdb


def join(clicks: str, rows: str, result: str) -> None:
    """Give each row the last click of its country, and each click the first row that took it."""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"""
            copy (
                select clicks.unique_id as click, sent.unique_id as broker_row
                from '{rows}' as sent
                asof join '{clicks}' as clicks
                    on sent.country = clicks.country and sent.at_second >= clicks.at_second
                qualify row_number() over (partition by click order by sent.at_second, broker_row) = 1
            ) to '{result}'
        """)


if __name__ == "__main__":
    join(*sys.argv[1:4])
