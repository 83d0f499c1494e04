"""Report a matching model and the expected quality of its matches, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd

from quintet.conversions.matching_model import MatchingModel


def match_report(
    connection: duckdb.DuckDBPyConnection,
    model: MatchingModel,
    placebo_rates: pd.DataFrame,
    schema: str = "matching",
    before: MatchingModel | None = None,
) -> Mapping[str, pd.DataFrame]:
    """Return the tables of the report by name, after `match.match` with `model` into `schema`.

    summary: figure, value: threshold; matched and review; expected_precision, expected_recall, expected_f1 of the
    matches, from the calibrated probabilities; expected_links, including those out of reach; false_match_rate of the
    placebo (mean over its hours); the largest lag.
    clocks: partner, from_at (the partner's clock; null for the beginning), offset_seconds, is_clear.
    lags: partner, from_second, until_second, share, per_second.
    weights: partner, field, outcome, m (share among links), u (share among rows without a link).
    calibration: given (as inferred), true (as simulated).
    certainty: deciles of the probability of the matched: pairs, mean_probability.
    placebo: as given. changes: partner, what, before, now; empty without `before`.
    """
    return {
        "summary": _summary(connection, model, placebo_rates, schema),
        "clocks": _clocks(model),
        "lags": _lags(model),
        "weights": _weights(model),
        "calibration": _frame(model.calibration, given="float64", true="float64"),
        "certainty": _certainty(connection, schema),
        "placebo": placebo_rates,
        "changes": _changes(before, model),
    }


def _frame(rows: Sequence[tuple[Any, ...]], **kinds: str) -> pd.DataFrame:
    """Return rows as a frame with these columns and types, which it also has without a row."""
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def _summary(
    connection: duckdb.DuckDBPyConnection, model: MatchingModel, placebo_rates: pd.DataFrame, schema: str
) -> pd.DataFrame:
    [(matched, review, right, longest)] = connection.execute(
        f"select count(*) filter (where tier = 'matched'), count(*) filter (where tier = 'review'), "
        # Summed in the order of the conversions: the same to the last digit on every run.
        f"coalesce(list_sum(list(match_probability order by conversion_id) filter (where tier = 'matched')), 0), "
        f"max(lag_seconds) filter (where tier = 'matched') from {schema}.matches"
    ).fetchall()
    [(links,)] = connection.execute(
        f"select coalesce(list_sum(list(expected_links order by block)), 0) from {schema}.match_blocks"
    ).fetchall()
    right *= model.chosen_come_true
    links = max(links, right)
    figures = {
        "threshold": model.threshold,
        "matched": matched,
        "review": review,
        "expected_links": links,
        "expected_precision": right / matched if matched else None,
        "expected_recall": right / links if links else None,
        "expected_f1": 2 * right / (matched + links) if matched else None,
        "false_match_rate": float(placebo_rates["false_match_rate"].mean()) if len(placebo_rates) else None,
        "longest_lag_seconds": longest,
    }
    return pd.DataFrame({"figure": list(figures), "value": pd.array(list(figures.values()), dtype="Float64")})


def _clocks(model: MatchingModel) -> pd.DataFrame:
    rows = [
        (name, pd.Timestamp(stretch.from_at, unit="s") if number else pd.NaT, stretch.offset_seconds, stretch.is_clear)
        for name, partner in sorted(model.partners.items())
        for number, stretch in enumerate(partner.clock)
    ]
    return _frame(rows, partner="str", from_at="datetime64[s]", offset_seconds="int64", is_clear="bool")


def _lags(model: MatchingModel) -> pd.DataFrame:
    rows = [
        (name, start, end, share, share / (end - start))
        for name, partner in sorted(model.partners.items())
        for start, end, share in zip(
            partner.lag.edges_seconds, partner.lag.edges_seconds[1:], partner.lag.mass, strict=False
        )
    ]
    return _frame(rows, partner="str", from_second="int64", until_second="int64", share="float64", per_second="float64")


def _weights(model: MatchingModel) -> pd.DataFrame:
    rows = [
        (name, label, outcome, getattr(field, f"m_{outcome}"), getattr(field, f"u_{outcome}"))
        for name, partner in sorted(model.partners.items())
        for label, field in (("ip", partner.ip), ("residency", partner.residency))
        for outcome in ("same", "missing", "other")
    ]
    return _frame(rows, partner="str", field="str", outcome="str", m="float64", u="float64")


def _certainty(connection: duckdb.DuckDBPyConnection, schema: str) -> pd.DataFrame:
    return connection.execute(
        f"select least(floor(match_probability * 10), 9)::integer as decile, count(*) as pairs, "
        f"round(avg(match_probability), 6) as mean_probability "
        f"from {schema}.matches where tier = 'matched' group by all order by all"
    ).df()


def figures_of(model: MatchingModel) -> dict[tuple[str, str], str]:
    """Return the parameters of a model in words, by partner ("" for all) and figure."""
    figures = {
        ("", "threshold"): f"{model.threshold:.4f}",
        ("", "true matches, of those expected"): f"{model.chosen_come_true:.4f}",
    }
    for name, partner in model.partners.items():
        figures |= {
            (name, "clock, seconds ahead"): ", ".join(str(stretch.offset_seconds) for stretch in partner.clock),
            (name, "longest lag, seconds"): str(partner.lag.horizon_seconds),
            (name, "links per conversion"): f"{partner.click_rate:.4f}",
            (name, "links per conversion in a burst"): f"{partner.burst_click_rate:.4f}",
            (name, "links per row"): f"{partner.row_link_share:.4f}",
            (name, "IP country agrees"): f"{partner.ip.m_same:.4f}",
            (name, "residency agrees"): f"{partner.residency.m_same:.4f}",
        }
    return figures


def _changes(before: MatchingModel | None, now: MatchingModel) -> pd.DataFrame:
    old, new = (figures_of(before) if before else {}), figures_of(now)
    rows = [(*key, old.get(key), new.get(key)) for key in sorted(old | new) if before and old.get(key) != new.get(key)]
    return _frame(rows, partner="str", what="str", before="str", now="str")
