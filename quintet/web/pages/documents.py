"""The documentation as a site, beside the page of the API: what `make docs` has built."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from quintet.web.addresses import redirect, route_path
from quintet.web.answers import has_it, headers_of
from quintet.web.file_answers import answer_file
from quintet.web.problems import ProblemError
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of

PATH = "/docs/"

router = guarded_router(None)


@router.get(PATH, include_in_schema=False)
@router.get(PATH + "{page:path}", include_in_schema=False)
@restricted_by()  # no rows
def documentation(request: Request, page: str = "") -> Response:
    """Return a file of the site; the path of a folder is its `index.html`."""
    site = service_of(request).site
    if not is_built(site):
        raise ProblemError(404, "the documentation is not built here; run `make docs` in a checkout, or read its docs/")
    file = _find(site, page)
    if file is None:
        raise ProblemError(404, f"the documentation has no page {page!r}; its first page is {PATH}")
    if file.name == "index.html" and not route_path(request).endswith("/") and not page.endswith("index.html"):
        return redirect(request, f"{route_path(request)}/")  # links of a page are relative to its folder
    state = file.stat()
    tag = f'W/"{state.st_mtime_ns:x}-{state.st_size:x}"'
    if has_it(request, tag):
        return Response(status_code=304, headers=headers_of(tag))
    return answer_file(file, mimetypes.guess_type(file.name)[0] or "application/octet-stream", headers_of(tag))


def is_built(site: Path) -> bool:
    """Return whether a folder holds the site."""
    return (site / "index.html").is_file()


def _find(site: Path, page: str) -> Path | None:
    """Return the file of a path below the site; None if there is none, or it leads out of the site."""
    root = site.resolve()
    try:
        file = (root / page).resolve()
        file = file / "index.html" if file.is_dir() else file
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None
