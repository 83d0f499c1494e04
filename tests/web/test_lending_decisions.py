"""Loan decisions over HTTP: decisions, refusals, and what happens when a dependency is missing."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quintet.change_log.change import Position
from quintet.change_log.completeness import Incomplete
from quintet.change_log.log import Epoch
from quintet.lending.decision_log import DecisionLog
from quintet.lending.feature_registry import features
from quintet.lending.online import COVERED_FROM, OnlineFeatures
from quintet.lending.policy import DEFAULT_POLICY
from quintet.lending.reproduce import main as reproduce_command
from quintet.lending.reproduce import reproduce_from_log
from quintet.lending.service import LendingService
from quintet.ml.model_registry import ModelRegistry
from quintet.state.features import FeatureStore
from tests.unit.lending.events import change
from tests.unit.lending.models import boosted, scorecard
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.lending_decisions import LOAN, NOW, PATH, an_application, apply, keep, serving
from tests.web.service import ADMIN_KEY

# -- what is decided -------------------------------------------------------------------------------------------------


def test_an_application_is_decided_and_recorded_with_its_inputs(lending: TestClient, own_home: Path) -> None:
    answer = lending.post(PATH, json=an_application())
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["decision"], body["reasons"]) == ("approve", [])
    assert (body["model_version"], body["policy_version"]) == (scorecard().version, "2026-11-1")
    expected = scorecard().score({"amount": 400.0, "late_payments_share": 0.0})
    assert (body["score"], body["points"]) == (expected.default_probability, expected.points)
    log = DecisionLog(own_home / "online")
    record = log.of_application(100)
    log.close()
    assert record is not None
    assert record.answer == answer.text
    figures = json.loads(record.figures)
    assert figures.keys() == {feature.name for feature in features()} | {"amount", "duration_days"}
    assert (figures["paid_loans_count"], figures["amount"]) == (1, 400.0)
    assert (record.applied_lsn, record.degraded_reason, record.asked_by) == (100, None, "QUINTET_ADMIN_KEY")


def test_reasons_against_approval_are_sentences(lending: TestClient) -> None:
    body = lending.post(PATH, json=an_application(amount=9_000.0)).json()
    assert body["decision"] == "refer"
    assert [reason["code"] for reason in body["reasons"]] == ["DEFAULT_RISK", "AMOUNT_LARGE"]
    assert all(reason["sentence"].endswith(".") for reason in body["reasons"])


def test_a_client_without_history_is_decided_by_policy_with_a_reason(lending: TestClient) -> None:
    body = lending.post(PATH, json=an_application(client_id=8)).json()
    assert (body["decision"], [reason["code"] for reason in body["reasons"]]) == ("approve", ["NO_HISTORY"])
    body = lending.post(PATH, json=an_application(101, client_id=8, amount=700.0)).json()
    assert (body["decision"], [reason["code"] for reason in body["reasons"]]) == ("refer", ["NO_HISTORY"])


@pytest.mark.usefixtures("online")
def test_a_challenger_decides_in_shadow(own_home: Path) -> None:
    registry = keep(own_home, boosted(), scorecard())
    registry.challenge(boosted().version)
    with serving(own_home) as client:
        body = client.post(PATH, json=an_application()).json()
        record = client.app.state.service.of(LendingService).decisions.log.of_application(100)
    assert body["model_version"] == scorecard().version
    shadow = json.loads(record.challenger)
    assert shadow["version"] == boosted().version
    assert shadow["score"] != body["score"]
    assert shadow["decision"] in ("approve", "refer", "reject")


# -- the features have to cover the application ----------------------------------------------------------------------


def test_a_decision_waits_until_the_stream_has_applied_the_commit(lending: TestClient, online: OnlineFeatures) -> None:
    late = {**LOAN, "status": "overdue", "updated_on": "2020-08-01"}
    later = threading.Timer(0.1, lambda: apply(online, 200, change(150, "loan", 2, late)))
    later.start()
    body = lending.post(PATH, json=an_application(commit_lsn="0/C8")).json()
    later.join()
    assert body["applied_lsn"] == 200
    assert [reason["code"] for reason in body["reasons"]] == ["OVERDUE_LOAN"]


def test_without_an_lsn_the_decision_waits_for_the_applications_row(
    lending: TestClient, online: OnlineFeatures
) -> None:
    own = {**LOAN, "status": "application", "amount": 400.0}
    later = threading.Timer(0.1, lambda: apply(online, 200, change(150, "loan", 100, own)))
    later.start()
    body = lending.post(PATH, json=an_application(commit_lsn=None)).json()
    later.join()
    assert (body["applied_lsn"], body["decision"]) == (200, "approve")


@pytest.mark.usefixtures("online")
def test_a_stalled_stream_refers_to_a_person_within_the_budget(own_home: Path) -> None:
    keep(own_home, scorecard())
    with serving(own_home, QUINTET_DECISION_SECONDS="0.1") as client:
        body = client.post(PATH, json=an_application(commit_lsn="0/C8")).json()
        record = client.app.state.service.of(LendingService).decisions.log.of_application(100)
    assert (body["decision"], body["score"]) == ("refer", None)
    assert [reason["code"] for reason in body["reasons"]] == ["INFORMATION_NOT_AVAILABLE"]
    assert "the stream had not applied" in record.degraded_reason
    assert record.waited_ms >= 50


def test_without_a_stream_the_application_is_referred(own_home: Path) -> None:
    keep(own_home, scorecard())
    with serving(own_home, QUINTET_DECISION_SECONDS="0.05") as client:
        assert client.post(PATH, json=an_application()).json()["decision"] == "refer"


# -- once, and the same again ----------------------------------------------------------------------------------------


def test_the_same_application_gets_the_same_answer_again(lending: TestClient, online: OnlineFeatures) -> None:
    first = lending.post(PATH, json=an_application())
    apply(online, 300, change(250, "loan", 2, {**LOAN, "status": "overdue"}))
    again = lending.post(PATH, json=an_application(commit_lsn=None, submitted_at=(NOW + dt.timedelta(1)).isoformat()))
    assert again.content == first.content
    other = lending.post(PATH, json=an_application(101, commit_lsn="0/12C"))
    assert other.json()["decision"] == "reject"


def test_last_weeks_request_sent_again_gets_last_weeks_answer(lending: TestClient, own_home: Path) -> None:
    first = lending.post(PATH, json=an_application())
    week_ago = (NOW - dt.timedelta(days=7)).isoformat()
    reproduced = lending.post(PATH, json=an_application(submitted_at=week_ago))
    assert (reproduced.status_code, reproduced.content) == (200, first.content)
    log = DecisionLog(own_home / "online")
    assert list(log.applications()) == [100]
    log.close()


def test_last_weeks_undecided_request_is_refused(lending: TestClient) -> None:
    week_ago = (NOW - dt.timedelta(days=7)).isoformat()
    answer = lending.post(PATH, json=an_application(submitted_at=week_ago))
    assert answer.status_code == 422
    assert "7.0 days ago" in answer.json()["detail"]
    assert answer.json()["errors"][0]["where"] == "body.submitted_at"
    assert lending.post(PATH, json=an_application()).status_code == 200


# -- the day of the application ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2101-01-01", "9999-12-31"])
def test_a_day_out_of_range_is_refused(lending: TestClient, day: str) -> None:
    answer = lending.post(PATH, json=an_application(applied_on=day))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.applied_on"
    assert "is not between 2000-01-01 and 2100-12-31" in answer.json()["detail"]


@pytest.mark.parametrize(("days", "status"), [(0, 200), (1, 200), (2, 422), (365, 422)])
def test_a_day_may_be_one_ahead(lending: TestClient, days: int, status: int) -> None:
    day = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).date().isoformat()
    answer = lending.post(PATH, json=an_application(applied_on=day))
    assert answer.status_code == status
    assert status == 200 or answer.json()["errors"][0]["where"] == "body.applied_on"


@pytest.mark.parametrize(
    ("day", "decision"), [("2000-01-01", "refer"), ("2019-12-30", "refer"), ("2020-08-24", "approve")]
)
def test_a_day_before_the_streams_history_is_referred_and_not_approved_as_no_history(
    lending: TestClient, day: str, decision: str
) -> None:
    body = lending.post(PATH, json=an_application(applied_on=day)).json()
    record = lending.app.state.service.of(LendingService).decisions.log.of_application(100)  # type: ignore[attr-defined]
    assert body["decision"] == decision
    if decision == "refer":
        assert [reason["code"] for reason in body["reasons"]] == ["INFORMATION_NOT_AVAILABLE"]
        assert f"applied_on {day} is before 2019-12-31" in record.degraded_reason
        assert record.features_version is None
    else:
        assert record.degraded_reason is None


def test_a_book_from_a_dump_is_covered_from_its_last_day(own_home: Path) -> None:
    online = OnlineFeatures(FeatureStore(own_home / "online"), features())
    at = "2026-11-30T00:00:00.000000Z"
    online.begin(Epoch("E", Position(0), Position(0), at, "1", dump="d" * 64, last_day="2020-08-23"))
    assert online.covered_from() == dt.date(2020, 8, 23)
    online.begin(Epoch("F", Position(0), Position(0), at, "1"))
    assert online.covered_from() == dt.date(2026, 11, 29)
    online.store.close()


def test_a_file_that_does_not_know_its_first_day_is_built_again(own_home: Path) -> None:
    online = OnlineFeatures(FeatureStore(own_home / "online"), features())
    online.begin(Epoch("E", Position(0), Position(0), "2026-11-30T00:00:00.000000Z", "1"))
    assert online.position("E") == Position(0)
    with online.store.change() as draft:
        draft.put_fact(COVERED_FROM, None)
    assert online.position("E") is None
    online.store.close()


@pytest.mark.parametrize(
    "other", [{"amount": 401.0}, {"client_id": 8}, {"duration_days": 31}, {"applied_on": "2020-08-25"}]
)
def test_the_same_id_with_another_body_is_a_conflict(lending: TestClient, other: dict[str, Any]) -> None:
    assert lending.post(PATH, json=an_application()).status_code == 200
    answer = lending.post(PATH, json=an_application(**other))
    assert answer.status_code == 409
    assert "a new id" in answer.json()["detail"]


def test_concurrent_requests_get_one_decision(own_home: Path, online: OnlineFeatures) -> None:
    keep(own_home, scorecard())
    answers: list[tuple[int, bytes]] = []
    with serving(own_home) as client:

        def ask(amount: float) -> None:
            answer = client.post(PATH, json=an_application(commit_lsn="0/C8", amount=amount))
            answers.append((answer.status_code, answer.content))

        threads = [threading.Thread(target=ask, args=(400.0,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        other = threading.Timer(0.05, ask, args=(500.0,))
        other.start()
        other.join()
        apply(online, 200)
        for thread in threads:
            thread.join()
        decided = list(client.app.state.service.of(LendingService).decisions.log.applications())
    assert sorted(status for status, _ in answers) == [200] * 6 + [409]
    assert len({content for status, content in answers if status == 200}) == 1
    assert decided == [100]


@pytest.mark.usefixtures("online")
def test_a_decision_survives_a_restart(own_home: Path) -> None:
    keep(own_home, scorecard())
    with serving(own_home) as client:
        first = client.post(PATH, json=an_application())
    with serving(own_home) as client:
        assert client.post(PATH, json=an_application()).content == first.content


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "where", "said"),
    [
        ({"client_id": None}, "body.client_id", "valid integer"),
        ({"client_id": 99}, "body.client_id", "has no client 99"),
        ({"amount": -5.0}, "body.amount", "greater than or equal to 0.01"),
        ({"amount": 0}, "body.amount", "greater than or equal to 0.01"),
        ({"amount": 1e12}, "body.amount", "less than or equal to 1000000"),
        ({"amount": "400"}, "body.amount", "valid number"),
        ({"duration_days": 0}, "body.duration_days", "greater than or equal to 1"),
        ({"application_id": 2**40}, "body.application_id", "less than or equal"),
        ({"submitted_at": "2026-01-01T10:00:00"}, "body.submitted_at", "the zone is missing"),
        ({"submitted_at": "2090-01-01T10:00:00Z"}, "body.submitted_at", "in the future"),
        ({"commit_lsn": "yesterday"}, "body.commit_lsn", "match pattern"),
        ({"income": 5_000}, "body.income", "not permitted"),
    ],
)
def test_a_bad_application_is_refused_with_its_field(
    lending: TestClient, other: dict[str, Any], where: str, said: str
) -> None:
    answer = lending.post(PATH, json=an_application(**other))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(fault["where"], said in fault["what"]) for fault in answer.json()["errors"]] == [(where, True)]
    assert lending.app.state.service.of(LendingService).decisions.log.of_application(100) is None


@pytest.mark.parametrize("field", ["application_id", "client_id", "amount", "duration_days", "submitted_at"])
def test_a_missing_field_is_named(lending: TestClient, field: str) -> None:
    given = an_application()
    del given[field]
    answer = lending.post(PATH, json=given)
    assert answer.status_code == 422
    assert [(fault["where"], fault["what"]) for fault in answer.json()["errors"]] == [
        (f"body.{field}", "Field required")
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b'{"application_id": NaN}'])
def test_a_body_that_is_not_an_application_is_refused(lending: TestClient, content: bytes) -> None:
    assert lending.post(PATH, content=content).status_code == 422


def test_deciding_needs_its_scope(lending: TestClient) -> None:
    assert lending.post(PATH, json=an_application(), headers={"authorization": "Bearer no"}).status_code == 401


# -- models and policy -----------------------------------------------------------------------------------------------


def broken(registry: ModelRegistry, version: str) -> None:
    path = registry.folder / f"{version}.json"
    path.write_text(path.read_text().replace('"base_points": 520', '"base_points": 999'))


@pytest.mark.usefixtures("online")
def test_a_broken_model_is_refused_at_start_and_the_last_good_one_serves(own_home: Path) -> None:
    registry = keep(own_home, boosted(), scorecard())
    broken(registry, scorecard().version)
    with serving(own_home) as client:
        body = client.post(PATH, json=an_application()).json()
        (fault,) = client.app.state.service.of(LendingService).decisions.serving.now.faults
    assert body["model_version"] == boosted().version
    assert scorecard().version in fault
    assert "the file was changed" in fault


@pytest.mark.usefixtures("online")
def test_without_a_valid_model_the_application_is_referred(own_home: Path) -> None:
    broken(keep(own_home, scorecard()), scorecard().version)
    with serving(own_home) as client:
        body = client.post(PATH, json=an_application()).json()
        record = client.app.state.service.of(LendingService).decisions.log.of_application(100)
        score = client.post("/v1/lending/score", json={"values": {}})
    assert body["decision"] == "refer"
    assert record.degraded_reason == "no scoring model is active"
    assert score.status_code == 503


@pytest.mark.usefixtures("online")
def test_a_model_whose_file_breaks_keeps_serving(own_home: Path) -> None:
    registry = keep(own_home, scorecard())
    with serving(own_home) as client:
        decisions = client.app.state.service.of(LendingService).decisions
        keep(own_home, boosted())
        broken_path = registry.folder / f"{boosted().version}.json"
        broken_path.write_text("{}")
        decisions.serving.refresh()
        assert client.post(PATH, json=an_application()).json()["model_version"] == scorecard().version
        keep(own_home, boosted())
        decisions.serving.refresh()
        assert client.post(PATH, json=an_application(101)).json()["model_version"] == boosted().version
        registry.roll_back()
        decisions.serving.refresh()
        assert client.post(PATH, json=an_application(102)).json()["model_version"] == scorecard().version


@pytest.mark.usefixtures("online")
def test_a_policy_with_an_unknown_feature_is_refused_with_its_line_and_the_last_policy_decides(own_home: Path) -> None:
    keep(own_home, scorecard())
    policy = own_home / "policy.toml"
    text = DEFAULT_POLICY.read_text("utf-8")
    policy.write_text(text)
    with serving(own_home, QUINTET_LENDING_POLICY=str(policy)):
        pass
    wrong = text.replace("overdue_loans_count", "overdue_loan_count").replace("2026-11-1", "2026-11-2")
    policy.write_text(wrong)
    with serving(own_home, QUINTET_LENDING_POLICY=str(policy)) as client:
        body = client.post(PATH, json=an_application()).json()
        (fault,) = client.app.state.service.of(LendingService).decisions.serving.now.faults
    assert body["policy_version"] == "2026-11-1"
    line = next(n for n, row in enumerate(wrong.splitlines(), start=1) if "overdue_loan_count" in row)
    assert f"line {line}: there is no figure overdue_loan_count" in fault


@pytest.mark.usefixtures("online")
def test_without_a_policy_nothing_is_decided(own_home: Path) -> None:
    with serving(own_home, QUINTET_LENDING_POLICY=str(own_home / "none.toml")) as client:
        answer = client.post(PATH, json=an_application())
    assert answer.status_code == 503
    assert "none.toml cannot be read" in answer.json()["detail"]


# -- the scoring endpoint --------------------------------------------------------------------------------------------


def test_the_active_model_scores(lending: TestClient) -> None:
    figures = {"amount": 400.0, "late_payments_share": None}
    body = lending.post("/v1/lending/score", json={"values": figures}).json()
    scored = scorecard().score(figures)
    assert body == {
        "default_probability": scored.default_probability,
        "points": scored.points,
        "reasons": list(scored.reasons),
        "model_version": scorecard().version,
    }


@pytest.mark.parametrize("body", [{"values": {"amount": 1.0}}, {"values": {"amount": "x"}}, {}, {"figures": {}}])
def test_a_score_without_all_inputs_is_refused(lending: TestClient, body: dict[str, Any]) -> None:
    assert lending.post("/v1/lending/score", json=body).status_code == 422


@contextmanager
def endpoint(answer: Callable[[], tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """An external scoring endpoint and the requests it got."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(str(self.headers["authorization"]))
            status, content = answer()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/score", asked
    finally:
        server.shutdown()
        server.server_close()


