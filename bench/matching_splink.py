"""The comparator of `bench/matching.py`: Splink links conversions and broker rows one to one.

Runs in a separate environment (splink 5.0.0, duckdb 1.5.6): nothing of the project is imported here.
Arguments: conversions.parquet (unique_id, at_second, country), rows.parquet (unique_id, at_second on our clock,
country, residency), result.parquet. Splink gets what the project has to estimate: the clock's offset and the countries.
"""

import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import duckdb
import splink.comparison_level_library as levels
import splink.comparison_library as comparisons
from splink import DuckDBAPI, Linker, SettingsCreator

_BUCKET_SECONDS = 4 * 3_600
_LAGS = (60, 120, 240, 480, 960, 1_920, 3_840, 7_680)
_LEAST = 0.1  # the best of several values on the world of 20,000
_LAG = "(moment_r - moment_l)"


def link() -> None:
    """Train by expectation-maximisation, predict, and keep the mutually best links."""
    conversions, rows, result = sys.argv[1:4]
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect(config={"threads": 2})
    bucket = f"at_second // {_BUCKET_SECONDS}"
    connection.execute(
        "create table a_conversions as "
        "select unique_id, at_second, country, null::varchar as residency, at_second as moment, "
        f"{bucket} as bucket, {bucket} + 1 as next_bucket from '{conversions}'"
    )
    connection.execute(
        f"create table b_rows as select unique_id, at_second, country, residency, at_second as moment, "
        f"{bucket} as bucket, {bucket} as next_bucket from '{rows}'"
    )
    [(span, conversions_count, equal)] = connection.execute(
        "select max(at_second) - min(at_second), count(*), "
        "(select sum(share * share) from "
        "(select count(*) / sum(count(*)) over () as share from a_conversions group by country)) from a_conversions"
    ).fetchall()
    # u of each level follows from the calendar; m is trained.
    starts = (0, *_LAGS[:-1])
    chance = [(until - start) / span for start, until in zip(starts, _LAGS, strict=True)]
    guess = 0.98 / len(_LAGS)
    lag = comparisons.CustomComparison(
        output_column_name="moment",
        comparison_levels=[
            *(
                levels.CustomLevel(f"{_LAG} >= {start} and {_LAG} < {until}").configure(
                    m_probability=guess, u_probability=u
                )
                for start, until, u in zip(starts, _LAGS, chance, strict=True)
            ),
            levels.ElseLevel().configure(m_probability=0.02, u_probability=1 - sum(chance)),
        ],
    )
    country = comparisons.ExactMatch("country").configure(
        term_frequency_adjustments=True, m_probabilities=[0.97, 0.03], u_probabilities=[float(equal), 1 - float(equal)]
    )
    near = "(r.at_second - l.at_second) between 0 and 14400"
    blocking = [
        f"l.country = r.country and l.bucket = r.bucket and {near}",
        f"l.country = r.country and l.next_bucket = r.bucket and {near}",
    ]
    api = DuckDBAPI(connection=connection)
    tables = [api.register(name, dataset_display_name=f"{name}_given") for name in ("a_conversions", "b_rows")]
    linker = Linker(
        tables,
        SettingsCreator(
            link_type="link_only",
            comparisons=[lag, country],
            blocking_rules_to_generate_predictions=blocking,
            probability_two_random_records_match=0.9 / conversions_count,
        ),
    )
    linker.training.estimate_parameters_using_expectation_maximisation(blocking[0], record_sample_proportion=0.2)
    predictions = linker.inference.predict(threshold_match_probability=_LEAST)
    clusters = linker.clustering.cluster_using_single_best_links(
        predictions, duplicate_free_datasets=["a_conversions_given", "b_rows_given"], threshold_match_probability=_LEAST
    )
    connection.execute(
        f"""copy (
            select any_value(unique_id) filter (where source_dataset like 'a_conversions%') as conversion,
                any_value(unique_id) filter (where source_dataset like 'b_rows%') as broker_row
            from {clusters.physical_name} group by cluster_id having count(*) = 2
        ) to '{result}' (format parquet)"""
    )


if __name__ == "__main__":
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        link()
