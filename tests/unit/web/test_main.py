"""The service's log: a line is written for every request, whatever it contains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from quintet.state.store import StateError
from quintet.web.__main__ import only_service

_LOGGED = """
import structlog
from quintet.logs import log_as_json
log_as_json()
structlog.get_logger().info("request", path="half a pair \\ud800")
"""


def test_a_line_with_half_a_surrogate_pair_is_written():
    ran = subprocess.run([sys.executable, "-c", _LOGGED], capture_output=True, text=True, check=True)
    (line,) = (json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{"))

    assert line["path"] == "half a pair \ud800"


def test_a_second_service_of_a_home_is_refused(tmp_path: Path) -> None:
    with only_service(tmp_path / "home" / "online"):
        with pytest.raises(StateError, match="is already running"), only_service(tmp_path / "home" / "online"):
            pass
        with only_service(tmp_path / "other" / "online"):
            pass
    with only_service(tmp_path / "home" / "online"):
        pass
