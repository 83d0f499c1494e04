"""Fixtures of the attacks: a home with the samples' snapshots."""

from __future__ import annotations

from tests.web.conftest import drawing_cache, service_home

__all__ = ["drawing_cache", "service_home"]
