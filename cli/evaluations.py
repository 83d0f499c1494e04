"""Recompute the evaluations that are shipped with the code: `python -m cli.evaluations`.

Run it when `tests/unit/cli/test_evaluations.py` fails, and commit what it writes.
"""

from __future__ import annotations

from pathlib import Path

from quintet.conversions import pipeline_worlds
from quintet.evaluations import SHIPPED, Evaluation, write
from quintet.payments import alert_tables
from quintet.promotions import ring_worlds

ALL: tuple[Evaluation, ...] = (alert_tables.EVALUATION, pipeline_worlds.EVALUATION, ring_worlds.EVALUATION)


def outdated(shipped: Path = SHIPPED) -> list[Evaluation]:
    """Return the evaluations that another code version computed."""
    return [one for one in ALL if not (shipped / one.name / one.code_version).is_dir()]


def main() -> None:
    """Compute the outdated evaluations and write them beside the code."""
    found = outdated()
    for evaluation in found:
        write(evaluation, SHIPPED)
        print(f"{evaluation.name}: computed with code version {evaluation.code_version}")
    print("next: commit quintet/shipped" if found else "every evaluation is up to date")


if __name__ == "__main__":
    main()
