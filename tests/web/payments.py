"""Helpers that make minutes of payments and send them to a service."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

TRANSACTIONS = "/v1/payments/transactions"
DAY = "2024-01-01"


def minute(number: int, **counts: int) -> list[dict[str, Any]]:
    at = f"{DAY}T{12 + number // 60:02d}:{number % 60:02d}:00Z"
    usual = {"approved": 100, "denied": 10} | counts
    return [{"minute_at": at, "status": status, "count": count} for status, count in usual.items()]


def send(client: TestClient, *minutes: list[dict[str, Any]]) -> Any:
    answer = client.post(TRANSACTIONS, json=[item for one in minutes for item in one])
    assert answer.status_code == 200, answer.text
    return answer.json()
