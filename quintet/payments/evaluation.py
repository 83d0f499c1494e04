"""Evaluate the detector and the usual alternatives on days with known incidents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from quintet.payments.backtest import detect_batch
from quintet.payments.baseline import DENIED, MINUTES_PER_DAY
from quintet.payments.incidents import APPROVED, FEED, VOLUME

ANY_SERIES = "any"
OWN = "gamma_poisson"
"""The name of this project's detector."""

SCOPES = ("all", "volume", "statuses")
EPISODE_COLUMNS = ["series", "started_at", "detected_at", "ended_at"]
SUMMARY_COLUMNS = [
    *("detector", "scope", "days", "incidents", "found", "recall", "false_episodes", "false_episodes_per_day"),
    *("delay_minutes_median", "delay_minutes_p90"),
]

Episodes = Callable[[pd.DataFrame], pd.DataFrame]
"""Maps minutes, as `marts.fct_payment_minutes`, to episodes, as `EPISODE_COLUMNS`; ended_at is null while one lasts."""

_TRAINING_DAYS = 7
_FLAGS_TO_FIRE, _MINUTES_TO_FIRE_IN = 3, 5
_QUIET_MINUTES_TO_END = 10
_LATE_MINUTES = 5  # an alert just after the end still counts as found
_AFTERMATH_MINUTES = 15  # and an episode that begins this soon after an incident is not false
_ROBUST_Z = 3.0
_HISTORY_MINUTES = 120
_LAG_MINUTES = 5
_LEAST_VOLUME_SPREAD = 0.15
# The training week has incidents too: they would set a limit at the 99th percentile.
_QUANTILE = 0.95
_SEED = 0


def evaluate(
    worlds: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], detectors: Mapping[str, Episodes]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a summary of what each detector found in all worlds, and the details by incident and false episode.

    worlds: by name, minutes and truth as `quintet.samples.payments.transaction_minutes` returns them.
    Summary: `SUMMARY_COLUMNS`, for each detector one row for all series, one for volume and feed, one for the statuses.
    Details: detector, world, series, kind, started_at, is_found, delay_minutes; kind is `false` for an episode near no
    incident, and `during` is then the kind of the benign event that it overlaps.

    An incident is found by an episode of its own series (stall or silence: volume or feed; a detector without series:
    any) that overlaps it and fires before five minutes after its end. The delay is the minutes from the first bad
    minute to the one that fired. An episode is false if it overlaps no incident of any series, nor the quarter of an
    hour after one.
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
    """Return series, kind, during, started_at, is_found, delay_minutes of each incident and each false episode."""
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
    """Detect with this project's detector."""
    return detect_batch(minutes, with_points=False)[1][EPISODE_COLUMNS]


def robust_z(minutes: pd.DataFrame) -> pd.DataFrame:
    """Compare each rate with the median of the two hours before, in median absolute deviations; 3 of 5 minutes."""
    features = _features(minutes)
    past = features.shift(_LAG_MINUTES).rolling(_HISTORY_MINUTES, min_periods=_HISTORY_MINUTES // 2)
    middle = past.median()
    spread = 1.4826 * (features.shift(_LAG_MINUTES) - middle).abs().rolling(_HISTORY_MINUTES, min_periods=30).median()
    # The deviation is zero where most minutes have none: use at least the Poisson noise.
    exposure = _exposure(minutes).rolling(_HISTORY_MINUTES, min_periods=1).median() + 10
    least = np.sqrt(middle.clip(lower=0).add(1 / exposure, axis=0).div(exposure, axis=0))
    least[VOLUME] = _LEAST_VOLUME_SPREAD * middle[VOLUME] + 1
    z = (features - middle) / spread.clip(lower=least)
    z[VOLUME] *= -1
    return _episodes(z >= _ROBUST_Z)


def static_thresholds(minutes: pd.DataFrame) -> pd.DataFrame:
    """Compare each rate with its fixed 95th percentile (volume: the 5th) of the first week; 3 of 5 minutes."""
    features = _features(minutes)
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    is_beyond = features > training.quantile(_QUANTILE)
    is_beyond[VOLUME] = features[VOLUME] < training[VOLUME].quantile(1 - _QUANTILE)
    return _episodes(is_beyond)


def isolation_forest(minutes: pd.DataFrame) -> pd.DataFrame:
    """Fit a forest over all rates and the hour on the first week; flag beyond its 95th percentile; 3 of 5 minutes."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415  # takes a second to load, once per code version

    features = _with_hour(_features(minutes))
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    forest = IsolationForest(n_estimators=100, max_samples=1_024, random_state=_SEED).fit(training.to_numpy())
    score = -forest.score_samples(features.to_numpy())
    limit = np.quantile(score[: len(training)], _QUANTILE)
    return _episodes(pd.DataFrame({ANY_SERIES: score > limit}, index=features.index))


def half_space_trees(minutes: pd.DataFrame) -> pd.DataFrame:
    """Train River's trees online over all rates and the hour; flag beyond the first week's 95th percentile; 3 of 5."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415  # takes as long to load

    features = _with_hour(_features(minutes))
    training = features.iloc[: _TRAINING_DAYS * MINUTES_PER_DAY]
    low, high = training.quantile(0.001), training.quantile(0.999)
    scaled = ((features - low) / (high - low).clip(lower=1e-6)).clip(0, 1)
    trees = HalfSpaceTrees(n_trees=25, height=8, window_size=MINUTES_PER_DAY // 2, seed=_SEED)
    score = np.zeros(len(scaled))
    for number, minute in enumerate(scaled.to_dict("records")):  # it trains one row at a time
        score[number] = trees.score_one(minute)
        trees.learn_one(minute)
    limit = np.quantile(score[: len(training)], _QUANTILE)
    return _episodes(pd.DataFrame({ANY_SERIES: score > limit}, index=features.index))


def comparators() -> dict[str, Episodes]:
    """Return the detector and its comparators, by name."""
    return {
        OWN: gamma_poisson,
        "robust_z": robust_z,
        "static_thresholds": static_thresholds,
        "isolation_forest": isolation_forest,
        "half_space_trees": half_space_trees,
    }


def _exposure(minutes: pd.DataFrame) -> pd.Series:
    """Return approved and denied transactions by minute."""
    is_exposure = minutes["status"].isin([APPROVED, DENIED])
    return minutes["count"].where(is_exposure, 0).groupby(minutes["minute_at"]).sum().astype(float)


def _features(minutes: pd.DataFrame) -> pd.DataFrame:
    """Return by minute approvals as `volume` and the rate of each other status; an unobserved minute has zeros.

    A rate is the count over approved and denied plus ten: otherwise one denial at night could be 100%.
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
    """Return the episodes of each column: three flags in five minutes begin one, ten minutes without any end it."""
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
