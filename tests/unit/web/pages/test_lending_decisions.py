"""Key figures of decisions: each share says of what it is."""

from __future__ import annotations

import pandas as pd

from quintet.web.pages.lending_decisions import _WINDOWS, _key_figures


def decisions(*rows: tuple[str, str | None]) -> pd.DataFrame:
    """Return decisions. rows: each with its decision, and why it was made without features or score."""
    frame = pd.DataFrame(rows, columns=["decision", "degraded_reason"])
    moments = pd.date_range("2026-11-30 10:00", periods=len(frame), freq="1min")
    return frame.assign(decided_at=moments, latency_ms=20.0, waited_ms=5.0)


def basis_of(rows: pd.DataFrame, label: str) -> str:
    figures = _key_figures(rows, rows.head(0), _WINDOWS["day"])
    return next(figure.basis for figure in figures if figure.label == label)


def test_the_share_without_features_is_of_referred_applications_alone() -> None:
    mixed = decisions(("approve", "late"), ("approve", "late"), ("reject", None), ("refer", "late"), ("refer", None))

    assert basis_of(mixed, "Referred") == "50.0% of them without features or score"
    assert basis_of(mixed, "Approved") == "5 decisions"


def test_an_approval_without_features_is_no_referral_without_them() -> None:
    assert basis_of(decisions(("approve", "late"), ("refer", None)), "Referred").startswith("0.0% of them")
    assert basis_of(decisions(("approve", "late"), ("reject", None)), "Referred") == "2 decisions"
