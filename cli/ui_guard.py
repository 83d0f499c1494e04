"""Guard of Dagster's UI, which has no login of its own and can start runs: only who has the printed link gets in.

It wraps the UI's application in the same process, so there is no second, unguarded port. Each request must

- name this machine, or the host of `QUINTET_DAGSTER_URL`, as its host, which stops DNS rebinding;
- carry the token, in the link, the cookie that the link sets, or the header `Authorization: Bearer`;
- come from the UI's own pages if a browser sends it, except that links to a page may be followed from anywhere;
- change things by POST with JSON only.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARAMETER = "token"

_HOSTS = {"127.0.0.1", "::1", "localhost"}
_METHODS = {"GET", "HEAD", "POST"}
_GRAPHQL = "/graphql"
_IMPLIED_PORTS = {"http": ":80", "https": ":443"}
_NO_LINK = (
    "This page needs the link that `quintet dev` or `quintet up` prints; it ends in ?token=…\n"
    "A program sends the token as `Authorization: Bearer TOKEN`; it is in the file `dagster/ui-token` of the home.\n"
)
_HEADERS = {
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class RefusedError(Exception):
    """A request is refused; the text says why and what to do."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class PublicAddress:
    """Where people open the UI through a proxy: the origin and the path before all of the UI's, such as `/dagster`."""

    origin: str
    path: str

    @classmethod
    def of(cls, url: str) -> PublicAddress:
        """Return the parts of an http or https URL; browsers leave out the port that the scheme implies."""
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.netloc.lower()
        return cls(f"{scheme}://{host.removesuffix(_IMPLIED_PORTS[scheme])}", parts.path.rstrip("/"))

    @property
    def host(self) -> str:
        """The header `Host` of requests to it."""
        return urlsplit(self.origin).netloc

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers open it over TLS."""
        return self.origin.startswith("https:")


class UiGuard:
    """An ASGI application that lets only authorised requests through to `app`.

    token: the secret of the link. port: of the UI; part of the cookie's name, because browsers share cookies between
    the ports of a host. public: where people open the UI through a proxy.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, public: PublicAddress | None = None) -> None:
        self._app, self._token, self._public = app, token, public
        self._cookie = f"quintet_dagster_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or one WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            origins = own_origins(headers, self._public)
            answer = self._sign_in(scope, origins)
            if answer is None:
                is_program = self._check_token(headers)
                check_origin(scope, headers, origins, is_program=is_program)
                check_method(scope, headers)
        except RefusedError as refused:
            answer = PlainTextResponse(f"{refused}\n", refused.status, {"cache-control": "no-store"})
        if answer is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send))

    def _sign_in(self, scope: Scope, origins: Collection[str]) -> Response | None:
        """Return a redirect that sets the cookie and removes the token from the address; None without a token."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == PARAMETER]
        if not given:
            return None
        if not self._is_token(given[0]):
            raise RefusedError(HTTPStatus.FORBIDDEN, "The token of this link is not valid, or no longer. " + _NO_LINK)
        rest = urlencode([(name, value) for name, value in query if name != PARAMETER])
        path = "/" + scope["path"].lstrip("/\\")  # never the address of another host
        response = RedirectResponse(f"{path}?{rest}" if rest else path, 303, {"cache-control": "no-store"})
        response.set_cookie(
            self._cookie,
            self._token,
            path=(self._public.path if self._public else "") or "/",
            httponly=True,
            samesite="lax",
            secure=self._public is not None and self._public.is_encrypted and self._public.origin in origins,
        )
        return response

    def _check_token(self, headers: Headers) -> bool:
        """Raise RefusedError unless the request carries the token; return whether a program sends it."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        if any(self._is_token(text) for text in _cookies(headers, self._cookie)):
            return False
        raise RefusedError(HTTPStatus.FORBIDDEN, _NO_LINK)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())


def own_origins(headers: Headers, public: PublicAddress | None = None) -> Collection[str]:
    """Return the origins of the UI's own pages, by the host of the request.

    Raises RefusedError unless `Host` is that of the public address, or a name of this machine itself, with any port: a
    tunnel may change it.
    """
    given = headers.getlist("host")
    host = given[0] if len(given) == 1 else ""
    if public is not None and host.lower() == public.host:
        return {public.origin}
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in _HOSTS:
        raise RefusedError(
            HTTPStatus.MISDIRECTED_REQUEST,
            "Dagster's UI answers at 127.0.0.1 and localhost only. From another machine, open a tunnel: "
            "ssh -L 3000:127.0.0.1:3000 HOST. Behind a proxy, set QUINTET_DAGSTER_URL to its address.",
        )
    return {f"{scheme}://{host}" for scheme in ("http", "https")}


def check_origin(scope: Scope, headers: Headers, origins: Collection[str], *, is_program: bool) -> None:
    """Raise RefusedError if a page of another site or port sends the request.

    origins: of the UI's own pages. is_program: the token is in a header, which no page of another site can set.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    changes = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}
    if origin is not None:
        is_own = origin in origins
    elif site is not None:
        is_own = site in {"same-origin", "none"} or (not changes and _is_visit(headers))
    else:
        is_own = is_program or not changes
    if not is_own:
        raise RefusedError(HTTPStatus.FORBIDDEN, "This request came from a page of another site. Use the UI's own.")


def check_method(scope: Scope, headers: Headers) -> None:
    """Raise RefusedError for a request that could change something by other means than a POST with JSON."""
    if scope["type"] != "http":
        return
    if scope["method"] not in _METHODS:
        raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "Use GET or POST.")
    names = {name.lower() for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)}
    if scope["path"].rstrip("/").endswith(_GRAPHQL) and names & {"query", "mutation"}:
        raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "Send GraphQL as a POST with JSON, not in the address.")
    content = headers.get("content-type", "").partition(";")[0].strip().lower()
    if scope["method"] == "POST" and content != "application/json":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with content-type: application/json.")


def _is_visit(headers: Headers) -> bool:
    """Return whether a browser opens a page of its own, and neither embeds nor fetches it."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _cookies(headers: Headers, name: str) -> list[str]:
    """Return the values of a cookie; several, if pages on other paths or ports have set it too."""
    found = []
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            try:
                cookie = SimpleCookie(part)
            except CookieError:  # one of another program on this host
                continue
            if name in cookie:
                found.append(cookie[name].value)
    return found


def _with_headers(send: Send) -> Send:
    """Return `send` with headers that forbid framing, and keep the address from other sites."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return send_with_headers