_SCORE = json.dumps({"default_probability": 0.3, "points": 524, "reasons": [], "model_version": "theirs-1"}).encode()


@pytest.mark.usefixtures("online")
def test_an_external_endpoint_can_score(own_home: Path) -> None:
    with endpoint(lambda: (200, _SCORE)) as (url, asked):
        settings = {"QUINTET_LENDING_SCORE_URL": url, "QUINTET_LENDING_SCORE_KEY": ADMIN_KEY}
        with serving(own_home, **settings) as client:
            body = client.post(PATH, json=an_application()).json()
            log = client.app.state.service.of(LendingService).decisions.log
            reproduced = reproduce_from_log(log, log.of_application(100))
    assert (body["decision"], body["score"], body["model_version"]) == ("refer", 0.3, "theirs-1")
    assert asked == [f"Bearer {ADMIN_KEY}"]
    assert reproduced.differences == ()


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (500, b"{}", "status 500"),
        (200, b"{}", "KeyError"),
        (200, b"no json", "JSONDecodeError"),
        (200, _SCORE.replace(b"0.3", b"1.3"), "not a number from 0 to 1"),
        (200, _SCORE.replace(b"0.3", b"NaN"), "not a number from 0 to 1"),
    ],
)
@pytest.mark.usefixtures("online")
def test_a_failing_endpoint_refers_to_a_person(own_home: Path, status: int, content: bytes, said: str) -> None:
    with (
        endpoint(lambda: (status, content)) as (url, _),
        serving(own_home, QUINTET_LENDING_SCORE_URL=url) as client,
    ):
        body = client.post(PATH, json=an_application()).json()
        record = client.app.state.service.of(LendingService).decisions.log.of_application(100)
    assert (body["decision"], body["score"]) == ("refer", None)
    assert said in record.degraded_reason


