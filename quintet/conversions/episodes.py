"""Whole episodes: consecutive days that differ from the rest in the same direction, such as an outage."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from quintet.conversions.comparisons import compare

LARGEST_P = 0.05
"""The largest p value of a finding against the days outside stronger episodes."""

LARGEST_P_BESIDE = 0.001
"""The largest p value of another day that belongs to the episode beside it: there are many days to begin by chance."""

_SUMS = ["n", "total", "squares", "cubes"]

_SEPARATOR = "/"


def episodes(days: pd.DataFrame, cells: pd.DataFrame, *, is_share: bool) -> pd.DataFrame:
    """Return the findings among days, with consecutive days of one direction as one row.

    An episode has at least one finding. It extends over neighbouring days that differ in the same direction from the
    days outside all episodes (p at most LARGEST_P_BESIDE), and over a day between two with too few rows for a test. A
    finding that differs only because of other episodes is left out.
    days: the rows of `analysis.rates` of one measure by day. cells: the counts behind them. is_share: the values are 0
    and 1.
    Returns the columns of `days`. The level of an episode of several days is `first/last`. Its figures compare all its
    rows with all other days; its q value is the largest of its findings.
    """
    kept = []
    own_cells = cells[["level", "stratum", *_SUMS]]
    for first, last in _spans(days, own_cells, is_share=is_share):
        inside = days[days["level"].between(first, last)]
        found = inside[inside["is_finding"]]
        if first == last:
            kept.append(found)
            continue
        level = f"{first}{_SEPARATOR}{last}"
        pooled = own_cells.assign(level=own_cells["level"].mask(own_cells["level"].between(first, last), level))
        sums = pooled.groupby(["level", "stratum"], as_index=False)[_SUMS].sum()
        compared = compare(sums[sums["n"] > 0].reset_index(drop=True), is_share)
        own = found.iloc[:1][["measure", "dimension"]].assign(
            level=level, rows=inside["rows"].sum(), q_value=found["q_value"].max(), is_finding=True
        )
        kept.append(own.merge(compared, on="level")[list(days)])
    return pd.concat(kept, ignore_index=True) if kept else days.head(0)


def first_day(level: str) -> str:
    """Return the first day of an episode, or the day itself."""
    return level.split(_SEPARATOR, maxsplit=1)[0]


def last_day(level: str) -> str:
    """Return the last day of an episode, or the day itself."""
    return level.rsplit(_SEPARATOR, maxsplit=1)[-1]


def days_within(level: str) -> int:
    """Return how many days an episode has."""
    first, last = _ends(level)
    return (last - first).days + 1


def in_words(level: str) -> str:
    """Return the days of an episode as a sentence has them: `9 to 12 May 2024`."""
    first, last = _ends(level)
    end = f"{last.day} {last:%B %Y}"
    if first == last:
        return end
    begin = f"{first.day}"
    if first.year != last.year:
        begin = f"{first.day} {first:%B %Y}"
    elif first.month != last.month:
        begin = f"{first.day} {first:%B}"
    return f"{begin} to {end}"


def _ends(level: str) -> tuple[dt.date, dt.date]:
    first, _, last = level.partition(_SEPARATOR)
    return dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)


def _spans(days: pd.DataFrame, cells: pd.DataFrame, *, is_share: bool) -> list[tuple[str, str]]:
    """Return the first and the last day of each episode, in their order."""
    direction = _directions(days[days["is_finding"]], cells, is_share=is_share)
    spans: list[tuple[str, str]] = []
    for level in sorted(direction):
        if spans and spans[-1][1] == _moved(level, -1) and direction[spans[-1][1]] == direction[level]:
            spans[-1] = (spans[-1][0], level)
        else:
            spans.append((level, level))
    return spans


def _directions(findings: pd.DataFrame, cells: pd.DataFrame, *, is_share: bool) -> dict[str, int]:
    """Return the days of all episodes: 1 for above the others, -1 for below.

    The strongest finding comes first, then the days beside it, then the next finding. Each is compared with the days
    that are in no episode yet: beside a long outage, half a day without matches is average, and a usual day is above.
    """
    weight = findings["adjusted"].abs() * np.sqrt(findings["compared"].astype("float64"))
    ordered = findings.loc[weight.sort_values(ascending=False, kind="stable").index, "level"].tolist()
    direction: dict[str, int] = {}
    while True:
        is_outside = ~cells["level"].isin(list(direction)) & (cells["n"] > 0)
        compared = compare(cells[is_outside].reset_index(drop=True), is_share).set_index("level")
        sign = np.sign(compared["adjusted"]).where(compared["p_value"] <= LARGEST_P, 0).fillna(0).astype(int)
        beside = {level: [direction.get(_moved(level, days), 0) for days in (-1, 1)] for level in compared.index}
        untested = compared.index[compared["p_value"].isna()]
        strong = compared.index[compared["p_value"] <= LARGEST_P_BESIDE]
        grown = {level: int(sign[level]) for level in strong if sign[level] in beside[level]}
        grown |= {level: beside[level][0] for level in untested if beside[level] in ([1, 1], [-1, -1])}
        if not grown:
            strongest = next((level for level in ordered if sign.get(level, 0)), None)
            if strongest is None:
                return direction
            grown = {strongest: int(sign[strongest])}
        direction |= grown


def _moved(level: str, days: int) -> str:
    return (dt.date.fromisoformat(level) + dt.timedelta(days=days)).isoformat()
