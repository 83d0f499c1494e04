"""The form of a policy file: the line of each section and setting, and which of several faults is reported."""

from __future__ import annotations

import pytest

from quintet.lending.policy_form import Lines, Place, PolicyError, read_form

TEXT = """\
version = "1"

[score]
approve_below = 0.2
reject_from = 0.4
code = "DEFAULT_RISK"
sentence = "The risk is too high."

[no_history]
when = "paid_loans_count = 0"
approve_up_to = 500
code = "NO_HISTORY"
sentence = "There is no history."

[unavailable]
code = "NOT_THERE"
sentence = "Information is missing."

[[rule]]
when = "overdue_loans_count > 0"
decision = "reject"
code = "OVERDUE_LOAN"
sentence = "A loan is overdue."
"""


def fault(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        read_form(text)
    return str(caught.value)


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_a_policy_has_a_form_and_a_line_for_each_setting() -> None:
    form, lines = read_form(TEXT)

    assert [place.section for place, _ in form.sections][:3] == ["score", "no_history", "unavailable"]
    for place, section in form.sections:
        for setting in type(section).model_fields:
            assert TEXT.splitlines()[lines.line(place, setting) - 1].startswith(f"{setting} =")


def test_lines_count_the_sections_of_one_name() -> None:
    lines = Lines.of("version = 1\n[[rule]]\ncode = 1\n\n[[ rule ]]\ncode = 2\n")

    assert [lines.line(Place("rule", number), "code") for number in (0, 1)] == [3, 6]
    assert lines.line(Place("rule", 1), "absent") == 5, "the head of its section"
    assert lines.line(Place("rule", 7)) == 1


def test_a_misspelt_setting_is_reported_rather_than_the_one_it_leaves_missing() -> None:
    text = TEXT.replace("approve_below", "aprove_below", 1)

    assert fault(text).startswith(f"line {line_of(text, 'aprove_below')}: [score] has no aprove_below; there are ")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[no_history]", "[nohistory]", "there is no nohistory; there are version, score, no_history"),
        ("[[rule]]", "[rule]", "a rule begins with [[rule]]"),
        ("version =", "versions =", "there is no versions"),
        ('decision = "reject"', 'decision = "deny"', "decision is 'deny'; it must be refer or reject"),
        ("approve_below = 0.2", 'approve_below = "0.2"', "approve_below must be a number, at least 0 and at most 1"),
        ("approve_below = 0.2", "approve_below = 1.2", "approve_below must be a number, at least 0 and at most 1"),
        ('code = "NO_HISTORY"', 'code = "no history"', "code 'no history' must have only capitals, digits and _"),
        ("approve_below = 0.2\n", "", "[score] lacks approve_below"),
    ],
)
def test_a_fault_is_named_with_its_fix(old: str, new: str, named: str) -> None:
    assert TEXT.count(old) == 1

    assert named in fault(TEXT.replace(old, new))


def test_text_that_is_no_toml_has_the_line() -> None:
    assert fault('version = "1"\nscore = [\n]]').startswith("line 3: ")
