"""A fault that a cluster reports becomes a message that says what to do, without the secret of its address."""

from __future__ import annotations

import pytest

from quintet.spark.faults import SparkError, explained, need_answer


@pytest.mark.parametrize(
    ("reported", "what_to_do"),
    [
        ("ModuleNotFoundError: No module named 'quintet.spark'", "install this version of Quintet for their Python 3"),
        (
            "ModuleNotFoundError: No module named 'scipy.sparse'",
            "workers lack scipy; install Quintet with what",
        ),
        ("[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9", "workers run another Python"),
        (
            'java.io.IOException: Cannot run program "python3.11": error=2, No such file',
            "name it in their PYSPARK_PYTHON",
        ),
        ("[PATH_NOT_FOUND] Path does not exist: file:/x", "name it in QUINTET_SPARK_FOLDER"),
        ("FileNotFoundException: File file:/x/part-0.parquet does not exist", "name it in QUINTET_SPARK_FOLDER"),
        ("java.io.IOException: Mkdirs failed to create file:/x", "run the workers under that account"),
        ("SparkException: Python worker exited unexpectedly (crashed)", r"QUINTET_SPARK_GROUP_ROWS \(now 5,000\)"),
        ("ExecutorLostFailure (executor 1 exited) Reason: Command exited with code 137", "spark.executor.memory"),
        ("MemoryError: Unable to allocate 9.3 GiB", "Lower QUINTET_SPARK_GROUP_ROWS"),
        ("<_MultiThreadedRendezvous of RPC with: status = StatusCode.UNAVAILABLE", "Start it and run again"),
        ("Traceback\nValueError: a bad value\n  at x", "ValueError: a bad value$"),
        ("something else", "RuntimeError: something else$"),
    ],
)
def test_what_a_cluster_reports_says_what_to_do(reported: str, what_to_do: str) -> None:
    with pytest.raises(SparkError, match=what_to_do) as raised, explained("sc://cluster:15002/;token=secret", 5_000):
        raise RuntimeError(reported)
    assert "secret" not in str(raised.value)


def test_without_a_server_the_message_names_the_address_and_the_way_round() -> None:
    with pytest.raises(SparkError, match=r"no Spark Connect server answers at 127\.0\.0\.1:1 .*--engine duckdb"):
        need_answer("sc://127.0.0.1:1/;token=secret")
