"""Compare the decisions of two rule sets on stored subjects: what changes, for whom, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

LARGEST_SHARE_BLOCKED = 0.05
"""Rules that block more of the subjects than this need a second confirmation."""

_MOST_SAMPLES = 10
_LABELS = ("confirmed", "honest", "unlabelled")


@dataclass(frozen=True)
class History:
    """Stored subjects. ids: of each. label: 1 confirmed as bad, 0 honest, NaN unknown. worth: what each has cost."""

    ids: pa.ChunkedArray
    label: np.ndarray
    worth: np.ndarray


@dataclass(frozen=True)
class Move:
    """Subjects whose decision changes from one to another, by label.

    worth: what all of them have cost. samples: ids, those that cost most first.
    """

    before: str
    after: str
    subjects: int
    confirmed: int
    honest: int
    unlabelled: int
    worth: float
    worth_confirmed: float
    worth_honest: float
    samples: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Spoken:
    """How many subjects a reason applies to, by label, whether or not it wins."""

    code: str
    subjects: int


@dataclass(frozen=True)
class Backtest:
    """A comparison. before, after: subjects by decision. blocked: how many the new rules block, whatever the score.

    saved, forgone: what newly blocked subjects have cost that are confirmed, and that are honest; negative where more
    is let pass than is blocked.
    """

    subjects: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    moves: Sequence[Move]
    rules: Sequence[Spoken]
    blocked: int
    saved: float
    forgone: float

    @property
    def blocked_share(self) -> float:
        """The share of the subjects that the new rules block."""
        return self.blocked / self.subjects if self.subjects else 0.0

    @property
    def needs_confirmation(self) -> bool:
        """Whether the new rules block more than a twentieth of the subjects."""
        return self.blocked_share > LARGEST_SHARE_BLOCKED


def compare(
    history: History,
    decisions: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
    spoken: Mapping[str, int],
    blocking: str,
    by_rules: int,
) -> Backtest:
    """Return what changes.

    before, after: the place in `decisions` of each subject's. spoken: subjects by reason. by_rules: how many the rules
    block.
    """
    count = len(history.ids)
    moves = []
    for was, old in enumerate(decisions):
        for is_now, new in enumerate(decisions):
            rows = np.flatnonzero((before == was) & (after == is_now)) if was != is_now else ()
            if len(rows):
                moves.append(_move(history, old, new, np.asarray(rows)))
    blocked = decisions.index(blocking)
    change = (after == blocked).astype(float) - (before == blocked)
    return Backtest(
        subjects=count,
        before=_counted(before, decisions),
        after=_counted(after, decisions),
        moves=sorted(moves, key=lambda move: -move.subjects),
        rules=[Spoken(code, subjects) for code, subjects in spoken.items()],
        blocked=by_rules,
        saved=float((change * history.worth)[history.label == 1].sum()),
        forgone=float((change * history.worth)[history.label == 0].sum()),
    )


def _counted(places: np.ndarray, decisions: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(places, minlength=len(decisions)).tolist()
    return dict(zip(decisions, counts, strict=True))


def _move(history: History, before: str, after: str, rows: np.ndarray) -> Move:
    label, worth = history.label[rows], history.worth[rows]
    masks = dict(zip(_LABELS, (label == 1, label == 0, np.isnan(label)), strict=True))
    dearest = np.argsort(-worth, kind="stable")
    samples = {
        name: history.ids.take(pa.array(rows[dearest[mask[dearest]][:_MOST_SAMPLES]])).to_pylist()
        for name, mask in masks.items()
    }
    return Move(
        before,
        after,
        len(rows),
        int(masks["confirmed"].sum()),
        int(masks["honest"].sum()),
        int(masks["unlabelled"].sum()),
        float(worth.sum()),
        float(worth[masks["confirmed"]].sum()),
        float(worth[masks["honest"]].sum()),
        samples,
    )
