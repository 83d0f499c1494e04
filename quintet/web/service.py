"""What the routes of all domains share: one object for each running application."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fastapi import Request

from quintet.domain import DomainService
from quintet.settings import Settings
from quintet.state.keys import Key
from quintet.state.store import StateStore
from quintet.web.answers import Answers
from quintet.web.middleware import Metrics
from quintet.web.pages.files import Files
from quintet.web.paging import PageTokens
from quintet.web.security import Gate
from quintet.web.snapshots import Readable, Snapshots

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Service:
    """What the routes share, at `request.app.state.service`.

    site: the folder of the documentation's site, which may be absent. can_send_mail: whether there is a mail server.
    clock: returns the time in UTC, with its zone.
    domains: the parts of domains that run beside the routes.
    """

    settings: Settings
    store: StateStore
    snapshots: Readable
    gate: Gate
    answers: Answers
    tokens: PageTokens
    metrics: Metrics
    files: Files
    site: Path
    can_send_mail: bool
    clock: Callable[[], dt.datetime]
    random_bytes: Callable[[int], bytes]
    domains: Sequence[DomainService]

    def of(self, kind: type[Kind]) -> Kind:
        """Return the part of a domain by its class. Raises LookupError where the application has none."""
        for part in self.domains:
            if isinstance(part, kind):
                return part
        raise LookupError(f"the application runs no {kind.__name__}")


def service_of(request: Request) -> Service:
    """Return what the routes share; a request with a bound key reads the part of its key alone."""
    service: Service = request.app.state.service
    key: Key | None = getattr(request.state, "key", None)
    if key is None or key.binding is None:
        return service
    assert isinstance(service.snapshots, Snapshots)
    return replace(service, snapshots=service.snapshots.part_of(key.binding))
