"""Whether the numbers of a report's findings are those of their queries."""

from __future__ import annotations

import duckdb
import pytest

from quintet.presentation.blocks import Report


def checked(snapshot: duckdb.DuckDBPyConnection, report: Report) -> int:
    """Run the query of each number of the findings and compare; return how many numbers there are."""
    count = 0
    for finding in report.findings:
        for evidence in finding.evidence:
            [[value]] = snapshot.execute(evidence.sql).fetchall()
            assert float(value) == pytest.approx(evidence.value, rel=1e-6, abs=1e-9), evidence.name
            count += 1
    return count
