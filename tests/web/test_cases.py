"""Cases over HTTP: who may see and change them, what a verdict does, and what the second of two people learns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quintet.cases.store import case_id_of
from quintet.payments import store as payment_store
from quintet.payments.incidents import RESOLVED, Incident, to_minute
from quintet.payments.silences import silences
from quintet.promotions.store import label_of
from quintet.state.audit import last_entries
from quintet.state.keys import create_key
from quintet.state.outbox import last_messages
from quintet.state.store import StateStore
from tests.unit.payments.teams import receiving
from tests.waiting import wait_until
from tests.web import lending_decisions
from tests.web.lending_decisions import an_application
from tests.web.service import ADMIN, build_app, items

STARTED = dt.datetime(2026, 1, 5, 3, 0)


def store_of(client: TestClient) -> StateStore:
    store: StateStore = client.app.state.service.store  # type: ignore[attr-defined]
    return store


def wait_for_case(client: TestClient, domain: str, subject_id: str) -> dict[str, Any]:
    kind = {"lending": "loan", "payments": "incident", "promotions": "account", "conversions": "pair"}[domain]
    path = f"/v1/cases/{case_id_of(domain, kind, subject_id)}"
    wait_until(lambda: client.get(path).status_code == 200, lambda: client.get("/v1/cases?state=any").text)
    found: dict[str, Any] = client.get(path).json()
    return found


def put_incident(store: StateStore, minute: int, state: str = RESOLVED, series: str = "denied") -> str:
    incident = Incident(
        series, state, minute, minute + 2, minute + 29, 10, "critical", 30.0, 10.0, 90, 5, "", "", minute + 30
    )
    with store.write() as connection:
        payment_store.save_incident(
            connection, incident.incident_id, payment_store.LIVE, list(incident), dt.datetime.now(dt.UTC)
        )
    return incident.incident_id


@pytest.fixture(scope="module")
def client(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service of the samples for these tests alone: their verdicts would disturb others."""
    home = tmp_path_factory.mktemp("cases")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    with TestClient(build_app(home), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def own(own_home: Path) -> Iterator[TestClient]:
    with TestClient(build_app(own_home), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def with_scopes(client: TestClient, *scopes: str) -> TestClient:
    _, text = create_key(store_of(client), f"key of {scopes}", scopes, dt.datetime.now(dt.UTC), bytes)
    return TestClient(client.app, headers={"authorization": f"Bearer {text}"}, raise_server_exceptions=False)


@pytest.mark.usefixtures("online")
def test_a_final_decision_on_a_loan_reaches_the_crm_once_and_its_page_shows_the_trace(own_home: Path) -> None:
    """Without a model the policy refers the application; the CRM is away at first."""
    with receiving(None) as crm:
        crm.failing = 503
        with lending_decisions.serving(own_home, QUINTET_CRM_WEBHOOK_URL=crm.url) as client:
            answer = client.post(lending_decisions.PATH, json=an_application(100))
            assert answer.json()["decision"] == "refer", answer.text
            case = wait_for_case(client, "lending", "100")
            assert (case["state"], case["priority"]) == ("open", 400.0)
            page = client.get(f"/cases/{case['case_id']}").text
            assert "Application 100, from raw data to outcome" in page
            path = f"/v1/cases/{case['case_id']}/decide"
            refused = client.post(path, json={"version": 1, "verdict": "approve"})
            assert refused.status_code == 422, refused.text
            assert "needs a reason" in refused.json()["detail"]
            given = {"version": case["version"], "verdict": "approve", "reason": "known for years"}
            for _ in range(2):
                done = client.post(path, json=given, headers={"Idempotency-Key": "once"})
                assert done.status_code == 200, done.text
            crm.failing = None
            wait_until(lambda: last_messages(store_of(client), 9, channels=["crm"])[0].state == "sent")
            (message,) = last_messages(store_of(client), 9, channels=["crm"])
            assert {name: message.body[name] for name in ("application_id", "decision", "reason")} == {
                "application_id": 100, "decision": "approve", "reason": "known for years",
            }  # fmt: skip
            assert "crm" not in client.get("/payments?day=live").text
            rows = store_of(client).read().execute("select decision, reason from loan_verdicts").fetchall()
            assert [tuple(row) for row in rows] == [("approve", "known for years")]


def test_an_expected_incident_is_silent_at_its_hours_of_the_week_until_the_verdict_changes(own: TestClient) -> None:
    store = store_of(own)
    incident_id = put_incident(store, to_minute(STARTED))
    case = wait_for_case(own, "payments", incident_id)
    path = f"/v1/cases/{case['case_id']}/decide"
    done = own.post(path, json={"version": 1, "verdict": "expected", "reason": "night batch"})
    assert done.status_code == 200, done.text
    now = dt.datetime.now(dt.UTC)
    (silence,) = silences(store, now)
    assert (silence.series, silence.comment) == ("denied", "night batch")
    assert silence.weekly == "mon 02:00-04:30"  # an hour before it began
    assert silence.starts_at <= now
    false = own.post(path, json={"version": 2, "verdict": "false"})
    assert false.status_code == 200, false.text
    assert silences(store, dt.datetime.now(dt.UTC)) == []
    verdicts = store.read().execute("select verdict from payment_verdicts order by verdict_id").fetchall()
    assert [row["verdict"] for row in verdicts] == ["expected", "false"]


def test_the_second_of_two_people_gets_409_with_the_name_of_the_first(own: TestClient) -> None:
    case = wait_for_case(own, "payments", put_incident(store_of(own), to_minute(STARTED)))
    ana = with_scopes(own, "payments:read", "cases:read", "cases:decide")
    path = f"/v1/cases/{case['case_id']}"
    assert ana.post(f"{path}/decide", json={"version": 1, "verdict": "true"}).status_code == 200
    late = own.post(f"{path}/decide", json={"version": 1, "verdict": "false"})
    assert late.status_code == 409
    assert "key of ('payments:read', 'cases:read', 'cases:decide') was first" in late.json()["detail"]
    assert own.get(path).json()["verdict"] == "true"
    form = {"cases": f"{case['case_id']}:1", "verdict": "false"}
    assert own.post("/cases/decide", data=form, follow_redirects=False).status_code == 409


@pytest.mark.parametrize(
    ("scopes", "reading", "deciding"),
    [
        (("cases:read", "payments:read"), 200, 403),
        (("cases:read", "cases:decide"), 403, 403),
        (("payments:read",), 403, 403),
        (("cases:read", "cases:decide", "payments:read"), 200, 200),
    ],
)
def test_a_reviewer_needs_the_scope_of_cases_and_of_the_business(
    own: TestClient, scopes: tuple[str, ...], reading: int, deciding: int
) -> None:
    case = wait_for_case(own, "payments", put_incident(store_of(own), to_minute(STARTED)))
    reviewer, path = with_scopes(own, *scopes), f"/v1/cases/{case['case_id']}"
    assert reviewer.get(path).status_code == reading
    assert reviewer.get(f"/cases/{case['case_id']}").status_code == reading
    assert reviewer.post(f"{path}/decide", json={"version": 1, "verdict": "true"}).status_code == deciding
    listed = reviewer.get("/v1/cases?state=any")
    if listed.status_code == 200:
        assert len(listed.json()["items"]) == (reading == 200)


def test_every_operation_is_in_the_audit_log(own: TestClient) -> None:
    case = wait_for_case(own, "payments", put_incident(store_of(own), to_minute(STARTED)))
    path = f"/v1/cases/{case['case_id']}"
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=5)).isoformat(timespec="seconds")
    assert own.post(f"{path}/assign", json={"version": 1, "owner": "Ana"}).json()["owner"] == "Ana"
    assert own.post(f"{path}/note", json={"note": "asked the bank"}).json()["version"] == 3
    assert own.post(f"{path}/snooze", json={"version": 3, "until": until}).json()["state"] == "snoozed"
    assert own.get("/v1/cases").json()["items"] == []
    assert own.post(f"{path}/decide", json={"version": 4, "verdict": "true"}).json()["state"] == "decided"
    found = [entry.action for entry in last_entries(store_of(own), 50) if case["case_id"] in entry.subject]
    assert found[-4:] == ["cases.assign", "cases.note", "cases.snooze", "cases.decide"]
    history = own.get(path).json()["history"]
    assert [one["action"] for one in history] == ["opened", "assigned", "noted", "snoozed", "decided"]


