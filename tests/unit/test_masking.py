"""Secrets are masked in every encoding, whole and in pieces; other text stays as it is."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.masking import MASK, masked

PASSWORD = 'h/u%n"t\\e@r:2 &2'
URLS = [
    f"postgresql://me:{PASSWORD}@host:5432/shop",
    f"postgresql+psycopg2://me:{PASSWORD}@host/shop",
    f"postgresql://me:{quote(PASSWORD, safe='')}@host/shop?sslmode=require",
    f"postgresql://host/shop?user=me&password={quote(PASSWORD, safe='')}",
    f"http://key:{PASSWORD}@host:9000/bucket",
    f"smtp://me@example.org:{PASSWORD}@mail:587",
    f"host=h user=me password='{PASSWORD}'",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "encode",
    [str, repr, json.dumps, html.escape, lambda text: quote(text, safe=""), quote, lambda text: f"failed for {text}!"],
    ids=["plain", "repr", "json", "html", "quoted", "path", "within"],
)
def test_a_secret_setting_is_masked_in_every_encoding(url: str, encode: object) -> None:
    assert callable(encode)
    for text in (url, PASSWORD):
        assert "hunt" not in (shown := masked(encode(text), [url]).replace(MASK, "")), shown
        assert PASSWORD not in shown
        assert "n%22t" not in shown


def test_a_piece_that_a_parser_took_for_a_port_or_a_name_is_masked() -> None:
    url = "http://key:abcdef/ghijkl@host:9000/bucket"
    assert masked("port 'abcdef' is invalid; no bucket ghijkl", [url]) == f"port '{MASK}' is invalid; no bucket {MASK}"


def test_the_path_of_a_webhook_is_its_secret() -> None:
    url = "https://prod.example.org:443/workflows/0a1b2c3d4e5f60718293/triggers?api-version=1&sig=AbCdEfGh"
    shown = masked("posting to /workflows/0a1b2c3d4e5f60718293/triggers failed, sig AbCdEfGh", [url])
    assert shown == f"posting to /workflows/{MASK}/triggers failed, sig {MASK}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://me:pa/ss@host/db", f"at postgresql://{MASK}@host/db"),
        ("password=abc sslmode=x", f"password={MASK} sslmode=x"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("the key qk_0123456789abcdef", f"the key {MASK}"),
        ("AWS_SECRET_ACCESS_KEY=abc", f"AWS_SECRET_ACCESS_KEY={MASK}"),
    ],
)
def test_what_looks_like_a_secret_is_masked_without_knowing_it(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        'password authentication failed for user "me"',
        "status code=404 for key=17, monkey = 3",
        "http://127.0.0.1:8000/payments?since=2024-01-01",
        "mail to a@example.org",
        "no secret here; the token is missing",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert masked(text, ["", "  ", "abc"]) == text


@given(st.text(min_size=4, max_size=30).filter(lambda text: text.strip() == text and "*" not in text), st.text())
def test_any_secret_is_gone_from_any_text(secret: str, around: str) -> None:
    assert secret not in masked(f"{around}{secret}{around}", [secret]).replace(MASK, "")
