from quintet.presentation.blocks import Code, Evidence, Finding, Text
from quintet.presentation.report_content import evidence_sections

FINDING = Finding("7", "Seven rows are late.", "Ask.", "Seven more.", "Certain.", (
    Evidence("late rows", 7, "select 7"), Evidence("late again", 7, "select 7 "), Evidence("all", 9, "select 9"),
))  # fmt: skip


def test_a_query_is_printed_once_with_all_its_numbers():
    [section] = evidence_sections((FINDING,))
    codes = [block.text for block in section.blocks if isinstance(block, Code)]
    assert codes == ["-- late rows: 7\n-- late again: 7\nselect 7", "-- all: 9\nselect 9"]
    assert Text("Seven rows are late.") in section.blocks


def test_findings_without_queries_have_no_section():
    assert evidence_sections(()) == ()
    assert evidence_sections((Finding("7", "a", "b", "c", "d"),)) == ()
