"""The notice of a rejected application over HTTP, from the page of the application to the letter."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quintet.cases.kind import Subject
from quintet.cases.store import case_id_of, insert
from tests.waiting import wait_until
from tests.web import lending_decisions
from tests.web.lending_decisions import an_application

PATH = "/v1/lending/applications/{}/notice"


@pytest.mark.usefixtures("online")
def test_a_rejection_by_a_person_has_a_notice_with_that_person_s_reason(own_home: Path) -> None:
    """Without a model the policy refers the application, which is no rejection."""
    with lending_decisions.serving(own_home, QUINTET_LENDER_NAME="Savings & <Loans>") as client:
        assert client.get(PATH.format(100)).status_code == 404
        assert client.post(lending_decisions.PATH, json=an_application(100)).json()["decision"] == "refer"
        refused = client.get(PATH.format(100))
        assert (refused.status_code, "only a rejected one" in refused.json()["detail"]) == (409, True)
        case = f"/v1/cases/{case_id_of('lending', 'loan', '100')}"
        wait_until(lambda: client.get(case).status_code == 200)
        given = {"version": client.get(case).json()["version"], "verdict": "reject", "reason": "no income"}
        assert client.post(f"{case}/decide", json=given).status_code == 200

        found = client.get(PATH.format(100)).json()
        assert (found["reasons"], found["decided_by"]) == (["No income."], "a person")
        letter = client.get(PATH.format(100) + "?format=pdf")
        assert letter.headers["content-type"] == "application/pdf"
        assert letter.content.startswith(b"%PDF-")
        assert client.get(PATH.format(100) + "?format=pdf").content == letter.content
        again = given | {"version": given["version"] + 1, "verdict": "approve"}
        assert client.post(f"{case}/decide", json=again).status_code == 200
        assert client.get(PATH.format(100)).status_code == 409


@pytest.mark.usefixtures("online")
def test_a_person_s_rejection_has_its_notice_after_the_application_is_closed(own_home: Path) -> None:
    """No log has a decision of it, and the snapshot has open applications only."""
    with lending_decisions.serving(own_home) as client:
        store = client.app.state.service.store  # type: ignore[attr-defined]
        subjects = [Subject(str(number), "An application", "why", 1.0, person_id="7") for number in (200, 201)]
        with store.write() as connection:
            insert(connection, ("lending", "loan"), "client", subjects, dt.datetime.now(dt.UTC))
        given = {"version": 1, "verdict": "reject", "reason": "no income"}
        path = f"/v1/cases/{case_id_of('lending', 'loan', '200')}/decide"
        assert client.post(path, json=given).status_code == 200

        found = client.get(PATH.format(200)).json()
        assert (found["client_id"], found["reasons"], found["amount"]) == (7, ["No income."], None)
        assert client.get(PATH.format(200) + "?format=pdf").content.startswith(b"%PDF-")
        assert client.get(PATH.format(201)).status_code == 404


def test_the_page_of_a_rejected_application_of_a_build_links_to_its_notice(client: TestClient) -> None:
    ids = {
        decision: re.findall(r"/lending/applications/(\d+)", client.get(f"/lending?decision={decision}").text)
        for decision in ("reject", "approve")
    }
    path = PATH.format(ids["reject"][0])
    assert f"{path}?format=pdf" in client.get(f"/lending/applications/{ids['reject'][0]}").text
    found = client.get(path).json()
    assert 1 <= len(found["reasons"]) <= 4
    assert all(re.fullmatch(r"[A-Z][^_]*\.", reason) for reason in found["reasons"]), found
    assert client.get(f"{path}?format=pdf").content.startswith(b"%PDF-")
    assert "Notice for the client" not in client.get(f"/lending/applications/{ids['approve'][0]}").text
    assert client.get(PATH.format(ids["approve"][0])).status_code == 409
