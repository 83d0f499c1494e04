"""Downloads of pages: the CSV behind a figure, and files that a run wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from quintet.presentation.design import Column
from quintet.web.pages.downloads import csv_answer, report_file, with_query
from quintet.web.problems import ProblemError

COLUMNS = (Column("agency", "Agency"), Column("premium", "Premium", "money"))


def test_a_table_is_csv_with_its_column_names() -> None:
    frame = pd.DataFrame({"premium": [1.5, None], "agency": ["a", "b, c"], "hidden": [1, 2]})
    answer = csv_answer("agencies", frame, COLUMNS)

    assert bytes(answer.body).decode() == 'agency,premium\na,1.5\n"b, c",\n'
    assert answer.headers["content-disposition"] == 'attachment; filename="agencies.csv"'
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_no_spreadsheet_reads_a_text_as_a_formula(text: str) -> None:
    body = bytes(csv_answer("a", pd.DataFrame({"agency": [text], "premium": [-1.0]}), COLUMNS).body).decode()

    assert body.splitlines()[1] == f"'{text},-1.0"


def test_a_report_is_sent_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    answer = report_file(tmp_path, "a.pdf", ["a.pdf"])

    assert (answer.media_type, answer.headers["content-length"]) == ("application/pdf", "4")


@pytest.mark.parametrize(("name", "said"), [("b.pdf", "is not written yet"), ("../secret", "there is no file")])
def test_a_file_that_is_not_there_says_what_there_is(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path.parent / "secret").write_text("x")

    with pytest.raises(ProblemError, match=said):
        report_file(tmp_path, name, ["a.pdf", "b.pdf"])


def test_an_address_has_its_query() -> None:
    assert with_query("/a", []) == "/a"
    assert with_query("/a", [("b", "c d"), ("b", 1)]) == "/a?b=c+d&b=1"
