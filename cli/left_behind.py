"""Clean up after a killed command: stop its embedded servers and record its run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from quintet.embedded import object_store, postgres
from quintet.lending.sandbox import remove_left_restore
from resources.run_marks import has_dead_marks, marks_folder

_RECORD_SECONDS = 60


def clean_up(home: Path, dagster_home: Path) -> None:
    """Stop the servers in `home` whose owner is dead, and end the runs whose process is dead."""
    postgres.stop_left_behind(home / "postgres")
    object_store.stop_left_behind(home / "objects")
    remove_left_restore(home / "restore")
    if has_dead_marks(marks_folder(dagster_home)):
        subprocess.run([sys.executable, "-m", "cli.dead_runs"], check=False, timeout=_RECORD_SECONDS)
