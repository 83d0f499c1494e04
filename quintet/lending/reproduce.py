"""`python -m quintet.lending.reproduce`: reproduce decisions from the decision log and compare them with the record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from quintet.lending.decide import NotReproducibleError, Reproduced, reproduce
from quintet.lending.decision_log import DecisionLog, DecisionRecord
from quintet.settings import SettingsError, load_settings


def reproduce_from_log(log: DecisionLog, record: DecisionRecord) -> Reproduced:
    """Reproduce a decision with the policy and the model of the log. Raises NotReproducibleError."""
    model_text = None if record.model_sha256 is None else log.artefact(record.model_sha256)
    return reproduce(record, log.artefact(record.policy_sha256), model_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reproduce decisions; return 0 if all are equal, 1 if one differs, 2 if none could be reproduced."""
    parser = argparse.ArgumentParser(prog="python -m quintet.lending.reproduce", description=__doc__)
    parser.add_argument("application", nargs="*", type=int, help="ids of applications; default: all in the log")
    given = parser.parse_args(arguments)
    try:
        log = DecisionLog(load_settings().state)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return _reproduce(log, given.application)
    finally:
        log.close()


def _reproduce(log: DecisionLog, applications: Sequence[int]) -> int:
    reproduced, different = 0, 0
    for application in applications or log.applications():
        record = log.of_application(application)
        if record is None:
            print(f"application {application}: there is no decision in the log", file=sys.stderr)
            continue
        try:
            again = reproduce_from_log(log, record)
        except NotReproducibleError as error:
            print(f"application {application}: {error}", file=sys.stderr)
            continue
        reproduced += 1
        different += bool(again.differences)
        for difference in again.differences:
            print(f"application {application}: {difference}", file=sys.stderr)
        if applications:
            print(again.answer)
    print(f"{reproduced:,} decisions reproduced, {reproduced - different:,} bit for bit as they were answered")
    return 2 if not reproduced else int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
