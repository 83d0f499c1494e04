"""How good the detector is where the truth is known, beside the usual ways of doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from quintet.payments.baseline import DENIED, MINUTES_PER_DAY
from quintet.payments.incidents import APPROVED, FEED, VOLUME
from quintet.payments.replay import detect_batch

ANY_SERIES = "any"
EPISODE_COLUMNS = ["series", "started_at", "detected_at", "ended_at"]
SUMMARY_COLUMNS = [
    *("detector", "scope", "days", "incidents", "found", "recall", "false_episodes", "false_episodes_per_day"),
    *("delay_minutes_median", "delay_minutes_p90"),
]

Episodes = Callable[[pd.DataFrame], pd.DataFrame]
"""From minutes, as `marts.fct_payment_minutes`, to episodes as `EPISODE_COLUMNS`; ended_at is null if it lasts."""

_TRAINING_DAYS = 7
_FLAGS_TO_FIRE, _MINUTES_TO_FIRE_IN = 3, 5
_QUIET_MINUTES_TO_END = 10
_LATE_MINUTES = 5  # an alert just after the end still counts as found
_AFTERMATH_MINUTES = 15  # and an episode that begins this soon after an incident is not made up
_ROBUST_Z = 3.0
_HISTORY_MINUTES = 120
_LAG_MINUTES = 5
_LEAST_VOLUME_SPREAD = 0.15
# Incidents lie in the training week too: a limit in the last hundredth would be set by them.
_QUANTILE = 0.95
_SEED = 0


def evaluate(
    worlds: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], detectors: Mapping[str, Episodes]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each detector found in all worlds together, and each incident and false episode.

    worlds: by name, minutes and truth as `quintet.samples.payments.transaction_minutes` gives them.
    Summary: `SUMMARY_COLUMNS`, for each detector one row for all series, one for volume and feed, one for the statuses.
    Details: detector, world, series, kind, started_at, is_found, delay_minutes; kind `false` for an episode near no
    incident, the kind of the benign event it fell upon in `during`.

    An incident is found by an episode of its own series (a stall or a silence: volume or feed; a detector that cannot
    tell series: any) that overlaps it and fires before five minutes after its end. Delay is the minutes between the
    first bad minute and the one that decided. False is an episode that overlaps no incident, of any series, nor the
    quarter of an hour after one.
    """
    details = [
        _judge(episodes_of(minutes), truth).assign(detector=name, world=world)
        for name, episodes_of in detectors.items()
        for world, (minutes, truth) in worlds.items()
    ]
    detail = pd.concat(details, ignore_index=True)
    days = sum(minutes["day"].nunique() for minutes, _ in worlds.values())
    is_volume = detail["series"].isin([VOLUME, FEED])
    scopes = {"all": detail, "volume": detail[is_volume], "statuses": detail[~is_volume]}
    rows = [
        _summary(name, scope, days, part[part["detector"] == name])
        for name in detectors
        for scope, part in scopes.items()
    ]
    columns = ["detector", "world", "series", "kind", "during", "started_at", "is_found", "delay_minutes"]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS), detail[columns]


def _summary(name: str, scope: str, days: int, detail: pd.DataFrame) -> tuple:
    incidents = detail[detail["kind"] != "false"]
    found = incidents[incidents["is_found"].astype(bool)]
    delay = found["delay_minutes"].astype(float)
    false = len(detail) - len(incidents)
    recall = len(found) / len(incidents) if len(incidents) else np.nan
    median, late = (delay.median(), delay.quantile(0.9)) if len(found) else (np.nan, np.nan)
    return name, scope, days, len(incidents), len(found), recall, false, false / days, median, late


