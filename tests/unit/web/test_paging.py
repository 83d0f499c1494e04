"""Page tokens: valid only for the query they were made for."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.web.paging import PageTokens
from quintet.web.problems import ProblemError

TOKENS = PageTokens(b"secret")
QUERY = {"route": "summary", "filters": {"state": ["OH"]}}
_VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()


@given(key=st.lists(_VALUES, max_size=5))
def test_a_token_returns_its_key(key: list[object]) -> None:
    assert TOKENS.read(QUERY, TOKENS.make(QUERY, key)) == tuple(key)


def test_no_key_has_no_token_and_no_token_has_no_key() -> None:
    assert TOKENS.make(QUERY, None) is None
    assert TOKENS.read(QUERY, None) is None


@given(text=st.text(max_size=100))
def test_a_forged_token_is_refused(text: str) -> None:
    with pytest.raises(ProblemError, match="page_token does not belong to this query"):
        TOKENS.read(QUERY, text)


def test_a_token_of_another_query_or_service_is_refused() -> None:
    token = TOKENS.make(QUERY, ["OH"])
    for tokens, query in [(TOKENS, {**QUERY, "route": "detail"}), (PageTokens(b"other"), QUERY)]:
        with pytest.raises(ProblemError, match="page_token does not belong"):
            tokens.read(query, token)


def test_a_modified_key_is_refused() -> None:
    token = TOKENS.make(QUERY, ["OH"]) or ""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    changed = base64.urlsafe_b64encode(raw.replace(b"OH", b"PA")).decode().rstrip("=")
    with pytest.raises(ProblemError, match="page_token does not belong"):
        TOKENS.read(QUERY, changed)
