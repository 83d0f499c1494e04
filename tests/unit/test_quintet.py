"""Importing the product leaves pandas as it is, whatever else is installed."""

import subprocess
import sys


def test_pandera_does_not_import_the_pandas_of_pyspark() -> None:
    code = "import quintet, pandera.pandas, pandas, sys; print(sys.modules['pyspark.pandas'], pandas.Series.__module__)"
    command = [sys.executable, "-W", "error::FutureWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("None pandas\n", "")
