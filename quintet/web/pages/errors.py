"""Problems as pages, for people with a browser."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from quintet.web.addresses import redirect, route_path
from quintet.web.contexts import ErrorContext
from quintet.web.pages import sign_in
from quintet.web.pages.shell import show
from quintet.web.problems import Problem


def page(request: Request, problem: Problem) -> Response | None:
    """Return the problem as a page; None if the client is a program. Without a key, redirect to the sign-in."""
    if route_path(request).startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return None
    if problem.status == 401:
        asked = route_path(request) + (f"?{request.url.query}" if request.url.query else "")
        return redirect(request, f"{sign_in.PATH}?{urlencode({'next': asked})}")
    context: ErrorContext = {"problem": problem}
    return show(request, "error.html", problem.title, context, status=problem.status)
