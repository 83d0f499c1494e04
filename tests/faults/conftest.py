"""Fixtures of the fault tests: the charts of pages, drawn once."""

from __future__ import annotations

from tests.web.conftest import drawing_cache

__all__ = ["drawing_cache"]
