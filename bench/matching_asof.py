"""The comparator of `bench/matching.py` in SQL alone: DuckDB's ASOF join.

Arguments: conversions.parquet, rows.parquet and result.parquet, as for `bench/matching_splink.py`. Nothing of the
project is imported here, so that only the join's memory and time are measured.
"""

import sys

import duckdb


def join(conversions: str, rows: str, result: str) -> None:
    """Match each broker row with the last conversion of its country, and keep each conversion's first row."""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"""
            copy (
                select conversions.unique_id as conversion, broker_rows.unique_id as broker_row
                from '{rows}' as broker_rows
                asof join '{conversions}' as conversions
                    on broker_rows.country = conversions.country and broker_rows.at_second >= conversions.at_second
                qualify row_number() over (partition by conversion order by broker_rows.at_second, broker_row) = 1
            ) to '{result}'
        """)


if __name__ == "__main__":
    join(*sys.argv[1:4])
