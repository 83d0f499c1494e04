"""The asset graph as plain data, for a snapshot that a reviewer reads.

`python -m tests.integration.graph` writes it after a change that is meant, with the lineage that the pipeline page
shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import quintet.pipeline
from assets.facts import DOMAIN_TAG
from definitions import build_defs

LINEAGE = Path(quintet.pipeline.__file__).with_name("lineage.json")
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


def describe_lineage() -> dict[str, Any]:
    """Every asset with its business, step, description and upstream assets, for the pipeline page."""
    graph = build_defs().resolve_asset_graph()
    steps = {
        key: definition.node_def.name
        for definition in graph.assets_defs
        if definition.is_executable
        for key in definition.keys
    }
    return {
        key.to_user_string(): {
            "group": graph.get(key).tags.get(DOMAIN_TAG) or graph.get(key).group_name,
            "step": steps.get(key, ""),
            "description": (graph.get(key).description or "").strip().partition("\n\n")[0].replace("\n", " "),
            "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
        }
        for key in sorted(graph.get_all_asset_keys())
    }


def lineage_text() -> str:
    """Return the lineage as its file has it."""
    return json.dumps(describe_lineage(), indent=1) + "\n"


if __name__ == "__main__":
    LINEAGE.write_text(lineage_text(), "utf-8")
    SNAPSHOT.write_text(json.dumps(describe_graph(), indent=1) + "\n", "utf-8")
