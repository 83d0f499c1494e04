"""The embedded S3 server: it stores objects as files, requires its keys, survives a kill, and reports faults."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from quintet.embedded.object_store import EmbeddedObjectStore, running_url
from quintet.embedded.processes import EmbeddedServerError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedObjectStore]:
    with EmbeddedObjectStore(tmp_path / "objects") as server:
        yield server


def _client(url: str, secret: str | None = None) -> S3Store:
    parts = urllib.parse.urlsplit(url)
    return S3Store(
        parts.path.strip("/"),
        endpoint=f"http://{parts.hostname}:{parts.port}",
        access_key_id=parts.username,
        secret_access_key=secret or parts.password,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def test_an_object_can_be_read_by_key_and_as_a_file(store: EmbeddedObjectStore) -> None:
    client = _client(store.url)
    obstore.put(client, "a/b.txt", b"hello")
    assert bytes(obstore.get(client, "a/b.txt").bytes()) == b"hello"
    assert (store.objects / "a" / "b.txt").read_bytes() == b"hello"


def test_a_wrong_secret_is_refused(store: EmbeddedObjectStore) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        obstore.put(_client(store.url, secret="x" * 20), "a", b"1")
    assert not (store.objects / "a").exists()


def test_its_secret_is_not_among_its_arguments(store: EmbeddedObjectStore) -> None:
    secret = urllib.parse.urlsplit(store.url).password
    assert secret is not None
    assert secret.encode() not in Path(f"/proc/{store.pid}/cmdline").read_bytes()


def test_objects_and_url_survive_a_kill(store: EmbeddedObjectStore) -> None:
    url = store.url
    obstore.put(_client(url), "kept", b"1")
    store.kill()
    assert running_url(store.folder) is None
    assert store.start() == url
    assert bytes(obstore.get(_client(url), "kept").bytes()) == b"1"


def test_other_processes_find_its_url_while_it_runs(store: EmbeddedObjectStore, tmp_path: Path) -> None:
    assert running_url(store.folder) == store.url
    assert running_url(tmp_path / "elsewhere") is None


def test_a_second_server_in_the_folder_is_refused(store: EmbeddedObjectStore) -> None:
    with pytest.raises(EmbeddedServerError, match=f"as process {store.pid}"):
        EmbeddedObjectStore(store.folder).start()


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(EmbeddedServerError, match=r"it holds letters\.txt"):
        EmbeddedObjectStore(tmp_path).start()
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters.txt"]


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        EmbeddedObjectStore(tmp_path / "first") as first,
        pytest.raises(EmbeddedServerError, match="address already in use"),
    ):
        EmbeddedObjectStore(tmp_path / "second", port=int((first.folder / "port").read_text())).start()
