"""Bindings of keys: values by kind, stored as JSON, refused where they could not be told apart."""

from __future__ import annotations

import pytest

from quintet.state.binding import MOST_VALUES, Binding, UnusableBindingError


def test_a_binding_is_read_back_as_it_was_stored() -> None:
    binding = Binding.of({"partner": ["northern, ltd"], "agency": [" 470", "3", "3"]})

    assert binding is not None
    assert Binding.from_text(binding.to_text()) == binding
    assert str(binding) == "agency 3, 470; partner northern, ltd"
    assert binding.kinds == {"agency", "partner"}


def test_without_values_there_is_no_binding() -> None:
    assert Binding.of({"agency": []}) is None
    assert Binding.from_text(None) is None


def test_bindings_to_other_values_have_other_digests() -> None:
    texts = [{"agency": ["1", "2"]}, {"agency": ["12"]}, {"agency": ["1"]}, {"partner": ["1", "2"]}]
    assert len({Binding.of(values).digest for values in texts}) == 4  # type: ignore[union-attr]


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\x00", "a" * 201])
def test_a_value_that_is_no_line_is_refused(value: str) -> None:
    with pytest.raises(UnusableBindingError, match="agency: each value"):
        Binding.of({"agency": [value]})


def test_too_many_values_are_refused() -> None:
    with pytest.raises(UnusableBindingError, match="1,001 values"):
        Binding.of({"agency": [str(number) for number in range(MOST_VALUES + 1)]})
