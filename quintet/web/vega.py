"""The JavaScript bundle that draws charts: Vega, Vega-Lite and Vega-Embed from the vl-convert package."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import os
from pathlib import Path

import vl_convert

# Vega-Embed includes the expression interpreter, which works without `eval` under a strict content policy.
_SNIPPET = "globalThis.vegaEmbed = vegaEmbed;\n"


def version() -> str:
    """Return a hash of the bundle's inputs, which identifies it without building it."""
    package = importlib.metadata.version("vl-convert-python")
    return hashlib.sha256(f"{package}\n{_SNIPPET}".encode()).hexdigest()[:16]


def bundle(cache: Path) -> bytes:
    """Return the gzipped bundle, built once per version and cached in the folder `cache`, which may not exist yet.

    Building takes seconds: do it before the first request. Several processes may build it at the same time: each
    writes the same bytes, and the file is replaced atomically.
    """
    cached = cache / f"vega-{version()}.js.gz"
    if cached.is_file():
        return cached.read_bytes()
    packed = gzip.compress(_made().encode(), compresslevel=9, mtime=0)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cached.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_bytes(packed)
    unfinished.replace(cached)
    return packed


def _made() -> str:
    return vl_convert.javascript_bundle(_SNIPPET)
