"""The product: plain Python over data frames and DuckDB relations."""

import sys
from typing import Any, cast

# Where PySpark is installed, pandera would import its pandas, which warns and changes pandas itself. Nothing needs it.
cast("dict[str, Any]", sys.modules).setdefault("pyspark.pandas", None)
