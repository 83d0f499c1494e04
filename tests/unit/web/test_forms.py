"""Numbers from forms and headers: plain digits in range, or none."""

from __future__ import annotations

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from quintet.web.forms import as_request_fault, whole_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("60", 60), ("0060", 60), ("100", 100)])
def test_plain_digits_are_a_number(text: str, number: int) -> None:
    assert whole_number(text, 100) == number


@pytest.mark.parametrize("text", ["", "101", "-1", "+1", " 1", "1_0", "1.0", "²", "٣", "9" * 5_000, "x", "1\n"])
def test_everything_else_is_none(text: str) -> None:
    assert whole_number(text, 100) is None


def test_an_invalid_form_is_a_fault_of_the_request() -> None:
    class Given(BaseModel):
        count: int

    with pytest.raises(RequestValidationError) as refused, as_request_fault("form"):
        Given.model_validate({"count": "x"})
    assert refused.value.errors()[0]["loc"] == ("form", "count")
    with pytest.raises(ValidationError):
        Given.model_validate({"count": "x"})
