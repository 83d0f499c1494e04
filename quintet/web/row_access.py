"""Row-level access over HTTP: a bound key uses only the routes that declare how they restrict what they show.

A route that declares nothing is refused to it, so that a new route is closed until somebody decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from quintet.state.binding import Binding
from quintet.state.keys import Key
from quintet.web.problems import ProblemError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_KINDS = "row_kinds"


def restricted_by(*kinds: str) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route shows a key that is bound to one of these kinds its part alone; without kinds, to any.

    It reads rows through `service_of(request).snapshots` only, which has no others for such a key.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _KINDS, frozenset(kinds))
        return endpoint

    return declare


def is_open_to(endpoint: Callable[..., Any], binding: Binding) -> bool:
    """Return whether a route restricts what it shows to a binding."""
    kinds: frozenset[str] | None = getattr(endpoint, _KINDS, None)
    return kinds is not None and (not kinds or bool(kinds & binding.kinds))


def check_binding_of(request: Request, key: Key) -> None:
    """Raise ProblemError 403 if the key is bound and the request's route does not restrict what it shows."""
    if key.binding is not None and not is_open_to(request.scope["route"].endpoint, key.binding):
        raise ProblemError(
            403,
            f"the key of {key.name} is bound to {key.binding}, and what this address shows cannot be split by it; "
            "use a key that is not bound",
        )
