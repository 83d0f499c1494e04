"""The service's log: a line is written for every request, whatever it contains."""

from __future__ import annotations

import json
import subprocess
import sys

_LOGGED = """
import structlog
from quintet.web.__main__ import log_as_json
log_as_json()
structlog.get_logger().info("request", path="half a pair \\ud800")
"""


def test_a_line_with_half_a_surrogate_pair_is_written():
    ran = subprocess.run([sys.executable, "-c", _LOGGED], capture_output=True, text=True, check=True)
    (line,) = (json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{"))

    assert line["path"] == "half a pair \ud800"
