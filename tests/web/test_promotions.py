"""Promotions over HTTP: a sign-up is scored, stored and known from then on; labels; the overview's figures."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.promotions.accounts import SignUp, Usage
from quintet.promotions.online_state import build_index
from quintet.promotions.service import PromotionsService
from quintet.state.keys import create_key
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from tests.web.service import ADMIN, build_app

SCORE, LABELS, OVERVIEW = "/v1/promotions/abuse-score", "/v1/promotions/labels", "/v1/promotions/overview"
NUMBERS = itertools.count(1)


def sign_up(**changes: Any) -> dict[str, Any]:
    """Return a sign-up that no other test uses."""
    number = next(NUMBERS)
    person = {"user_id": f"new-{number}", "email": f"new{number}@example.com", "device_id": f"device-{number}"}
    return person | {"created_at": "2026-01-01T10:00:00Z", "first_name": "Ana", "last_name": "Kovač"} | changes


def users_of(home: Path) -> list[dict[str, Any]]:
    with open_snapshot(current_snapshot(home / "serving")) as snapshot:
        rows = snapshot.sql("from marts.fct_promo_users join marts.fct_abuse_scores using (user_id) order by user_id")
        return rows.df().to_dict("records")  # type: ignore[return-value]


def test_a_sign_up_is_scored_with_everything_a_program_needs(client: TestClient) -> None:
    answer = client.post(SCORE, json=sign_up(usages=[{"promo_code": "no such code"}]))

    assert answer.status_code == 200, answer.text
    judged = answer.json()
    assert 0 <= judged["score"] <= 1
    assert judged["decision"] in ("allow", "review", "block")
    assert judged["is_new"] is True
    assert (judged["cluster_id"], judged["cluster_size"], judged["linked"]) == (None, 1, [])


def test_the_next_sign_up_on_the_same_device_is_linked_with_the_first(client: TestClient) -> None:
    first = sign_up(email="jo.smith@example.com")
    again = sign_up(email="jo.smith+2@example.com", device_id=first["device_id"], created_at="2026-01-01T10:05:00Z")
    client.post(SCORE, json=first)
    judged = client.post(SCORE, json=again).json()

    assert judged["linked"][0]["user_id"] == first["user_id"]
    assert set(judged["linked"][0]["shares"]) >= {"device", "email"}
    assert judged["cluster_size"] == 2
    assert judged["cluster_id"] == min(first["user_id"], again["user_id"])
    codes = {reason["code"] for reason in judged["reasons"]}
    assert {"DEVICE_SHARED_2", "EMAIL_SHARED_2"} <= codes
    assert all(reason["sentence"] for reason in judged["reasons"])


def test_the_answer_equals_the_index_over_the_same_users(client: TestClient, service_home: Path) -> None:
    index = build_index(current_snapshot(service_home / "serving"), [])
    assert index is not None
    known = next(row for row in users_of(service_home) if any("DEVICE_SHARED" in code for code in row["reasons"]))
    same = {name: known[name] for name in ("device_id", "ip_address", "email")}
    given = sign_up(created_at=known["created_at"].isoformat(), **same)
    used_at = known["created_at"].to_pydatetime() + dt.timedelta(minutes=1)
    use = {"promo_code": "7618", "used_at": used_at.isoformat()}
    judged = client.post(SCORE, json=given | {"usages": [use]}).json()
    alone = index.judge(SignUp.of(given), [Usage(given["user_id"], "7618", used_at)])

    assert judged["score"] == pytest.approx(alone.score, abs=1e-9)
    assert [reason["code"] for reason in judged["reasons"]] == [reason.code for reason in alone.reasons]
    assert judged["cluster_size"] == alone.cluster_size > 1


def test_a_user_sent_twice_is_stored_once(client: TestClient) -> None:
    given = sign_up()
    first, second = (client.post(SCORE, json=given).json() for _ in range(2))

    assert (first.pop("is_new"), second.pop("is_new")) == (True, False)
    assert second == first


def test_a_user_sent_twice_at_once_is_stored_once(client: TestClient) -> None:
    given, barrier = sign_up(), threading.Barrier(4)

    def send(_: int) -> dict[str, Any]:
        barrier.wait()
        return client.post(SCORE, json=given).json()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    twin = client.post(SCORE, json=sign_up(device_id=given["device_id"])).json()

    assert {answer["cluster_size"] for answer in answers} == {1}
    assert len([link for link in twin["linked"] if link["user_id"] == given["user_id"]]) == 1


ODD = {
    "no e-mail": {"email": None},
    "nothing but an id": {"email": None, "device_id": None, "first_name": None, "last_name": None},
    "a phone of 40 digits": {"phone": "1" * 40},
    "emoji": {"first_name": "😀", "last_name": "🎉🎉"},
    "an IPv6 address": {"ip_address": "2001:db8::7"},
    "a private address": {"ip_address": "10.0.0.7"},
    "no address at all": {"ip_address": "not an address"},
    "a NUL in a name": {"first_name": "A\x00na"},
}


@pytest.mark.parametrize("what", ODD)
def test_an_unusual_sign_up_is_scored(client: TestClient, what: str) -> None:
    answer = client.post(SCORE, json=sign_up(**ODD[what]))

    assert answer.status_code == 200, answer.text


WRONG = {
    "an unknown field": ({"e_mail": "a@example.com"}, "e_mail"),
    "no user": ({"user_id": None}, "user_id"),
    "a blank user": ({"user_id": "  "}, "user_id"),
    "a name that is a number": ({"first_name": 5}, "first_name"),
    "a moment that is none": ({"created_at": "yesterday"}, "created_at"),
    "a moment that is a number": ({"created_at": 5}, "created_at"),
    "a moment of another age": ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
    "born in the future": ({"dob": "2099-01-01"}, "dob"),
    "born in another age": ({"dob": "1899-12-31"}, "dob"),
    "a sign-up of the future": ({"created_at": "2099-01-01T00:00:00Z"}, "created_at"),
    "a use in the future": (
        {"usages": [{"promo_code": "A", "used_at": "2099-01-01T00:00:00Z"}]},
        "usages.0.used_at",
    ),
    "a text that is too long": ({"email": "a" * 400}, "email"),
    "a use without a code": ({"usages": [{"used_at": "2026-01-01T10:00:00Z"}]}, "promo_code"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_sign_up_is_refused_with_the_field_that_is_wrong(client: TestClient, what: str) -> None:
    changes, field = WRONG[what]
    answer = client.post(SCORE, json=sign_up(**changes))

    assert answer.status_code == 422
    assert field in answer.text


@pytest.fixture
def own_home(built_home: Path, tmp_path: Path) -> Path:
    """A home whose snapshots a test can replace."""
    (tmp_path / "serving").mkdir()
    shutil.copy(current_snapshot(built_home / "serving"), tmp_path / "serving" / "one.duckdb")
    (tmp_path / "serving" / "current.duckdb").symlink_to("one.duckdb")
    return tmp_path


@pytest.fixture
def own(own_home: Path) -> Iterator[TestClient]:
    with TestClient(build_app(own_home), headers=ADMIN) as client:
        yield client


def publish(home: Path, name: str, sql: str) -> None:
    """Publish a changed copy of the current snapshot."""
    file = home / "serving" / f"{name}.duckdb"
    shutil.copy(current_snapshot(home / "serving"), file)
    with duckdb.connect(str(file)) as connection:
        connection.execute(sql)
    link = home / "serving" / "beside"
    link.symlink_to(file.name)
    link.replace(home / "serving" / "current.duckdb")


def test_scored_users_are_known_after_a_restart(own: TestClient, own_home: Path) -> None:
    first = sign_up()
    own.post(SCORE, json=first)
    with TestClient(build_app(own_home), headers=ADMIN) as restarted:
        judged = restarted.post(SCORE, json=sign_up(device_id=first["device_id"])).json()
        again = restarted.post(SCORE, json=first).json()

    assert [link["user_id"] for link in judged["linked"]] == [first["user_id"]]
    assert again["is_new"] is False


def test_a_new_snapshot_is_loaded_and_scored_users_stay_known(own: TestClient, own_home: Path) -> None:
    first = sign_up()
    own.post(SCORE, json=first)
    publish(own_home, "two", "update ml.abuse_model set review_from = 0, block_from = 0")
    assert own.app.state.service.of(PromotionsService).index.refresh() is True  # type: ignore[attr-defined]
    judged = own.post(SCORE, json=sign_up(device_id=first["device_id"])).json()

    assert judged["decision"] == "block"
    assert [link["user_id"] for link in judged["linked"]] == [first["user_id"]]
    assert own.app.state.service.of(PromotionsService).index.refresh() is False  # type: ignore[attr-defined]


def test_no_sign_up_is_lost_while_snapshots_are_swapped(own: TestClient, own_home: Path) -> None:
    state, stop = own.app.state.service.of(PromotionsService).index, threading.Event()  # type: ignore[attr-defined]

    def swap() -> None:
        for number in itertools.count(1):
            if stop.is_set():
                return
            publish(own_home, f"swap{number}", "select 1")
            state.refresh()

    swapper = threading.Thread(target=swap)
    swapper.start()
    given = [sign_up() for _ in range(60)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: own.post(SCORE, json=one), given))
    stop.set()
    swapper.join()

    index = state.index()
    assert [one["user_id"] for one in given if index.add(SignUp(one["user_id"]))] == []


def test_an_unusable_snapshot_leaves_the_previous_index_in_place(own: TestClient, own_home: Path) -> None:
    own.post(SCORE, json=sign_up())
    publish(own_home, "broken", "update ml.abuse_model set content = '{}'")
    with pytest.raises(KeyError):
        own.app.state.service.of(PromotionsService).index.refresh()  # type: ignore[attr-defined]

    assert own.post(SCORE, json=sign_up()).status_code == 200


def test_without_a_snapshot_the_answer_says_what_to_do(tmp_path: Path) -> None:
    with TestClient(build_app(tmp_path), headers=ADMIN) as client:
        answer = client.post(SCORE, json=sign_up())

    assert answer.status_code == 503
    assert "make run" in answer.json()["detail"]
    assert answer.headers["retry-after"]


def test_without_a_model_the_answer_says_what_to_do(own_home: Path) -> None:
    publish(own_home, "empty", "delete from ml.abuse_model")
    with TestClient(build_app(own_home), headers=ADMIN) as client:
        answer = client.post(SCORE, json=sign_up())

    assert answer.status_code == 503
    assert "make run SELECT=promotions" in answer.json()["detail"]


def test_a_score_is_on_the_disk_when_it_is_returned(own: TestClient, own_home: Path) -> None:
    given = sign_up(usages=[{"promo_code": "7618"}])
    judged = own.post(SCORE, json=given).json()
    rows = own.app.state.service.store.read().execute("select * from abuse_judgements").fetchall()  # type: ignore[attr-defined]
    (row,) = [dict(row) for row in rows]

    assert json.loads(row["sign_up"])["email"] == given["email"]
    assert json.loads(row["usages"]) == [{"promo_code": "7618", "used_at": None}]
    assert (row["score"], row["decision"], row["model_version"]) == (
        judged["score"],
        judged["decision"],
        judged["model_version"],
    )
    assert own_home.joinpath("online").exists()


# -- labels ------------------------------------------------------------------------------------------------------------


def test_a_label_is_stored_and_the_same_again_changes_nothing(client: TestClient) -> None:
    given = sign_up()
    client.post(SCORE, json=given)
    label = {"user_id": given["user_id"], "is_abuser": True, "note": "same card"}
    first, second = client.post(LABELS, json=label), client.post(LABELS, json=label)

    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.json()["is_new"], second.json()["is_new"]) == (True, False)
    assert second.json()["labelled_at"] == first.json()["labelled_at"]


def test_a_contradicting_label_is_refused_and_replaced_on_request(client: TestClient) -> None:
    given = sign_up()
    client.post(SCORE, json=given)
    label = {"user_id": given["user_id"], "is_abuser": True}
    client.post(LABELS, json=label)
    refused = client.post(LABELS, json=label | {"is_abuser": False})
    replaced = client.post(LABELS, json=label | {"is_abuser": False, "replace": True})

    assert refused.status_code == 409
    assert "was labelled an abuser by QUINTET_ADMIN_KEY" in refused.json()["detail"]
    assert "`replace: true`" in refused.json()["detail"]
    assert replaced.status_code == 200
    assert (replaced.json()["is_abuser"], replaced.json()["replaced"]) == (False, True)


def test_a_label_that_contradicts_the_file_names_the_file(client: TestClient, service_home: Path) -> None:
    user = next(row for row in users_of(service_home) if row["is_abuser"])
    refused = client.post(LABELS, json={"user_id": user["user_id"], "is_abuser": False})

    assert refused.status_code == 409
    assert "the users file" in refused.json()["detail"]


def test_a_label_of_an_unknown_user_is_refused(client: TestClient) -> None:
    answer = client.post(LABELS, json={"user_id": "missing", "is_abuser": True})

    assert answer.status_code == 404
    assert "missing" in answer.json()["detail"]


# -- the overview ------------------------------------------------------------------------------------------------------


def test_the_overview_adds_up_to_the_marts(client: TestClient, service_home: Path) -> None:
    answer = client.get(OVERVIEW).json()
    with open_snapshot(current_snapshot(service_home / "serving")) as snapshot:
        ((users, usages),) = snapshot.execute(
            "select (select count(*) from marts.fct_promo_users), (select count(*) from marts.fct_promo_usages)"
        ).fetchall()

    assert sum(period["registrations"] for period in answer["timeline"]) == users
    assert sum(period["usages"] for period in answer["timeline"]) == usages
    assert sum(one["accounts"] for one in answer["score_histogram"]) == users
    assert sum(answer["decisions"].values()) == users
    assert answer["top_users"]["tied"] > 10, "a tie is said"
    assert client.get(OVERVIEW, params={"grain": "year"}).status_code == 422


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_every_grain_has_a_row_for_each_period(client: TestClient, grain: str) -> None:
    timeline = client.get(OVERVIEW, params={"grain": grain}).json()["timeline"]
    starts = [dt.date.fromisoformat(period["start"]) for period in timeline]
    steps = {(later - earlier).days for earlier, later in itertools.pairwise(starts)}

    assert steps <= {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}[grain]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [("POST", SCORE, "promotions:score"), ("POST", LABELS, "promotions:label"), ("GET", OVERVIEW, "promotions:read")],
)
def test_each_route_needs_its_own_scope(client: TestClient, method: str, path: str, scope: str) -> None:
    document = client.get("/openapi.json").json()
    assert method.lower() in document["paths"][path]
    others = [one for one in ("promotions:score", "promotions:label", "promotions:read") if one != scope]
    store = client.app.state.service.store  # type: ignore[attr-defined]
    _, text = create_key(store, "other", others, dt.datetime.now(dt.UTC), os.urandom)
    answer = client.request(method, path, json=sign_up(), headers={"authorization": f"Bearer {text}"})

    assert answer.status_code == 403
    assert scope in answer.json()["detail"]