def test_a_withdrawn_incident_closes_its_case_and_refuses_a_verdict(own: TestClient) -> None:
    store, minute = store_of(own), to_minute(STARTED)
    case = wait_for_case(own, "payments", put_incident(store, minute))
    put_incident(store, minute, "withdrawn")
    path = f"/v1/cases/{case['case_id']}"
    wait_until(lambda: own.get(path).json()["state"] == "decided")
    refused = own.post(f"{path}/decide", json={"version": 2, "verdict": "true"})
    assert refused.status_code == 409
    assert "closed since" in refused.json()["detail"]


def test_cases_of_the_samples_are_listed_page_after_page_by_priority(client: TestClient) -> None:
    wait_until(lambda: {one["domain"] for one in items(client, "/v1/cases", page_size=1000)} >= {
        "promotions", "conversions", "lending", "payments",
    })  # fmt: skip
    found = items(client, "/v1/cases", page_size=97)
    assert len({one["case_id"] for one in found}) == len(found)
    priorities = [one["priority"] for one in found]
    assert priorities == sorted(priorities, reverse=True)
    accounts = [one for one in found if one["domain"] == "promotions"]
    assert accounts == items(client, "/v1/cases", domain="promotions", page_size=3)
    samples = [one for one in found if one["origin"] == "sample"]
    assert len(samples) == 25
    assert {one["share"] for one in samples} < {0.0, *(one["share"] for one in samples)}


