"""Builds as OpenLineage events: which table a run made from which tables, for a catalogue of lineage."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin

import httpx

from quintet.http_client import http_client

NAMESPACE = "quintet"
_PRODUCER = "urn:quintet"
_SCHEMAS = "https://openlineage.io/spec/"
_IDS = uuid.UUID("5ab8c8f2-54b1-4f3c-9a55-3f1d5c2a7c10")
_SECONDS = 10.0


class LineageError(Exception):
    """Events were not accepted; the text says why and holds no address, which can contain a secret."""


@dataclass(frozen=True)
class Built:
    """A table that a run built, or failed to build.

    name: as Dagster shows it, such as `insurance/dim_agency`. inputs: the tables it is made from. columns: by name, the
    type; empty where unknown. sources: by column, the tables and columns that it is computed from. rows: None where
    unknown.
    """

    name: str
    inputs: Sequence[str]
    at: dt.datetime
    is_complete: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    rows: int | None = None


def events_of(run_id: str, job: str, built: Iterable[Built]) -> list[dict[str, Any]]:
    """Return the OpenLineage run events of a run, one for each table.

    The same run gives the same ids, so that events that are sent again are no second run.
    """
    return [_event(run_id, job, one) for one in built]


def send_events(url: str, events: Sequence[Mapping[str, Any]], client: httpx.Client | None = None) -> None:
    """Send events to an OpenLineage service, such as Marquez. url: its address, with or without `api/v1/lineage`.

    Raises LineageError for the first event that is not accepted; those before it were.
    """
    address = url if url.rstrip("/").endswith("lineage") else urljoin(f"{url.rstrip('/')}/", "api/v1/lineage")
    with client or http_client(timeout=_SECONDS) as session:
        for event in events:
            _send(session, address, event)


def _send(session: httpx.Client, address: str, event: Mapping[str, Any]) -> None:
    what = f"the event of {event['job']['name']}"
    try:
        answer = session.post(address, content=json.dumps(event), headers={"content-type": "application/json"})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LineageError(f"{what} could not be sent to QUINTET_OPENLINEAGE_URL: {type(error).__name__}") from None
    if not answer.is_success:
        raise LineageError(f"{what} was refused by QUINTET_OPENLINEAGE_URL: {answer.status_code}")


def _event(run_id: str, job: str, built: Built) -> dict[str, Any]:
    kind: Literal["COMPLETE", "FAIL"] = "COMPLETE" if built.is_complete else "FAIL"
    facets: dict[str, Any] = {}
    if built.columns:
        fields = [{"name": name, "type": data_type} for name, data_type in built.columns.items()]
        facets["schema"] = _facet("facets/1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", fields=fields)
    if built.sources:
        inputs = {
            column: {"inputFields": [{"namespace": NAMESPACE, "name": table, "field": one} for table, one in sources]}
            for column, sources in built.sources.items()
        }
        lineage = "facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
        facets["columnLineage"] = _facet(lineage, fields=inputs)
    output: dict[str, Any] = {"namespace": NAMESPACE, "name": built.name, "facets": facets}
    if built.rows is not None:
        statistics = "facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet"
        output["outputFacets"] = {"outputStatistics": _facet(statistics, rowCount=built.rows)}
    parent = {"run": {"runId": run_id}, "job": {"namespace": NAMESPACE, "name": job}}
    return {
        "eventType": kind,
        "eventTime": built.at.astimezone(dt.UTC).isoformat(),
        "producer": _PRODUCER,
        "schemaURL": f"{_SCHEMAS}2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {
            "runId": str(uuid.uuid5(_IDS, f"{run_id} {built.name}")),
            "facets": {"parent": _facet("facets/1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet", **parent)},
        },
        "job": {"namespace": NAMESPACE, "name": built.name},
        "inputs": [{"namespace": NAMESPACE, "name": name} for name in built.inputs],
        "outputs": [output],
    }


def _facet(schema: str, **content: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SCHEMAS}{schema}", **content}
