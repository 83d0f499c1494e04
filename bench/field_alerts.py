"""Detect anomalous minutes with ADTK, in its own environment; `python field_alerts.py FOLDER`."""

import json
import sys
from pathlib import Path

import pandas as pd
from adtk.detector import PersistAD

_TRAINING_DAYS = 7
_END_AFTER_MINUTES = 10


def detect(folder: Path) -> None:
    """Read `minutes.csv`; write the episodes (series, started_at, detected_at, ended_at) by setting to `found.json`."""
    given = json.loads((folder / "given.json").read_text("utf-8"))
    minutes = pd.read_csv(folder / "minutes.csv", parse_dates=["minute_at"])
    counts = minutes.pivot(index="minute_at", columns="status", values="count").fillna(0.0).astype(float)
    found = {f"c={factor:g}": _episodes(counts.asfreq("min").fillna(0.0), factor) for factor in given["factors"]}
    (folder / "found.json").write_text(json.dumps(found), "utf-8")


def _episodes(counts: pd.DataFrame, factor: float) -> list[list[str]]:
    """A rise of a status, or a fall of approvals, that PersistAD finds begins an episode; ten minutes without end it.

    factor: how many interquartile ranges beyond the usual differences are anomalous.
    """
    episodes = []
    for status in counts:
        side, series = ("negative", "volume") if status == "approved" else ("positive", status)
        detector = PersistAD(window=15, c=factor, side=side)
        detector.fit(counts[status][: _TRAINING_DAYS * 24 * 60])
        flags = detector.predict(counts[status]).fillna(False).astype(bool)
        at = flags.index[flags]
        group = (at.to_series().diff() > pd.Timedelta(minutes=_END_AFTER_MINUTES)).cumsum()
        for _, part in at.to_series().groupby(group.to_numpy()):
            end = part.iloc[-1] + pd.Timedelta(minutes=_END_AFTER_MINUTES)
            episodes.append([series, *(str(moment) for moment in (part.iloc[0], part.iloc[0], end))])
    return episodes


if __name__ == "__main__":
    detect(Path(sys.argv[1]))
