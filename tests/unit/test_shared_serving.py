"""Snapshots shared through an object store: the whole new one or the former one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore

from quintet.change_log.log import ObjectStore, open_store
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.shared_serving import (
    POINTERS,
    SNAPSHOTS,
    Follower,
    SharedServingError,
    check_conditional_puts,
    latest,
    share,
)
from quintet.warehouse.snapshot import CURRENT
from tests.buckets import keys


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "bucket", mkdir=True)


class Site:
    """The build and one service, with what the service complained about."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self.build, self.serving = store, folder / "build", folder / "serving"
        self.build.mkdir()
        self.errors: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.follower = Follower(self.store, self.serving, 2, lambda error: self.errors.append(str(error)))

    def publish(self, name: str, text: str = "", accept_losses: bool = False, **rows: int) -> None:
        path = self.build / f"{name}.duckdb"
        path.write_text(text or name, "utf-8")
        share(self.store, path, rows or {"t": 10}, 2, accept_losses)

    def served(self) -> str:
        return (self.serving / CURRENT).read_text("utf-8")


@pytest.fixture
def site(store: ObjectStore, tmp_path: Path) -> Site:
    return Site(store, tmp_path)


def test_each_snapshot_is_fetched_once_and_old_ones_are_removed(site: Site) -> None:
    assert not site.follower.look(), "nothing is shared yet"
    for name in ("a", "b", "c"):
        site.publish(name)
        assert [site.follower.look(), site.follower.look()] == [True, False]
        assert site.served() == name
    site.restart()
    assert not site.follower.look()
    assert keys(site.store, SNAPSHOTS) == ["b.duckdb", "c.duckdb"]
    assert sorted(path.name for path in site.serving.glob("*.duckdb")) == ["b.duckdb", "c.duckdb", CURRENT]
    assert site.errors == []


@pytest.mark.parametrize("content", [b"", b"chopped", b"x" * 10_000])
def test_a_damaged_snapshot_is_refused_once_and_the_former_serves_on(site: Site, content: bytes) -> None:
    site.publish("a")
    site.follower.look()
    site.publish("b", text="b" * 5_000)
    obstore.put(site.store, f"{SNAPSHOTS}/b.duckdb", content)
    assert [site.follower.look() for _ in range(3)] == [False] * 3
    assert (site.served(), len(site.errors)) == ("a", 1)
    assert "b.duckdb of the bucket is damaged" in site.errors[0]
    assert not (site.serving / "b.duckdb").exists()
    site.publish("c")
    assert site.follower.look()
    assert site.served() == "c"


def test_a_shrunken_snapshot_is_refused_unless_the_loss_is_meant(site: Site) -> None:
    site.publish("a", t=10, u=10, empty=0)
    site.follower.look()
    for name, rows in (("lost", {"t": 10, "empty": 0}), ("few", {"t": 10, "u": 4, "empty": 0})):
        site.publish(name, **rows)
        site.restart()
        assert not site.follower.look()
        assert (site.served(), f"{name}.duckdb of the bucket has lost u" in site.errors[-1]) == ("a", True)
    site.publish("half", t=5, u=10, empty=0)
    assert site.follower.look(), "the twin"
    site.publish("meant", t=1, accept_losses=True)
    assert site.follower.look()


def test_of_two_builds_that_publish_at_once_one_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("a")
    site.publish("b")
    with monkeypatch.context() as late:
        late.setattr("quintet.shared_serving.last_number", lambda *_: 1)
        with pytest.raises(SharedServingError, match="another build has published snapshot number 2"):
            site.publish("c")
    site.follower.look()
    assert site.served() == "b"


def test_a_pointer_that_is_damaged_is_replaced_by_the_next_one(site: Site) -> None:
    site.publish("a")
    obstore.put(site.store, f"{POINTERS}/{2:012}.json", b"{")
    assert not site.follower.look()
    site.publish("b")
    assert site.follower.look()
    assert site.served() == "b"


@pytest.mark.parametrize("snapshot", ["../../etc/passwd", "b", ""])
def test_a_pointer_that_leads_elsewhere_is_refused(site: Site, snapshot: str) -> None:
    site.publish("a")
    pointer = latest(site.store)
    assert pointer is not None
    wrong = replace(pointer, number=2, snapshot=snapshot)
    obstore.put(site.store, f"{POINTERS}/{2:012}.json", json.dumps(asdict(wrong)).encode())
    assert not site.follower.look()
    assert "is no pointer to a snapshot" in site.errors[0]


def test_a_bucket_that_ignores_conditions_is_named(tmp_path: Path) -> None:
    with EmbeddedObjectStore(tmp_path / "objects") as server, pytest.raises(SharedServingError, match="If-None-Match"):
        check_conditional_puts(open_store(server.url))
    check_conditional_puts(MemoryStore())


def test_a_bucket_that_is_away_is_reported_once(tmp_path: Path) -> None:
    site = Site(open_store("http://key:secret-word@127.0.0.1:1/bucket", 2), tmp_path)
    assert [site.follower.look() for _ in range(2)] == [False, False]
    assert len(site.errors) == 1
    assert "secret-word" not in site.errors[0]
