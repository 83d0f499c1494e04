"""Problems as pages, for people with a browser."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from quintet.web.contexts import ErrorContext
from quintet.web.pages import sign_in
from quintet.web.pages.shell import show
from quintet.web.problems import Problem


def page(request: Request, problem: Problem) -> Response | None:
    """Return the problem as a page; None if the client is a program. Without a key, redirect to the sign-in."""
    if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return None
    if problem.status == 401:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{sign_in.PATH}?{urlencode({'next': asked})}", 303)
    context: ErrorContext = {"problem": problem}
    return show(request, "error.html", problem.title, context, status=problem.status)
