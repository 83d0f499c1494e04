"""The feature registry: every file of `features/` with a `FEATURE` in it."""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache

from quintet.lending import features as package
from quintet.lending.feature import Event, Feature, State, Value

_ROWS = 2
"""The version of how rows are read and routed (`rows.py`, `book.py`); states of another one have to be rebuilt."""


class FeatureError(ValueError):
    """A feature's file is invalid; the message names it and the fix."""


@cache
def features() -> tuple[Feature, ...]:
    """Return all features by name. Raises FeatureError for a file without a feature or with another name than it."""
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        name = module.name
        feature = getattr(importlib.import_module(f"{package.__name__}.{name}"), "FEATURE", None)
        if not isinstance(feature, Feature):
            raise FeatureError(f"features/{name}.py has no FEATURE; add one of type Feature")
        if feature.name != name:
            raise FeatureError(f"features/{name}.py has the feature {feature.name}; give both the same name")
        found.append(feature)
    return tuple(found)


def tables_behind(known: Sequence[Feature], names: Collection[str] | None) -> frozenset[str]:
    """Return the tables that features of these names read; None stands for all features."""
    read = (feature.tables for feature in known if names is None or feature.name in names)
    return frozenset().union(*read)


def version_of(known: Sequence[Feature]) -> str:
    """Return a digest of names and versions; states of another digest have to be rebuilt."""
    text = json.dumps([_ROWS, sorted((feature.name, feature.version) for feature in known)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fold(known: Sequence[Feature], states: Mapping[str, State], event: Event) -> dict[str, State]:
    """Return the states of a client's features, by name, after an event."""
    return {feature.name: feature.apply(states.get(feature.name, {}), event) for feature in known}


def values(known: Sequence[Feature], states: Mapping[str, State], as_of: date) -> dict[str, Value]:
    """Return the values of a client's features at the end of a day."""
    return {feature.name: feature.value(states.get(feature.name, {}), as_of) for feature in known}