@pytest.mark.usefixtures("online")
def test_a_hanging_endpoint_is_given_up_and_then_skipped(own_home: Path) -> None:
    hangs = threading.Event()
    with (
        endpoint(lambda: (hangs.wait(LONG_SECONDS), (200, _SCORE))[1]) as (url, asked),
        serving(own_home, QUINTET_LENDING_SCORE_URL=url, QUINTET_LENDING_SCORE_SECONDS="0.3") as client,
    ):
        answers = [client.post(PATH, json=an_application(number)).json() for number in range(100, 110)]
        last = client.app.state.service.of(LendingService).decisions.log.of_application(109)
        wait_until(lambda: len(asked) >= 5)  # the last may be on its way when it is given up
        hangs.set()
    assert {answer["decision"] for answer in answers} == {"refer"}
    assert len(asked) == 5
    assert "is not called" in last.degraded_reason


# -- reproduce -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("online")
def test_every_decision_can_be_reproduced_bit_for_bit(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = keep(own_home, boosted())
    registry.challenge(None)
    with serving(own_home, QUINTET_DECISION_SECONDS="0.05") as client:
        for number, other in enumerate([{}, {"client_id": 8}, {"amount": 9_000.5}, {"commit_lsn": "0/FF"}]):
            assert client.post(PATH, json=an_application(200 + number, **other)).status_code == 200
    (registry.folder / f"{boosted().version}.json").unlink()  # the log has everything needed
    monkeypatch.setenv("QUINTET_HOME", str(own_home))
    assert reproduce_command([]) == 0
    assert "4 decisions reproduced, 4 bit for bit" in capsys.readouterr().out
    assert reproduce_command(["200"]) == 0
    assert '"application_id":200' in capsys.readouterr().out
    assert reproduce_command(["7"]) == 2


@pytest.mark.usefixtures("online")
def test_reproducing_a_tampered_decision_lists_the_differences(own_home: Path) -> None:
    keep(own_home, scorecard())
    with serving(own_home) as client:
        client.post(PATH, json=an_application())
        log = client.app.state.service.of(LendingService).decisions.log
        record = log.of_application(100)
        tampered = type(record)(**{**vars(record), "figures": record.figures.replace("400.0", "4000.0")})
        reproduced = reproduce_from_log(log, tampered)
    assert [difference.split(":")[0] for difference in reproduced.differences] == [
        "score",
        "decision",
        "reasons",
        "answer",
    ]


# -- tables that are not complete ------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["loan", "payment", "user"])
def test_an_incomplete_table_refers_with_its_reason_in_answer_log_and_page(
    lending: TestClient, online: OnlineFeatures, own_home: Path, table: str
) -> None:
    why = f"table public.{table} is not complete: it was renamed"
    found = Incomplete(f"public.{table}", Position(50), NOW.isoformat(), "it was renamed")
    online.mark_incomplete({found.table: found})
    body = lending.post(PATH, json=an_application()).json()
    assert (body["decision"], body["score"], body["degraded_reason"]) == ("refer", None, why)
    assert [reason["code"] for reason in body["reasons"]] == ["INFORMATION_NOT_AVAILABLE"]
    log = DecisionLog(own_home / "online")
    record = log.of_application(100)
    assert record is not None
    assert record.degraded_reason == why
    assert reproduce_from_log(log, record).differences == ()
    log.close()
    page = lending.get("/lending/decisions?application=100").text
    assert page.count("it was renamed") >= 2
    assert "Decided without features" in page
    assert lending.get("/v1/lending/clients/7/features").json()["incomplete"] == {table: why}


def test_a_table_that_is_incomplete_after_the_commit_changes_nothing(
    lending: TestClient, online: OnlineFeatures
) -> None:
    online.mark_incomplete({"public.loan": Incomplete("public.loan", Position(200), NOW.isoformat(), "it was renamed")})
    body = lending.post(PATH, json=an_application()).json()
    assert (body["decision"], body["degraded_reason"]) == ("approve", None)
    assert "Decided without features" not in lending.get("/lending/decisions?application=100").text


def test_a_record_of_before_answers_said_why_is_reproduced(lending: TestClient, own_home: Path) -> None:
    lending.post(PATH, json=an_application())
    log = DecisionLog(own_home / "online")
    record = log.of_application(100)
    assert record is not None
    answer = {name: value for name, value in json.loads(record.answer).items() if name != "degraded_reason"}
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    assert reproduce_from_log(log, replace(record, answer=text)).differences == ()
    assert reproduce_from_log(log, replace(record, answer=text.replace("approve", "reject"))).differences != ()
    log.close()
