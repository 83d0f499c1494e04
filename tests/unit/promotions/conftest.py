"""A PostgreSQL for the tests of the application's tables."""

from tests.unit.source.conftest import server, url

__all__ = ["server", "url"]
