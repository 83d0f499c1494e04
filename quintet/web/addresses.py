"""Addresses of pages and files, also where a proxy publishes the service under a path such as `/quintet`.

Code names paths as the routes do (`/insurance`). What a client reads carries the proxy's path: templates add it with
the filter `url`, routes redirect with `redirect`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote

from fastapi import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HEADER = b"x-forwarded-prefix"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")  # no empty part: `//x` would be another host


def route_path(request: Request) -> str:
    """Return the path of the request as the routes name it, without the proxy's."""
    return _route_path(request.scope)


def prefix_of(request: Request) -> str:
    """Return the proxy's path, such as `/quintet`; empty without one."""
    return str(request.scope.get("root_path", ""))


def cookie_path(request: Request) -> str:
    """Return the path of this service's cookies: other services of the same host do not get them."""
    return prefix_of(request) or "/"


def redirect(request: Request, path: str) -> RedirectResponse:
    """Return a redirect to a path of this service; the client opens it with GET."""
    return RedirectResponse(prefix_of(request) + path, 303)


def _route_path(scope: Scope) -> str:
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path


class SlashRedirects:
    """The answer for a path without a route: a redirect to the same path without its last slash, if that has one.

    It names neither scheme nor host, which a proxy may not pass on and a client can forge.
    """

    def __init__(self, routes: Iterable[BaseRoute], otherwise: ASGIApp) -> None:
        self._routes, self._otherwise = routes, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = _route_path(scope)
        path = f"{scope.get('root_path', '')}/{asked.strip('/')}"
        if asked.endswith("/") and self._is_known({**scope, "path": path}):
            query = scope["query_string"].decode("latin-1")
            target = quote(path) + (f"?{query}" if query else "")
            await RedirectResponse(target, 307)(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        return any(route.matches(dict(scope))[0] is not Match.NONE for route in self._routes)


class TrustedProxies:
    """Reads the headers of trusted proxies: the client's address, the scheme, and the path of the service.

    trusted: addresses and networks, separated by commas or blanks. The headers of others are ignored.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._app = app
        networks = [str(ipaddress.ip_network(word, strict=False)) for word in trusted.replace(",", " ").split()]
        self._headers = ProxyHeadersMiddleware(app, networks)  # type: ignore[arg-type]  # uvicorn has types of its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        peer = (scope.get("client") or ("",))[0]
        if scope["type"] != "http" or peer not in self._headers.trusted_hosts:
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == _HEADER]
        prefix = given[0] if given else ""
        if len(given) > 1 or not _PREFIX.fullmatch(prefix):
            text = "The proxy must send X-Forwarded-Prefix once, as a path like /quintet.\n"
            await PlainTextResponse(text, 400)(scope, receive, send)
            return
        prefix = prefix.rstrip("/")
        changed = {
            **scope,
            "root_path": prefix,
            "path": prefix + scope["path"],
            "raw_path": prefix.encode() + scope.get("raw_path", scope["path"].encode()),
        }
        await self._headers(changed, receive, send)  # type: ignore[arg-type]
