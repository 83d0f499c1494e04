"""Liveness, readiness and metrics of the service."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.responses import Response

from quintet.warehouse.domain_states import domain_states
from quintet.web.problems import DECLARED
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = APIRouter(tags=["health"])
_guarded = guarded_router("metrics:read", tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Ready(BaseModel):
    """The service can answer from this snapshot."""

    status: str = Field(description="`degraded` if `faults` names something, else `ok`.", examples=["ok"])
    snapshot: str = Field(examples=["20260101T040000-1a2b3c4d"])
    published_at: str = Field(examples=["2026-01-01T04:00:00Z"])
    age_seconds: float = Field(examples=[3600.0])
    behind: dict[str, str] = Field(
        description="The domains whose tables are not those of the last build, each with when they were built and why.",
        examples=[{"insurance": "insurance is old, built 2026-01-01 04:00 UTC: the build of … did not succeed"}],
    )
    faults: list[str] = Field(
        description="Files that were refused, each with what is used instead.",
        examples=[["model 2 is refused: …: the file was changed after it was saved; model 1 is used instead"]],
    )


@router.get("/healthz", response_model=Alive)
async def healthz() -> Alive:
    """Check that the process answers; it checks nothing else."""
    return Alive(status="ok")


@router.get("/readyz", response_model=Ready, responses={503: DECLARED[503]})
def readyz(request: Request) -> Ready:
    """Check that there is a snapshot; return its age, old domains and refused files; or 503 with what to do."""
    service = service_of(request)
    with service.snapshots.read() as snapshot:
        age = service.clock().replace(tzinfo=None) - snapshot.published_at
        faults = [*filter(None, [snapshot.fault]), *(fault for part in service.domains for fault in part.faults())]
        return Ready(
            status="degraded" if faults else "ok",
            snapshot=snapshot.snapshot_id,
            published_at=f"{snapshot.published_at.isoformat()}Z",
            age_seconds=round(age.total_seconds(), 3),
            behind={
                name: state.sentence() for name, state in domain_states(snapshot.cursor).items() if not state.is_current
            },
            faults=faults,
        )


@_guarded.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' format."}},
)
def metrics(request: Request) -> Response:
    """Return the metrics of the service in the format of Prometheus."""
    return Response(generate_latest(service_of(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)


router.include_router(_guarded)
