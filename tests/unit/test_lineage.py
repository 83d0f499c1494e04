"""OpenLineage events of a run, and how they are sent."""

from __future__ import annotations

import datetime as dt
import json

import httpx
import pytest

from quintet.lineage import Built, LineageError, events_of, send_events

AT = dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)
AGENCIES = Built(
    "insurance/dim_agency",
    ["insurance/stg"],
    AT,
    columns={"agency_id": "bigint"},
    sources={"agency_id": [("insurance/stg", "id")], "agencies": []},
    rows=20,
)


def test_an_event_names_the_table_its_inputs_columns_and_rows_and_its_run() -> None:
    [event] = events_of("run", "everything", [AGENCIES])
    assert (event["eventType"], event["eventTime"]) == ("COMPLETE", "2026-01-01T10:00:00+00:00")
    assert [one["name"] for one in event["inputs"]] == ["insurance/stg"]
    [output] = event["outputs"]
    assert output["facets"]["schema"]["fields"] == [{"name": "agency_id", "type": "bigint"}]
    assert output["facets"]["columnLineage"]["fields"] == {
        "agency_id": {"inputFields": [{"namespace": "quintet", "name": "insurance/stg", "field": "id"}]},
        "agencies": {"inputFields": []},
    }
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 20
    assert event["run"]["facets"]["parent"]["run"] == {"runId": "run"}


def test_a_table_that_failed_is_a_failure_without_columns_and_rows() -> None:
    [event] = events_of("run", "everything", [Built("a", [], AT, is_complete=False)])
    assert event["eventType"] == "FAIL"
    assert event["outputs"] == [{"namespace": "quintet", "name": "a", "facets": {}}]


def test_the_same_run_has_the_same_ids_and_another_run_others() -> None:
    first, again, other = (events_of(run, "j", [AGENCIES])[0]["run"]["runId"] for run in ("a", "a", "b"))
    assert first == again != other


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://marquez:5000", "/api/v1/lineage"),
        ("http://marquez:5000/prefix/", "/prefix/api/v1/lineage"),
        ("http://marquez:5000/api/v1/lineage", "/api/v1/lineage"),
    ],
)
def test_each_event_is_posted_to_the_service(url: str, asked: str) -> None:
    received: list[tuple[str, str]] = []

    def accept(request: httpx.Request) -> httpx.Response:
        received.append((request.url.path, json.loads(request.content)["job"]["name"]))
        return httpx.Response(201)

    send_events(url, events_of("r", "j", [AGENCIES]), httpx.Client(transport=httpx.MockTransport(accept)))
    assert received == [(asked, "insurance/dim_agency")]


@pytest.mark.parametrize("status", [0, 307, 401, 500])
def test_an_event_that_is_not_accepted_is_an_error_without_the_address(status: int) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status)

    client = httpx.Client(transport=httpx.MockTransport(refuse))
    with pytest.raises(LineageError, match="QUINTET_OPENLINEAGE_URL") as fault:
        send_events("http://me:hidden@host", events_of("r", "j", [AGENCIES]), client)
    assert "hidden" not in str(fault.value)
