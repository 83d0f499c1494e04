"""Files as answers: an answer with status 200 is complete, whatever fails and however slowly the client reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import Response, StreamingResponse

from quintet.web import middleware, problems
from quintet.web.file_answers import answer_complete, answer_file
from quintet.web.middleware import Metrics
from quintet.web.snapshots import Snapshots, TookTooLongError
from tests.waiting import wait_until

CSV = "text/csv"


def failing() -> Iterator[bytes]:
    yield b"agency_id,written_premium\n1,100.00\n"
    raise TookTooLongError("the query took longer than 10 s")


async def body_of(answer: Response) -> bytes:
    assert isinstance(answer, StreamingResponse)
    return b"".join([bytes(chunk) async for chunk in answer.body_iterator])  # type: ignore[arg-type]


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()

    @app.get("/complete")
    def complete() -> Response:
        return answer_complete(failing(), CSV, {})

    @app.get("/streamed")
    def streamed() -> Response:
        return StreamingResponse(failing(), media_type=CSV)

    middleware.install(app, Metrics(), most_bytes=1_000, longest_seconds=5)
    problems.install(app, lambda *_: None)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_file_that_fails_half_way_is_a_problem_and_not_a_shorter_file(client: TestClient) -> None:
    answer = client.get("/complete")

    assert (answer.status_code, answer.headers["content-type"]) == (503, problems.MEDIA_TYPE)
    assert "took longer than 10 s" in answer.json()["detail"]
    # the twin, as it was: the failure comes after the status, so nothing in the answer says that rows are missing
    assert client.get("/streamed").status_code == 200


@pytest.mark.parametrize("size", [0, 1, 3_000_000, 9_000_000])
def test_the_length_is_declared_and_correct(size: int) -> None:
    chunks = (b"x" * min(100_000, size - begin) for begin in range(0, size, 100_000))
    answer = answer_complete(chunks, CSV, {"x-snapshot": "run1"})

    assert answer.headers["content-length"] == str(size)
    assert answer.headers["x-snapshot"] == "run1"
    assert len(asyncio.run(body_of(answer))) == size


def numbers(snapshots: Snapshots) -> Iterator[bytes]:
    with snapshots.read() as snapshot:
        rows: Any = snapshot.cursor.execute("select range from range(100000)")
        while page := rows.fetchmany(1_000):
            yield b"".join(b"%d\n" % number for (number,) in page)


def test_a_client_that_reads_slowly_gets_every_row(serving: Any) -> None:
    serving.publish("run1")
    snapshots = Snapshots(serving.folder, longest_seconds=5)
    answer = answer_complete(numbers(snapshots), CSV, {})
    for version in (2, 3):  # the snapshot that was read is replaced and removed before the client reads
        serving.publish(f"run{version}")
    (serving.folder / "run1.duckdb").unlink()
    snapshots.close()

    assert asyncio.run(body_of(answer)).count(b"\n") == 100_000


def test_the_same_rows_streamed_from_a_cursor_are_cut_off(serving: Any) -> None:
    serving.publish("run1")
    snapshots = Snapshots(serving.folder, longest_seconds=0.2)
    streamed = numbers(snapshots)
    next(streamed)
    with pytest.raises(TookTooLongError):
        wait_until(lambda: next(streamed) is None)  # the client reads slowly until the limit ends it
    snapshots.close()


def test_a_file_replaced_while_it_is_sent_is_sent_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"old" * 200_000)
    answer = answer_file(path, "application/pdf", {})
    beside = tmp_path / "beside"
    beside.write_bytes(b"new")
    beside.replace(path)

    assert answer.headers["content-length"] == "600000"
    assert asyncio.run(body_of(answer)) == b"old" * 200_000


def test_a_missing_file_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        answer_file(tmp_path / "none.pdf", "application/pdf", {})
