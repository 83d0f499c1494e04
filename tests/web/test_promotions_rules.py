"""Rules of promotions over HTTP and on the page: tested, saved, run in shadow, and decided by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quintet.promotions.service import PromotionsService
from quintet.rules.store import RuleChange, record_change

RULES, PAGE, SCORE = "/v1/promotions/rules", "/promotions/rules", "/v1/promotions/abuse-score"
LIST = """
[[list]]
name = "domains"
figure = "email"
matches = "email_domain"
action = "block"
sentence = "The e-mail domain is on our list."
"""


def text(version: str, when: str = 'first_name = "nobody"', decision: str = "review") -> str:
    return (
        f'version = "{version}"\n{LIST}\n[[rule]]\nwhen = \'{when}\'\ndecision = "{decision}"\n'
        'code = "CHOSEN"\nsentence = "A person chose this."\n'
    )


@pytest.fixture(autouse=True)
def without_rules(client: TestClient) -> Iterator[None]:
    """Begin and end each test without rules that decide; other tests share the service."""
    _end_rules(client)
    yield
    _end_rules(client)


def _end_rules(client: TestClient) -> None:
    service = client.app.state.service  # type: ignore[attr-defined]
    for action in ("activate", "shadow", "drop"):
        empty = RuleChange("promotions", action, "none", 'version = "none"\n', service.clock(), "test")  # type: ignore[arg-type]
        record_change(service.store, empty)
    service.of(PromotionsService).index.refresh_rules()


def score(client: TestClient, user_id: str, **fields: Any) -> dict[str, Any]:
    return client.post(SCORE, json={"user_id": user_id, "created_at": "2026-01-01T10:00:00Z", **fields}).json()


def test_a_backtest_says_what_would_change_and_saves_nothing(client: TestClient) -> None:
    found = client.post(f"{RULES}/backtest", json={"text": text("t1", "score >= 0", "review")}).json()

    assert found["subjects"] == sum(found["after"].values()) > 100
    assert found["after"] == {"allow": 0, "review": found["subjects"], "block": 0}
    assert {(move["before"], move["after"]) for move in found["moves"]} <= {("allow", "review"), ("block", "review")}
    assert found["rules"] == [
        {"code": "LIST_DOMAINS", "subjects": 0},
        {"code": "CHOSEN", "subjects": found["subjects"]},
    ]
    move = found["moves"][0]
    assert move["subjects"] == move["confirmed"] + move["honest"] + move["unlabelled"]
    assert all(1 <= len(ids) <= 10 for label, ids in move["samples"].items() if move[label])
    assert client.get(RULES).json()["active"]["version"] == "none"


def test_saved_rules_decide_the_next_sign_up(client: TestClient) -> None:
    kept = client.post(RULES, json={"text": text("t2"), "note": "names that nobody has"})
    assert kept.status_code == 200, kept.text
    assert (kept.json()["version"], kept.json()["note"]) == ("t2", "names that nobody has")

    chosen = score(client, "rules-1", first_name="Nobody")
    assert chosen["decision"] == "review"
    assert {"code": "CHOSEN", "sentence": "A person chose this."} in chosen["reasons"]
    assert score(client, "rules-2", first_name="Somebody")["decision"] == "allow"


def test_an_entry_of_a_list_decides_at_once(client: TestClient) -> None:
    client.post(RULES, json={"text": text("t3")})
    changed = client.post(f"{RULES}/lists/domains/entries", json={"entries": [{"entry": "Evil.example"}]})
    assert changed.json() == {"written": 1, "entries": 1}
    judged = score(client, "rules-3", email="x@mail.evil.example")
    assert (judged["decision"], judged["reasons"][0]["code"]) == ("block", "LIST_DOMAINS")

    client.post(f"{RULES}/lists/domains/entries", json={"entries": [{"entry": "evil.example", "is_member": False}]})
    assert score(client, "rules-4", email="y@mail.evil.example")["reasons"][:1] != judged["reasons"][:1]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"text": text("t4", "sise > 3")}, 422, "line 11: there is no figure sise"),
        ({"text": text("t4", "uses > 3 and uses < 2")}, 422, "line 11: CHOSEN can never hold: uses > 3 and uses < 2"),
        ({"text": 'version = "t4'}, 422, "line 1"),
        ({"text": text("none")}, 422, "was saved with another text"),
        ({"text": text("t4", "score >= 0", "block")}, 409, "more than 5%"),
    ],
)
def test_rules_that_cannot_be_saved_are_refused_with_the_line(
    client: TestClient, given, status: int, said: str
) -> None:
    refused = client.post(RULES, json=given)
    assert refused.status_code == status
    assert said in refused.json()["detail"]
    page = client.post(PAGE, data=given | {"mode": "activate"})
    assert page.status_code == status
    assert said in page.text.replace("&gt;", ">").replace("&lt;", "<")
    assert client.get(RULES).json()["active"]["version"] == "none"


def test_rules_that_block_much_are_saved_when_confirmed(client: TestClient) -> None:
    given = {"text": text("t5", "score >= 0", "block")}
    assert client.post(RULES, json=given).status_code == 409
    assert client.post(RULES, json=given | {"confirmed": True}).status_code == 200
    assert score(client, "rules-5")["decision"] == "block"


def test_rules_in_shadow_log_what_they_would_decide(client: TestClient) -> None:
    client.post(RULES, json={"text": text("t6", 'last_name = "shadow"', "block"), "mode": "shadow"})
    assert score(client, "rules-6", last_name="Shadow")["decision"] == "allow"
    score(client, "rules-7", last_name="Light")
    found = client.get(f"{RULES}/shadow").json()

    assert (found["version"], found["judged"]) == ("t6", 2)
    assert found["moves"] == [{"decision": "allow", "shadow_decision": "block", "verdicts": 1}]
    assert (found["last"][0]["user_id"], found["last"][0]["codes"]) == ("rules-6", ["CHOSEN"])
    page = client.get(PAGE).text
    assert "runs in shadow since" in page
    assert "of 2 sign-ups it would have decided 1 otherwise" in page

    assert client.post(f"{RULES}/shadow/drop", json={}).json()["version"] == "t6"
    assert client.get(f"{RULES}/shadow").status_code == 404
    assert client.post(f"{RULES}/shadow/drop", json={}).status_code == 404


@pytest.mark.parametrize(
    ("name", "entry", "status", "said"),
    [
        ("domains", "no domain", 422, "entry 1: no domain is no domain"),
        ("nets", "10.0.0.0/8", 404, "there is no list nets; there are domains"),
    ],
)
def test_entries_that_do_not_fit_are_refused(client: TestClient, name: str, entry: str, status: int, said: str) -> None:
    client.post(RULES, json={"text": text("t7")})
    refused = client.post(f"{RULES}/lists/{name}/entries", json={"entries": [{"entry": entry}]})
    assert refused.status_code == status
    assert said in refused.json()["detail"]


def test_the_page_tests_and_saves_what_the_api_does(client: TestClient) -> None:
    given = {"text": text("t8", "score >= 0").replace("\n", "\r\n"), "note": "from the page"}
    tested = client.post(f"{PAGE}/backtest", data=given)
    assert tested.status_code == 200
    assert "Would go to review" in tested.text
    assert "to review" in tested.text
    saved = client.post(PAGE, data=given | {"mode": "activate"}, follow_redirects=True)
    assert saved.status_code == 200
    active = client.get(RULES).json()["active"]
    assert (active["version"], active["note"], "\r" in active["text"]) == ("t8", "from the page", False)


def test_markup_in_rules_is_shown_as_text(client: TestClient) -> None:
    hostile = text("t9").replace("A person chose this.", "<script>alert(1)</script>")
    assert "<script>alert(1)" not in client.post(f"{PAGE}/backtest", data={"text": hostile}).text
    assert client.post(f"{PAGE}/backtest", data={"text": "</textarea><script>alert(1)"}).status_code == 422
