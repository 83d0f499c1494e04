"""`python -m quintet.lending.replay`: make decisions again from the log, and say whether they are as they were."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from quintet.lending.decide import NotReplayableError, Replayed, replay
from quintet.lending.decision_log import DecisionLog, DecisionRecord
from quintet.settings import SettingsError, load_settings


def replay_from_log(log: DecisionLog, record: DecisionRecord) -> Replayed:
    """Make a decision again with the policy and the model that the log kept. Raises NotReplayableError."""
    model_text = None if record.model_sha256 is None else log.artefact(record.model_sha256)
    return replay(record, log.artefact(record.policy_sha256), model_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay the decisions of some applications, or of all."""
    parser = argparse.ArgumentParser(prog="python -m quintet.lending.replay", description=__doc__)
    parser.add_argument("application", nargs="*", type=int, help="ids of applications; all of the log without any")
    given = parser.parse_args(arguments)
    try:
        log = DecisionLog(load_settings().online)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return _replay(log, given.application)
    finally:
        log.close()


def _replay(log: DecisionLog, applications: Sequence[int]) -> int:
    replayed, different = 0, 0
    for application in applications or log.applications():
        record = log.of_application(application)
        if record is None:
            print(f"application {application}: the log has no decision of it", file=sys.stderr)
            continue
        try:
            again = replay_from_log(log, record)
        except NotReplayableError as error:
            print(f"application {application}: {error}", file=sys.stderr)
            continue
        replayed += 1
        different += bool(again.differences)
        for difference in again.differences:
            print(f"application {application}: {difference}", file=sys.stderr)
        if applications:
            print(again.answer)
    print(f"{replayed:,} decisions made again, {replayed - different:,} bit for bit as they were answered")
    return 2 if not replayed else int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
