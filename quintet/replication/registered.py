"""Find the domain whose tables are replicated."""

from __future__ import annotations

import importlib

from quintet.domains import DOMAINS
from quintet.replicated import Replicated


def replicated() -> Replicated:
    """Return what the domain with replicated tables declares.

    One stream has one slot, one applier and one epoch, so exactly one domain may have such tables. Raises ValueError
    for another number.
    """
    modules = {domain.name: domain.replication for domain in DOMAINS if domain.replication}
    if len(modules) != 1:
        raise ValueError(f"one domain can be replicated, and these declare it: {', '.join(modules) or 'none'}")
    declared: Replicated = importlib.import_module(next(iter(modules.values()))).REPLICATED
    return declared
