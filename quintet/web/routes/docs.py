"""The OpenAPI document and a self-hosted page to read and try it."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse

from quintet.web.addresses import prefix_of
from quintet.web.middleware import CONTENT_SECURITY_POLICY
from quintet.web.problems import MEDIA_TYPE
from quintet.web.rendering import environment
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router

router = guarded_router(None)


@router.get("/openapi.json", include_in_schema=False)
@restricted_by()  # no rows
def openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI document of the whole service."""
    return JSONResponse({**document(request.app), "servers": [{"url": prefix_of(request) or "/"}]})


@router.get("/docs", include_in_schema=False)
@restricted_by()  # no rows
def docs(request: Request) -> HTMLResponse:
    """Show the document, with worked examples to try."""
    # Swagger UI writes styles into its elements
    policy = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    page = environment().get_template("docs.html").render(prefix=prefix_of(request))
    return HTMLResponse(page, headers={"content-security-policy": policy})


def document(app: FastAPI) -> dict[str, Any]:
    """Return the app's OpenAPI document with the media type of problems, which FastAPI cannot set."""
    described = copy.deepcopy(app.openapi())
    for path in described["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
    return described
