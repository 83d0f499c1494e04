"""Reports, models and policies shared through an object store: a whole release, or the former one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from quintet.settings import load_settings
from quintet.shared_files import CONTENTS, RELEASES, FileFollower, files_of, share, share_files
from quintet.shared_serving import SharedServingError, sha256_of
from tests.buckets import keys

INDEX, MODEL, POLICY, REPORT = "models/m/index.json", "models/m/one.json", "policy/p.toml", "reports/r.pdf"


class Machines:
    """A build and a service without a disk in common."""

    def __init__(self, folder: Path) -> None:
        self.store, self._build, self.fetched = MemoryStore(), folder / "build", folder / "fetched"
        self.errors: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.follower = FileFollower(self.store, self.fetched, lambda error: self.errors.append(str(error)))

    def share(self, files: dict[str, str], accept_losses: bool = False) -> int:
        for name, text in files.items():
            path = self._build / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text("utf-8") != text:
                path.write_text(text, "utf-8")
        return share(self.store, {name: self._build / name for name in files}, accept_losses).number

    def served(self) -> dict[str, str]:
        found = [path for path in self.fetched.rglob("*") if path.is_file() and path.name != "fetched.json"]
        return {str(path.relative_to(self.fetched)): path.read_text("utf-8") for path in found}


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


FIRST = {INDEX: "1", MODEL: "one", POLICY: "p", REPORT: "r"}


def test_a_release_is_fetched_whole_once_and_replaces_the_former(machines: Machines) -> None:
    assert not machines.follower.look(), "nothing is shared yet"
    assert machines.share(FIRST) == 1
    assert [machines.follower.look(), machines.follower.look()] == [True, False]
    assert machines.served() == FIRST
    second = {INDEX: "2", MODEL: "one", "models/m/two.json": "two", POLICY: "p"}
    assert machines.share(second) == 2
    machines.restart()
    assert machines.follower.look()
    assert machines.served() == second, "a report that is no longer there is removed"
    assert machines.errors == []


def test_what_has_not_changed_is_not_shared_again(machines: Machines) -> None:
    assert [machines.share(FIRST) for _ in range(3)] == [1, 1, 1]
    assert machines.share(FIRST | {REPORT: "new"}) == 2, "the twin"
    contents = keys(machines.store, CONTENTS)
    assert len(contents) == 5, "an unchanged file is uploaded once"


def test_the_time_of_a_report_is_that_of_the_build(machines: Machines) -> None:
    machines.share(FIRST)
    os.utime(machines._build / REPORT, (1_000_000, 1_000_000))
    machines.share(FIRST)
    machines.follower.look()
    assert (machines.fetched / REPORT).stat().st_mtime == 1_000_000


@pytest.mark.parametrize("content", [b"", b"chopped", b"x" * 10_000])
def test_a_damaged_file_is_refused_and_every_file_of_the_former_release_stays(
    machines: Machines, content: bytes
) -> None:
    machines.share(FIRST)
    machines.follower.look()
    machines.share(FIRST | {INDEX: "2", POLICY: "a policy that is damaged on its way"})
    obstore.put(machines.store, f"{CONTENTS}/{sha256_of(machines._build / POLICY)}", content)
    assert [machines.follower.look() for _ in range(3)] == [False] * 3
    assert machines.served() == FIRST
    assert len(machines.errors) == 1
    assert "policy/p.toml of the bucket is damaged" in machines.errors[0]
    machines.share(FIRST | {INDEX: "3"})
    assert machines.follower.look(), "the next release is fetched"
    assert machines.served() == FIRST | {INDEX: "3"}


def test_a_damaged_object_that_is_removed_is_uploaded_again_and_fetched(machines: Machines) -> None:
    machines.share(FIRST)
    key = f"{CONTENTS}/{sha256_of(machines._build / MODEL)}"
    obstore.put(machines.store, key, b"other")
    assert not machines.follower.look()
    assert key in machines.errors[0]
    obstore.delete(machines.store, key)
    machines.share(FIRST)
    assert machines.follower.look()
    assert machines.served() == FIRST


def test_a_list_that_is_damaged_is_replaced_by_the_next_one(machines: Machines) -> None:
    machines.share(FIRST)
    obstore.put(machines.store, f"{RELEASES}/{2:012}.json", b"{")
    assert not machines.follower.look()
    assert machines.share(FIRST) == 3
    assert machines.follower.look()
    assert machines.served() == FIRST


def test_a_release_without_a_model_or_policy_is_refused_unless_the_loss_is_meant(machines: Machines) -> None:
    machines.share(FIRST)
    machines.follower.look()
    without = {name: text for name, text in FIRST.items() if name != POLICY}
    machines.share(without)
    assert not machines.follower.look()
    assert (machines.served(), len(machines.errors)) == (FIRST, 1)
    assert "has lost policy/p.toml" in machines.errors[0]
    machines.share(without | {REPORT: "later"}, accept_losses=True)
    assert machines.follower.look()


def test_a_fetch_that_was_killed_half_way_is_completed(machines: Machines) -> None:
    machines.share(FIRST)
    machines.follower.look()
    machines.share(FIRST | {MODEL: "changed", POLICY: "new"})
    (machines.fetched / MODEL).write_text("changed", "utf-8")  # the first of two files was in its place
    (machines.fetched / ".arriving").mkdir()
    (machines.fetched / ".arriving" / "rest").write_text("left", "utf-8")
    machines.restart()
    assert machines.follower.look()
    assert machines.served() == FIRST | {MODEL: "changed", POLICY: "new"}


def test_a_disk_that_was_wiped_is_filled_again(machines: Machines) -> None:
    machines.share(FIRST)
    machines.follower.look()
    (machines.fetched / MODEL).unlink()
    machines.restart()
    assert machines.follower.look()
    assert machines.served() == FIRST


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../outside": {"bytes": 1, "sha256": "a" * 64, "written_at": 1.0}}},
        {"files": {"policy/.hidden": {"bytes": 1, "sha256": "a" * 64, "written_at": 1.0}}},
        {"files": {POLICY: {"bytes": 1, "sha256": "../../x", "written_at": 1.0}}},
        {"files": {POLICY: {"bytes": -1, "sha256": "a" * 64, "written_at": 1.0}}},
        {"files": [POLICY]},
        {"number": 7},
    ],
)
def test_a_list_that_leads_elsewhere_is_refused(machines: Machines, change: dict[str, Any]) -> None:
    machines.share(FIRST)
    key = f"{RELEASES}/{2:012}.json"
    given = json.loads(bytes(obstore.get(machines.store, f"{RELEASES}/{1:012}.json").bytes()))
    obstore.put(machines.store, key, json.dumps(given | {"number": 2} | change).encode())
    assert not machines.follower.look()
    assert "is no list of files" in machines.errors[0]
    assert machines.served() == {}


def test_old_releases_and_what_only_they_have_are_removed(machines: Machines) -> None:
    for number in range(6):
        machines.share(FIRST | {REPORT: f"report {number}"})
    assert len(keys(machines.store, RELEASES)) == 3
    assert len(keys(machines.store, CONTENTS)) == 3 + 3, "three files that all have, and three reports"
    assert machines.follower.look()
    assert machines.served() == FIRST | {REPORT: "report 5"}


def test_of_two_machines_that_share_at_once_one_is_refused(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    machines.share(FIRST)
    machines.share(FIRST | {REPORT: "b"})
    with monkeypatch.context() as late:
        late.setattr("quintet.shared_files.last_number", lambda *_: 1)
        with pytest.raises(SharedServingError, match="another machine has shared its files meanwhile, as release 2"):
            machines.share(FIRST | {REPORT: "c"})


def test_the_files_of_a_home_are_shared_by_its_settings(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("reports/review.pdf", "models/lending_scoring/index.json", "models/other/x.json", "reports/.part"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name, "utf-8")
    alone = load_settings({"QUINTET_HOME": str(home)})
    assert share_files(alone) is None
    assert files_of(alone).keys() == {"reports/review.pdf", "models/lending_scoring/index.json", "policy/lending.toml"}
    release = share_files(load_settings({"QUINTET_HOME": str(home), "QUINTET_SERVING_URL": f"file://{tmp_path}/b"}))
    assert release is not None
    assert release.files.keys() == files_of(alone).keys()


def test_a_bucket_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = "http://key:secret-word@127.0.0.1:1/bucket"
    with pytest.raises(SharedServingError, match="QUINTET_SERVING_URL cannot be written") as raised:
        share_files(load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_SERVING_URL": url}))
    assert "secret-word" not in str(raised.value)
