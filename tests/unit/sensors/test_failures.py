"""A failed run leaves a record."""

import json

from sensors.failures import failure_record


def test_a_failure_is_one_line_of_json_whatever_its_message() -> None:
    record = failure_record("run", "everything", "first line\nsecond line with “quotes”", "2026-01-01T00:00:00")
    assert record.count("\n") == 1
    assert json.loads(record)["message"] == "first line\nsecond line with “quotes”"
