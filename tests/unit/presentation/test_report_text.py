"""Text of a report: nothing invisible stays invisible, and everything can be drawn."""

from quintet.presentation.report_text import cut, visible


def test_invisible_characters_are_shown_as_their_codes():
    shown = visible("abc\u202edef\x00 \u4e2d")
    assert shown == "abc<U+202E>def<U+0000> <U+4E2D>"


def test_letters_that_fonts_have_stay_as_they_are():
    text = "Côte d’Ivoire, Ελλάδα, Россия – 5 × 3 ≥ 2"
    assert visible(text) == text


def test_code_keeps_its_lines_and_gets_no_marks_for_breaking():
    text = "select 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz'\n    as x"
    assert visible(text, keeps_lines=True) == text


def test_a_long_word_can_be_broken():
    assert "\u200b" in visible("x" * 60)
    assert "\u200b" not in visible("a short word")


def test_a_text_is_cut_to_its_number_of_letters():
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
