"""Consecutive days of one direction are one episode."""

import pandas as pd
import pytest

from quintet.conversions.comparisons import compare
from quintet.conversions.episodes import days_within, episodes, first_day, in_words

SESSIONS = 1_000


def cells_of(matched: dict[str, int], few: str = "") -> pd.DataFrame:
    """Return the counts of days of a thousand sessions, of which so many are matched; `few` has one session."""
    n = [1 if day == few else SESSIONS for day in matched]
    total = [float(min(count, size)) for count, size in zip(matched.values(), n, strict=True)]
    sums = pd.DataFrame({"level": list(matched), "stratum": "", "n": n, "total": total})
    return sums.assign(squares=sums["total"], cubes=sums["total"], rows=sums["n"])


def days_of(cells: pd.DataFrame, findings: list[str]) -> pd.DataFrame:
    compared = compare(cells.drop(columns="rows"), is_share=True).merge(cells[["level", "rows"]], on="level")
    is_finding = compared["level"].isin(findings)
    return compared.assign(measure="match_rate", dimension="day", q_value=compared["p_value"], is_finding=is_finding)


def levels(matched: dict[str, int], findings: list[str], few: str = "") -> list[str]:
    cells = cells_of(matched, few)
    return episodes(days_of(cells, findings), cells, is_share=True)["level"].tolist()


NORMAL = {f"2024-05-{day:02}": 940 + day % 3 for day in range(1, 16)}
OUTAGE = {"2024-05-09": 500, "2024-05-10": 0, "2024-05-11": 0, "2024-05-12": 700}


def test_consecutive_findings_are_one_episode_with_the_figures_of_all_its_days():
    cells = cells_of(NORMAL | OUTAGE)
    days = days_of(cells, list(OUTAGE))
    [episode] = episodes(days, cells, is_share=True).to_dict("records")
    assert episode["level"] == "2024-05-09/2024-05-12"
    assert (episode["n"], episode["rows"], episode["mean"]) == (4_000, 4_000, 0.3)
    rest = [count for day, count in NORMAL.items() if day not in OUTAGE]
    assert episode["rest_mean"] == pytest.approx(sum(rest) / (SESSIONS * len(rest)))
    assert episode["q_value"] == days.set_index("level").loc[list(OUTAGE), "q_value"].max()


def test_a_day_between_that_is_normal_or_missing_separates_episodes():
    gap = NORMAL | OUTAGE | {"2024-05-11": 990}
    found = ["2024-05-09", "2024-05-10", "2024-05-12"]
    assert levels(gap, found) == ["2024-05-09/2024-05-10", "2024-05-12"]
    missing = {day: count for day, count in gap.items() if day != "2024-05-11"}
    assert levels(missing, found) == ["2024-05-09/2024-05-10", "2024-05-12"]


def test_an_episode_includes_neighbours_that_differ_before_correction_and_days_between_without_a_test():
    found = ["2024-05-09", "2024-05-10"]
    assert levels(NORMAL | OUTAGE, found) == ["2024-05-09/2024-05-12"]
    assert levels(NORMAL | OUTAGE, ["2024-05-09", "2024-05-12"], few="2024-05-10") == ["2024-05-09/2024-05-12"]
    assert levels(NORMAL | {"2024-05-09": 100}, ["2024-05-09"], few="2024-05-10") == ["2024-05-09"]


def test_days_of_opposite_directions_are_not_joined():
    both = NORMAL | {"2024-05-09": 100, "2024-05-10": 1_000}
    assert levels(both, ["2024-05-09", "2024-05-10"]) == ["2024-05-09", "2024-05-10"]


def test_without_a_finding_there_is_no_episode():
    assert levels(NORMAL, []) == []
    assert levels({}, []) == []


@pytest.mark.parametrize(
    ("level", "words", "count"),
    [
        ("2024-05-09", "9 May 2024", 1),
        ("2024-05-09/2024-05-12", "9 to 12 May 2024", 4),
        ("2024-04-30/2024-05-02", "30 April to 2 May 2024", 3),
        ("2024-12-31/2025-01-01", "31 December 2024 to 1 January 2025", 2),
    ],
)
def test_the_days_of_an_episode_are_read_as_one_period(level: str, words: str, count: int):
    assert (in_words(level), days_within(level), first_day(level)) == (words, count, level[:10])
