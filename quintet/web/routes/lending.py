"""Lending over HTTP: the features of a client, now.

Belongs here: how a question arrives and an answer leaves. What the features are belongs in `quintet/lending`.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from quintet.lending.online import EPOCH
from quintet.web.problems import ProblemError
from quintet.web.security import guarded_router

router = guarded_router("lending:read", prefix="/v1/lending", tags=["lending"])


class ClientFeaturesAnswer(BaseModel):
    """The features of a client, as the stream has them."""

    client_id: int
    as_of: dt.date = Field(description="The day at whose end the values are told.")
    features: dict[str, float | int | None] = Field(description="By name; the catalogue says what null means.")
    is_client: bool = Field(description="Whether the CRM has the client, and not only a loan that names it.")
    applied_lsn: int = Field(description="Up to where in PostgreSQL's log the features are.")
    applied_commit_at: str | None = Field(description="When the last applied transaction was committed, UTC.")
    features_version: str = Field(description="Which features, in which versions.")


@router.get("/clients/{client_id}/features", response_model=ClientFeaturesAnswer)
def client_features(
    request: Request,
    client_id: Annotated[int, Path(ge=0, le=2**31 - 1, description="The client's id.")],
    as_of: Annotated[dt.date | None, Query(description="The day, today by default.")] = None,
) -> ClientFeaturesAnswer:
    """The features of a client at the end of a day, from everything that the stream has applied.

    503 where no stream has written yet, 404 where it knows no such client.
    """
    service = request.app.state.service
    found = service.lending.features_of(client_id, as_of or service.clock().date())
    if found is None:
        if service.lending.store.fact(EPOCH) is None:
            raise ProblemError(503, "no stream has written features yet; start it with: make stream")
        raise ProblemError(404, f"the stream knows no client {client_id}")
    return ClientFeaturesAnswer(
        client_id=client_id,
        as_of=found.as_of,
        features=found.values,
        is_client=found.is_known,
        applied_lsn=found.applied_lsn,
        applied_commit_at=found.committed_at,
        features_version=found.version,
    )
