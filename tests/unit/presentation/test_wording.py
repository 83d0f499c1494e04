import pytest

from quintet.presentation.wording import counted, plural


@pytest.mark.parametrize(
    ("number", "one", "expected"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (1, "agency", "1 agency"),
        (1_204, "agency", "1,204 agencies"),
        (2.0, "batch", "2 batches"),
        (3, "anomalous day", "3 anomalous days"),
    ],
)
def test_a_count_has_the_form_of_its_noun(number: float, one: str, expected: str) -> None:
    assert counted(number, one) == expected


def test_an_irregular_plural_is_given() -> None:
    assert counted(2, "person", "people") == "2 people"
    assert counted(1, "person", "people") == "1 person"
    assert plural("key") == "keys"
