"""The stored figures of accounts: what rules are tested on before they decide."""

from __future__ import annotations

from collections.abc import Collection

import duckdb
import numpy as np
import pyarrow as pa

from quintet.promotions.policy import DECISIONS, Policy
from quintet.promotions.result_tables import model_of_snapshot
from quintet.promotions.rules import GRAMMAR, OWN_FIGURES, decided
from quintet.rules.backtest import Backtest, History, compare
from quintet.rules.evaluate import Column, Evaluator, Texts
from quintet.rules.figures import TEXT_KINDS

__all__ = ["GRAMMAR", "backtest", "backtest_of"]

_HISTORY = """
    with label_of_person as (
        select user_id, arg_max(is_abuser, label_id) as is_abuser from marts.ops_abuse_labels group by user_id
    ),

    granted as (
        select
            user_id,
            sum(
                case discount_type
                    when 'fixed_amount' then discount_value
                    when 'percentage' then discount_value / 100 * coalesce(min_purchase_amount, 0)
                end
            ) as discount
        from marts.fct_promo_usages
        group by user_id
    )

    select
        figures.user_id,
        scores.score,
        coalesce(label_of_person.is_abuser, users.is_abuser) as is_abuser,
        coalesce(granted.discount, 0) as discount,
        {figures}
    from ml.abuse_figures as figures
    join ml.abuse_scores as scores using (user_id)
    left join marts.fct_promo_users as users using (user_id)
    left join label_of_person using (user_id)
    left join granted using (user_id)
"""
"""The accounts of a snapshot with their label and the discounts that they were granted, at least: a percentage counts
of the smallest purchase that it needs."""


def backtest_of(
    cursor: duckdb.DuckDBPyConnection, before: Evaluator | None, after: Evaluator, at_s: float
) -> Backtest | None:
    """Return what other rules change for the accounts of a snapshot; None if it has no scored accounts.

    before: the active rules; None without any. at_s: now in Unix seconds, for entries of lists that expire.
    """
    found = model_of_snapshot(cursor)
    return None if found is None else backtest(cursor, found[1], before, after, at_s)


def backtest(
    cursor: duckdb.DuckDBPyConnection, policy: Policy, before: Evaluator | None, after: Evaluator, at_s: float
) -> Backtest:
    """Return what other rules change, as `backtest_of`; policy: decides where no rule applies."""
    needs = after.needs | (before.needs if before is not None else frozenset())
    stored = [name for name in sorted(needs) if name not in OWN_FIGURES]
    domains = after.only_domains if before is None else after.only_domains & before.only_domains
    figures = [_domain_sql(name) if name in domains else f'figures."{name}"' for name in stored]
    query = _HISTORY.format(figures=", ".join(figures) or "0 as nothing")
    found = cursor.sql(query).to_arrow_table()
    columns = _columns(found, needs)
    history = History(found["user_id"], _floats(found["is_abuser"]), _floats(found["discount"]))
    by_score = policy.decisions(_floats(found["score"]))
    verdicts = after.decide(columns, len(found), at_s)
    was = by_score if before is None else decided(before.decide(columns, len(found), at_s), by_score)
    spoken = dict(zip(verdicts.codes, verdicts.counts.tolist(), strict=True))
    places = {name: place for place, name in enumerate(DECISIONS)}
    return compare(
        history,
        DECISIONS,
        _places(was, places),
        _places(decided(verdicts, by_score), places),
        spoken,
        GRAMMAR.blocking,
        int((verdicts.decision == GRAMMAR.decisions.index(GRAMMAR.blocking)).sum()),
    )


def _domain_sql(name: str) -> str:
    """Return SQL of the domain of an address, as `EntryList` reads it: few are different, among a million addresses."""
    return f'string_split(figures."{name}", \'@\')[-1] as "{name}"'


def _columns(found: pa.Table, needs: Collection[str]) -> dict[str, Column]:
    return {
        name: Texts.of(found[name]) if GRAMMAR.figures[name].kind in TEXT_KINDS else _floats(found[name])
        for name in needs
    }


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64()).to_numpy()
    return values


def _places(names: np.ndarray, places: dict[str, int]) -> np.ndarray:
    found = np.zeros(len(names), dtype=np.int64)
    for name, place in places.items():
        found[names == name] = place
    return found
