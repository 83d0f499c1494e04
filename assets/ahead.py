"""Import what the later steps of a run need while a step waits for another process.

A step imports scikit-learn and the like only when it runs, so that a process that builds nothing starts fast. Those
imports take a second; meanwhile dbt runs in its own process, and this one is idle.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import dagster as dg

MODULES = "modules"
"""The metadata of an asset with the modules that its step imports."""


def modules_to_import(context: dg.AssetExecutionContext, group: str) -> list[str]:
    """Return the modules of the assets of a group that the run builds."""
    layer = context.job_def.asset_layer
    nodes = [layer.asset_graph.get(key) for key in sorted(layer.selected_asset_keys)]
    return [name for node in nodes if node.group_name == group for name in node.metadata.get(MODULES, ())]


@contextmanager
def importing(modules: Iterable[str]) -> Iterator[None]:
    """Import the modules in a thread while the body runs; wait for the thread unless the body raises."""
    thread = threading.Thread(target=_import_all, args=(list(modules),), name="imports", daemon=True)
    thread.start()
    yield
    thread.join()


def _import_all(modules: Iterable[str]) -> None:
    for name in dict.fromkeys(modules):
        with suppress(ImportError):  # the step that needs the module fails with the reason
            importlib.import_module(name)
