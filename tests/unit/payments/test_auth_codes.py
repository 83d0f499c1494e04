"""The status of a transaction by its authorisation code."""

import pytest

from quintet.payments.auth_codes import status_of


@pytest.mark.parametrize(
    ("code", "status"),
    [("00", "approved"), ("10", "approved"), ("51", "denied"), ("59", "denied"), ("N7", "denied"), ("91", "failed")],
)
def test_a_code_is_approved_denied_or_a_technical_fault(code: str, status: str):
    assert status_of(code) == status


@pytest.mark.parametrize("code", ["", "0", "000", "n7", "5\n", "٠٠"])
def test_an_invalid_code_is_refused(code: str):
    with pytest.raises(ValueError, match="two digits or capitals"):
        status_of(code)
