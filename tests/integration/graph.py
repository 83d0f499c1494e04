"""The asset graph as plain data, for a snapshot that a reviewer reads.

`python -m tests.integration.graph` writes it anew after a change that is meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from definitions import build_defs

SNAPSHOT = Path(__file__).with_name("graph.json")


def describe_graph() -> dict[str, Any]:
    """Every asset with its group, owners and upstream assets; every job, sensor and schedule; all sorted."""
    definitions = build_defs()
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "owners": sorted(graph.get(key).owners),
                "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe_graph(), indent=1) + "\n", "utf-8")
