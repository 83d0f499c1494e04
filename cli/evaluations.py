"""Compute again what is shipped with the code and depends on it alone: `python -m cli.evaluations`.

Run it after a change that `tests/unit/cli/test_evaluations.py` names, and commit what it writes.
"""

from __future__ import annotations

from pathlib import Path

from quintet.conversions import pipeline_worlds
from quintet.evaluations import SHIPPED, Evaluation, write
from quintet.payments import alert_tables

ALL: tuple[Evaluation, ...] = (alert_tables.EVALUATION, pipeline_worlds.EVALUATION)


def outdated(shipped: Path = SHIPPED) -> list[Evaluation]:
    """Return the evaluations that other code has computed than the code at hand."""
    return [one for one in ALL if not (shipped / one.name / one.code_version).is_dir()]


def main() -> None:
    """Compute the outdated evaluations and write them beside the code."""
    found = outdated()
    for evaluation in found:
        write(evaluation, SHIPPED)
        print(f"{evaluation.name}: computed by code {evaluation.code_version}")
    print("next: commit quintet/shipped" if found else "every evaluation is by the code at hand")


if __name__ == "__main__":
    main()
