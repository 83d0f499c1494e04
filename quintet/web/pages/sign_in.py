"""Signing in with a key and out again: the browser gets a cookie that scripts cannot read."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from quintet.state.sessions import LASTS, close_session, open_session
from quintet.web.addresses import cookie_path, redirect
from quintet.web.audit import audited
from quintet.web.contexts import SignInContext
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.security import COOKIE, is_same_site
from quintet.web.service import service_of

router = APIRouter(include_in_schema=False)

PATH = "/sign-in"


@router.get(PATH)
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002  # the parameter's name
    """Show the form; signing in leads to the page `next`."""
    return _form(request, next)


@router.post(PATH)
@audited("sessions.open")
async def sign_in(request: Request, key: Annotated[str, Form()], next_page: Annotated[str, Form()] = "/") -> Response:
    """Open a session and redirect to the requested page."""
    service = service_of(request)
    if not is_same_site(request):
        raise ProblemError(403, "the sign-in came from a page of another site; use Quintet's own")
    known = await service.gate.key_with(request, key.strip())
    if known is None:
        return _form(request, next_page, 401, "This key is unknown or was revoked. `make keys` makes a new one.")
    request.state.key = known
    text = await asyncio.to_thread(
        open_session, service.store, known, service.clock(), service.random_bytes, service.gate.admin_mark
    )
    response = redirect(request, _own_path(next_page))
    response.set_cookie(
        COOKIE,
        text,
        path=cookie_path(request),
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/sign-out")
@audited("sessions.close")
def sign_out(request: Request) -> Response:
    """Close the session and redirect to the sign-in."""
    if not is_same_site(request):
        raise ProblemError(403, "the sign-out came from a page of another site; use Quintet's own")
    text = request.cookies.get(COOKIE)
    if text:
        close_session(service_of(request).store, text)
        service_of(request).gate.signed_out(text)
    response = redirect(request, PATH)
    response.delete_cookie(COOKIE, path=cookie_path(request))
    return response


def _form(request: Request, next_page: str, status: int = 200, message: str | None = None) -> Response:
    context: SignInContext = {"next_page": _own_path(next_page), "message": message}
    return show(request, "sign_in.html", "Sign in", context, status=status)


def _own_path(path: str) -> str:
    """Return the path if it leads to this service, else the overview."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
