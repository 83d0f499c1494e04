import pytest

from quintet.presentation.wording import counted, lasting, plural


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


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (86_400, "24 hours"),
        (172_800, "2 days"),
        (1_530_260 * 60, "1,062 days"),
    ],
)
def test_a_duration_has_the_unit_that_a_person_would_use(seconds: float, expected: str) -> None:
    assert lasting(seconds) == expected


def test_an_irregular_plural_is_given() -> None:
    assert counted(2, "person", "people") == "2 people"
    assert counted(1, "person", "people") == "1 person"
    assert plural("key") == "keys"
