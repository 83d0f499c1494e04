"""The static files: styles, scripts, the bundle that draws charts, and the page of the API's documentation.

They are held in memory, compressed once. Browsers may cache them for good: their address changes with the content.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from quintet.web.rendering import STATIC_ROOT, StaticFile, static_files

SWAGGER = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
"""Files of Swagger UI in the package fastapi-offline, with their types."""

_FOR_EVER = "public, max-age=31536000, immutable"
_LEAST_PACKED_BYTES = 1_000


class Files:
    """The files by name, loaded once. cache: the folder for files that take seconds to build."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._files: dict[str, StaticFile] = {}

    def load(self) -> None:
        """Build or read all of them; takes seconds the first time."""
        folder = Path(fastapi_offline.__file__).parent / "static"
        files = static_files(self._cache)
        files |= {name: StaticFile(kind, (folder / name).read_bytes()) for name, kind in SWAGGER.items()}
        self._files = {name: _packed(file) for name, file in files.items()}

    def get(self, name: str) -> StaticFile | None:
        """Return the file of this name; None where there is none."""
        return self._files.get(name)


def mount(app: FastAPI) -> None:
    """Serve the files below `/static` without a key: they hold nothing secret."""

    async def serve(request: Request) -> Response:
        file = request.app.state.service.files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404, "there is no such file")
        headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
        if not file.is_gzipped:
            return Response(file.content, media_type=file.media_type, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.content, media_type=file.media_type, headers=headers | {"content-encoding": "gzip"})
        return Response(gzip.decompress(file.content), media_type=file.media_type, headers=headers)

    app.add_route(f"{STATIC_ROOT}/{{version}}/{{name}}", serve, include_in_schema=False)


def _packed(file: StaticFile) -> StaticFile:
    if file.is_gzipped or len(file.content) < _LEAST_PACKED_BYTES:
        return file
    return StaticFile(file.media_type, gzip.compress(file.content, compresslevel=9, mtime=0), is_gzipped=True)