def _judge(episodes: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """series, kind, during, started_at, is_found, delay_minutes of each incident and each false episode."""
    ended = episodes["ended_at"].fillna(pd.Timestamp.max.floor("min"))
    incidents = truth[truth["is_incident"]]
    rows: list[tuple] = []
    events: Iterable[Any] = incidents.itertuples(index=False)
    for event in events:
        own = [event.series] if event.series not in (VOLUME, FEED) else [VOLUME, FEED]
        is_hit = episodes["series"].isin([*own, ANY_SERIES]) & (ended > event.started_at)
        hits = episodes[is_hit & (episodes["detected_at"] < event.ended_at + pd.Timedelta(minutes=_LATE_MINUTES))]
        delay = np.nan
        if len(hits):
            delay = max((hits["detected_at"].min() - event.started_at).total_seconds() / 60, 0.0)
        rows.append((event.series, event.kind, None, event.started_at, len(hits) > 0, delay))
    found: Iterable[Any] = episodes.itertuples(index=False)
    for episode, end in zip(found, ended, strict=True):
        aftermath = incidents["ended_at"] + pd.Timedelta(minutes=_AFTERMATH_MINUTES)
        if not ((incidents["started_at"] < end) & (aftermath > episode.started_at)).any():
            over = truth[(truth["started_at"] < end) & (truth["ended_at"] > episode.started_at)]
            during = over["kind"].iloc[0] if len(over) else None
            rows.append((episode.series, "false", during, episode.started_at, None, np.nan))
    return pd.DataFrame(rows, columns=["series", "kind", "during", "started_at", "is_found", "delay_minutes"])


def gamma_poisson(minutes: pd.DataFrame) -> pd.DataFrame:
    """The project's own detector."""
    return detect_batch(minutes, with_points=False)[1][EPISODE_COLUMNS]


def robust_z(minutes: pd.DataFrame) -> pd.DataFrame:
    """Each rate against the median of the two hours before, in units of the median absolute deviation; 3 of 5."""
    features = _features(minutes)
    past = features.shift(_LAG_MINUTES).rolling(_HISTORY_MINUTES, min_periods=_HISTORY_MINUTES // 2)
    middle = past.median()
    spread = 1.4826 * (features.shift(_LAG_MINUTES) - middle).abs().rolling(_HISTORY_MINUTES, min_periods=30).median()
    # Where most minutes have none the deviation is zero: chance scatters counts by their root at least.
    exposure = _exposure(minutes).rolling(_HISTORY_MINUTES, min_periods=1).median() + 10
    least = np.sqrt(middle.clip(lower=0).add(1 / exposure, axis=0).div(exposure, axis=0))
    least[VOLUME] = _LEAST_VOLUME_SPREAD * middle[VOLUME] + 1
    z = (features - middle) / spread.clip(lower=least)
    z[VOLUME] *= -1
    return _episodes(z >= _ROBUST_Z)


def static_thresholds(minutes: pd.DataFrame) -> pd.DataFrame:
    """Each rate against its 95th percentile (volume: the 5th) of the first week, fixed from then on; 3 of 5."""
    features = _features(minutes)
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    is_beyond = features > training.quantile(_QUANTILE)
    is_beyond[VOLUME] = features[VOLUME] < training[VOLUME].quantile(1 - _QUANTILE)
    return _episodes(is_beyond)


def isolation_forest(minutes: pd.DataFrame) -> pd.DataFrame:
    """A forest over all rates and the hour, fitted on the first week; beyond its 95th percentile there; 3 of 5."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415  # takes a second to load, once in a version of the code

    features = _with_hour(_features(minutes))
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    forest = IsolationForest(n_estimators=100, max_samples=1_024, random_state=_SEED).fit(training.to_numpy())
    score = -forest.score_samples(features.to_numpy())
    limit = np.quantile(score[: len(training)], _QUANTILE)
    return _episodes(pd.DataFrame({ANY_SERIES: score > limit}, index=features.index))


def half_space_trees(minutes: pd.DataFrame) -> pd.DataFrame:
    """River's trees over all rates and the hour, learning on; beyond the 95th percentile of the first week; 3 of 5."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415  # as long again

    features = _with_hour(_features(minutes))
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    low, high = training.quantile(0.001), training.quantile(0.999)
    scaled = ((features - low) / (high - low).clip(lower=1e-6)).clip(0, 1)
    trees = HalfSpaceTrees(n_trees=25, height=8, window_size=MINUTES_PER_DAY // 2, seed=_SEED)
    score = np.zeros(len(scaled))
    for number, minute in enumerate(scaled.to_dict("records")):  # it learns one by one
        score[number] = trees.score_one(minute)
        trees.learn_one(minute)
    limit = np.quantile(score[: len(training)], _QUANTILE)
    return _episodes(pd.DataFrame({ANY_SERIES: score > limit}, index=features.index))


def comparators() -> dict[str, Episodes]:
    """The detector and those beside it, by name."""
    return {
        "gamma_poisson": gamma_poisson,
        "robust_z": robust_z,
        "static_thresholds": static_thresholds,
        "isolation_forest": isolation_forest,
        "half_space_trees": half_space_trees,
    }


def _exposure(minutes: pd.DataFrame) -> pd.Series:
    """By minute, approved and denied transactions."""
    is_exposure = minutes["status"].isin([APPROVED, DENIED])
    return minutes["count"].where(is_exposure, 0).groupby(minutes["minute_at"]).sum().astype(float)


def _features(minutes: pd.DataFrame) -> pd.DataFrame:
    """By minute, approvals as `volume` and each other status over approved and denied; an unobserved minute has zeros.

    The rate has ten more transactions below the line, lest one denial at night be a share of a hundred percent.
    """
    counts = minutes.pivot(index="minute_at", columns="status", values="count").fillna(0).astype(float)
    rates = counts.drop(columns=APPROVED).div(_exposure(minutes) + 10, axis=0)
    return rates.assign(**{VOLUME: counts[APPROVED]})


def _with_hour(features: pd.DataFrame) -> pd.DataFrame:
    at = pd.DatetimeIndex(features.index)
    angle = 2 * np.pi * (at.hour * 60 + at.minute) / MINUTES_PER_DAY
    volume = np.log1p(features[VOLUME])
    return features.assign(**{VOLUME: volume, "sine": np.sin(angle), "cosine": np.cos(angle)})


def _episodes(is_flagged: pd.DataFrame) -> pd.DataFrame:
    """Episodes of each column: three flags in five minutes begin one, ten minutes without any end it."""
    parts = []
    for series in is_flagged.columns:
        flags = is_flagged[series].astype(float)
        fires = flags.rolling(_MINUTES_TO_FIRE_IN).sum() >= _FLAGS_TO_FIRE
        at = pd.DatetimeIndex(flags.index[is_flagged[series]])
        run = (pd.Series(at).diff() > pd.Timedelta(minutes=_QUIET_MINUTES_TO_END)).cumsum()
        runs = pd.DataFrame({"at": at, "fired_at": pd.Series(at).where(fires[at].to_numpy()), "run": run})
        parts.append(
            runs.groupby("run")
            .agg(started_at=("at", "min"), detected_at=("fired_at", "min"), ended_at=("at", "max"))
            .dropna(subset="detected_at")
            .assign(series=series)
        )
    episodes = pd.concat(parts, ignore_index=True)
    episodes["ended_at"] += pd.Timedelta(minutes=1)
    return episodes[EPISODE_COLUMNS]