def test_one_verdict_on_a_whole_cluster_labels_each_of_its_accounts(client: TestClient) -> None:
    wait_until(lambda: items(client, "/v1/cases", domain="promotions"))
    found = [one for one in items(client, "/v1/cases", domain="promotions") if one["group_id"]]
    group = [one for one in found if one["group_id"] == found[-1]["group_id"]]
    page = client.get(f"/cases/{group[0]['case_id']}").text
    assert page.count('name="cases"') == len(group) > 1
    form = {"cases": [f"{one['case_id']}:{one['version']}" for one in group], "verdict": "abuser", "reason": "one ring"}
    answer = client.post("/cases/decide", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    for one in group:
        label = label_of(store_of(client), one["subject_id"])
        assert label is not None
        assert (label.is_abuser, label.note) == (True, "one ring")
    unknown = client.post("/cases/decide", data=form | {"cases": [*form["cases"], f"{'0' * 16}:1"]})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("priority=much", "Priority from is"),
        ("state=odd", "State is"),
        ("age=3", "Age is"),
        ("domain=none", "Business is"),
    ],
)
def test_a_filter_that_cannot_be_used_says_so(client: TestClient, query: str, what: str) -> None:
    assert what in client.get(f"/cases?{query}").text
    assert what not in client.get("/cases?priority=1&state=decided&age=7&domain=lending").text


def test_every_kind_of_case_has_its_evidence(client: TestClient) -> None:
    wait_until(lambda: len({one["domain"] for one in items(client, "/v1/cases", page_size=1000)}) == 4)
    by_domain = {one["domain"]: one for one in items(client, "/v1/cases", page_size=1000)}
    expected = {
        "promotions": "Uses of codes",
        "conversions": "The two rows",
        "lending": "Probability of default",
        "payments": 'class="plot"',
    }
    for domain, part in expected.items():
        page = client.get(f"/cases/{by_domain[domain]['case_id']}")
        assert page.status_code == 200
        assert part in page.text, domain
        assert "cannot be" not in page.text
