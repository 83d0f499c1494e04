"""The script that draws charts in the browser: Vega, Vega-Lite and Vega-Embed, bundled from the vl-convert package."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import os
from pathlib import Path

import vl_convert

# Vega-Embed brings the expression interpreter along, which does without `eval` and so with a strict content policy.
_SNIPPET = "globalThis.vegaEmbed = vegaEmbed;\n"


def version() -> str:
    """What the bundle is made of, as a hash: known without making it, and another for every other bundle."""
    package = importlib.metadata.version("vl-convert-python")
    return hashlib.sha256(f"{package}\n{_SNIPPET}".encode()).hexdigest()[:16]


def bundle(cache: Path) -> bytes:
    """The bundle, gzipped; made once for each version and kept in the folder `cache`, which may not exist yet.

    Making it takes seconds and half a core, so it belongs before the first request. Several processes may make it at
    the same time: each writes the same bytes, and a reader sees a whole file or none.
    """
    kept = cache / f"vega-{version()}.js.gz"
    if kept.is_file():
        return kept.read_bytes()
    packed = gzip.compress(_made().encode(), compresslevel=9, mtime=0)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_bytes(packed)
    unfinished.replace(kept)
    return packed


def _made() -> str:
    return vl_convert.javascript_bundle(_SNIPPET)
