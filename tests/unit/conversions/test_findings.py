"""The ranking of findings: worth the most customers first, and a page that differs says at which step."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse, rates
from quintet.conversions.findings import COLUMNS, level_ranking, ranked_findings
from tests.unit.conversions.journeys import every_count, make_journeys, open_snapshot


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


_WORTH = """
with cells as (select measure, dimension, level, stratum, n, total + {wrong} as total from ml.conversion_cells),
scored as (
    select sum(total) / sum(n) as per_matched from cells where measure = 'important_share' and dimension = 'device'
),
strata as (
    select place, any_value(findings.measure) as measure,
        coalesce(sum(n) filter (is_own), 0) as own, coalesce(sum(total) filter (is_own), 0) as own_total,
        sum(n) as every, sum(total) as every_total
    from (
        select findings.place, findings.measure, stratum, cells.n, cells.total,
            cells.level between split_part(findings.level, '/', 1) and split_part(findings.level, '/', -1) as is_own
        from ml.conversion_findings as findings
        join cells on cells.measure = findings.measure and cells.dimension = findings.dimension
        where cells.n > 0
    ) as findings
    group by place, stratum
)
select abs(sum(own_total - own * every_total / every) / sum(own * (every - own) / every))
    * sum(own) filter (every > own) * any_value(case measure when 'match_rate' then per_matched else 1 end)
from strata cross join scored group by place order by place
"""


def _outage(journeys: pd.DataFrame) -> np.ndarray:
    """Return the chances of a match: two days and a country have few."""
    is_out = journeys["created_at"].between(pd.Timestamp("2024-04-24"), pd.Timestamp("2024-04-26"))
    return np.where(is_out, 0.3, np.where(journeys["country_iso2"] == "BR", 0.5, 0.9))


def _phones(journeys: pd.DataFrame) -> np.ndarray:
    """Return the chances of an important score: phones have few."""
    return np.where(journeys["is_mobile"].astype(bool), 0.1, 0.3)


def test_findings_are_worth_what_sql_counts_from_the_cells() -> None:
    """Of both measures and of an episode; the twin counts one success more in each cell."""
    connection = open_snapshot(make_journeys(8_000, 1, _phones, _outage))
    analysis = analyse(every_count(connection))
    connection.register("findings", analysis.findings.reset_index(names="place"))
    connection.execute("create table ml.conversion_findings as from findings")
    counted = [worth for (worth,) in connection.execute(_WORTH.format(wrong=0)).fetchall()]
    miscounted = [worth for (worth,) in connection.execute(_WORTH.format(wrong=1)).fetchall()]

    assert set(analysis.findings["measure"]) == {"match_rate", "important_share"}
    assert "2024-04-24/2024-04-25" in set(analysis.findings["level"])
    assert counted == pytest.approx(analysis.findings["customers"].tolist())
    assert miscounted != pytest.approx(analysis.findings["customers"].tolist())


def test_levels_are_ranked_from_the_worst_and_say_why() -> None:
    ranked = level_ranking(rates(cells(WORSE)), "page_category")

    assert ranked["level"].tolist() == ["bad", "usual", "good"]
    assert ranked["per_thousand"].tolist() == pytest.approx([15, 55, 90])
    assert ranked.set_index("level").loc["bad", "why"] == "Fewer of those matched become customers"
    assert ranked.set_index("level").loc["good", "why"] == "More of those matched become customers"
    equal = level_ranking(rates(cells(dict.fromkeys("ab", (900, 800, 40)))), "page_category")
    assert set(equal["why"]) == {"No difference that holds among equals"}
