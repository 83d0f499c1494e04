"""The ranking of findings: worth the most customers first, and a page that differs says at which step."""

from __future__ import annotations

import pandas as pd
import pytest

from quintet.conversions.analysis import rates
from quintet.conversions.findings import COLUMNS, level_ranking, ranked_findings


def cells(pages: dict[str, tuple[int, int, int]]) -> pd.DataFrame:
    """Return the sums of sessions by page. pages: by name the sessions, those matched, and those important."""
    rows = []
    for page, (sessions, matched, important) in pages.items():
        for measure, n, total in (("match_rate", sessions, matched), ("important_share", matched, important)):
            for dimension, level in (("page_category", page), ("device", "mobile")):
                sums = {"total": float(total), "squares": float(total), "cubes": float(total)}
                rows.append({"measure": measure, "dimension": dimension, "level": level, "n": n, "rows": n, **sums})
    frame = pd.DataFrame(rows).assign(stratum="DE")
    keys = ["measure", "dimension", "level", "stratum"]
    return frame.groupby(keys, as_index=False).sum()


WORSE = {"good": (4_000, 3_600, 360), "bad": (4_000, 3_600, 60), "usual": (4_000, 3_600, 220)}


def test_a_finding_is_worth_its_effect_times_its_sessions() -> None:
    counted = cells(WORSE)
    found = ranked_findings(rates(counted), counted).set_index("level")

    assert list(found.index[:2]) == ["bad", "good"], "the largest gap first"
    bad = found.loc["bad"]
    assert bad["customers"] == pytest.approx(abs(bad["effect"]) * 3_600)
    assert bad["customers_low"] < bad["customers"] < bad["customers_high"]
    assert bad["effect_low"] < bad["effect"] < bad["effect_high"] < 0
    assert "fewer of those matched become customers" in bad["finding"]
    assert bad["action"]


def test_equal_pages_have_no_finding() -> None:
    counted = cells(dict.fromkeys(("one", "other", "third"), (4_000, 3_600, 220)))
    found = ranked_findings(rates(counted), counted)

    assert found.empty
    assert list(found.columns) == list(COLUMNS)


def test_sessions_that_do_not_reach_the_broker_are_worth_the_customers_among_them() -> None:
    counted = cells({"lost": (4_000, 2_000, 120), "usual": (4_000, 3_600, 216), "other": (4_000, 3_600, 216)})
    lost = ranked_findings(rates(counted), counted).set_index(["measure", "level"]).loc[("match_rate", "lost")]

    assert lost["customers"] == pytest.approx(abs(lost["effect"]) * 4_000 * 552 / 9_200)
    assert lost["finding"].endswith("fewer reach the broker")


def test_levels_are_ranked_from_the_worst_and_say_why() -> None:
    ranked = level_ranking(rates(cells(WORSE)), "page_category")

    assert ranked["level"].tolist() == ["bad", "usual", "good"]
    assert ranked["per_thousand"].tolist() == pytest.approx([15, 55, 90])
    assert ranked.set_index("level").loc["bad", "why"] == "Fewer of those matched become customers"
    assert ranked.set_index("level").loc["good", "why"] == "More of those matched become customers"
    equal = level_ranking(rates(cells(dict.fromkeys("ab", (900, 800, 40)))), "page_category")
    assert set(equal["why"]) == {"No difference that holds among equals"}
