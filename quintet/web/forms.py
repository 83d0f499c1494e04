"""Read values that people and programs type into forms, addresses and headers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

_MOST_DIGITS = 19


def whole_number(text: str, most: int) -> int | None:
    """Return the number that the text writes in plain digits, from 0 to `most`; None if it is anything else.

    `int` also reads digits of other scripts, and refuses thousands of digits with an exception of its own.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    number = int(text)
    return number if number <= most else None


@contextmanager
def as_request_fault(where: str = "body") -> Iterator[None]:
    """Report a model that the body builds from a form, and that is invalid, as a fault of the request (422)."""
    try:
        yield
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([one | {"loc": (where, *one["loc"])} for one in faults]) from None
