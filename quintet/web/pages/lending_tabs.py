"""The pages of lending, as tabs of each of them."""

from __future__ import annotations

from quintet.web.rendering import Tab


def lending_tabs(shown: str) -> list[Tab]:
    """Return the pages of lending. shown: the path of the one that is shown."""
    pages = {
        "/lending": "Open applications",
        "/lending/decisions": "Live decisions",
        "/lending/features": "Features",
        "/lending/model": "Scoring model",
        "/lending/what-if": "What if",
    }
    return [Tab(label, path, path == shown) for path, label in pages.items()]
