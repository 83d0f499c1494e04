"""Infer the likely pairs of conversions and broker rows in the windows of calendar blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quintet.conversions.candidates import WindowArrays, find_candidates
from quintet.conversions.expectation import pair_probabilities
from quintet.conversions.marginals import most_likely_rival
from quintet.conversions.matching_model import MatchingModel

REVIEW_SHARE = 0.5
"""Pairs above this share of the threshold are kept for a person."""


@dataclass(frozen=True)
class Inferred:
    """The pairs to keep of some blocks, with places instead of ids, and the expected links by block.

    pairs: ordered by block, row_in_block and click_in_block. links: block, expected_links.
    """

    pairs: pd.DataFrame
    links: pd.DataFrame


Inference = Callable[[MatchingModel, Iterator[WindowArrays]], Iterator[Inferred]]
"""Infers the pairs of each chunk of blocks, in the order of the chunks. The result does not depend on where."""


def infer_here(model: MatchingModel, windows: Iterator[WindowArrays]) -> Iterator[Inferred]:
    """Infer in this process, one chunk while the caller prepares the next."""
    with ThreadPoolExecutor(1) as pool:
        inferring: Future[Inferred] | None = None
        for laid in windows:
            done, inferring = inferring, pool.submit(infer, model, laid)
            if done is not None:
                yield done.result()
        if inferring is not None:
            yield inferring.result()


def infer(model: MatchingModel, laid: WindowArrays) -> Inferred:
    """Infer the pairs of the blocks' own conversions."""
    candidates = find_candidates(laid, model.horizon_seconds, model.any_country_seconds)
    probability = pair_probabilities(model, candidates)
    runner_up = np.maximum(
        most_likely_rival(candidates.row, probability), most_likely_rival(candidates.conversion, probability)
    )
    own = np.flatnonzero(laid.conversions["own"].to_numpy()[candidates.conversion] & (probability > 0))
    row, conversion, likely = candidates.row[own], candidates.conversion[own], probability[own]
    agreeing = candidates.agrees[own]
    ranked = np.where(agreeing, likely, 0)
    best = agreeing & ((likely >= most_likely_rival(conversion, ranked)) | (likely >= most_likely_rival(row, ranked)))
    kept = np.flatnonzero(best | (likely > model.threshold * REVIEW_SHARE))
    rows, conversions = laid.rows.take(row[kept]), laid.conversions.take(conversion[kept])
    block, at_second = conversions["block"].to_numpy(), rows["at_second"].to_numpy()
    pairs = pd.DataFrame(
        {
            "block": block,
            "row_in_block": row[kept] - np.searchsorted(laid.rows["block"].to_numpy(), block),
            "click_in_block": conversion[kept] - np.searchsorted(laid.conversions["block"].to_numpy(), block),
            "conversion_place": conversions["place"].to_numpy(),
            "row_place": rows["place"].to_numpy(),
            "partner_number": rows["partner"].to_numpy(),
            "lag_seconds": candidates.lag[own][kept],
            "match_probability": likely[kept],
            "runner_up_probability": runner_up[own][kept],
            "countries_agree": agreeing[kept],
            "near_edge": (at_second < block.astype(np.int64) * laid.window.width_seconds + model.horizon_seconds)
            | ~rows["own"].to_numpy(),
        }
    )
    reach = np.array([each.reach for _, each in sorted(model.partners.items())])
    expected = likely / reach[laid.rows["partner"].to_numpy()[row]]
    links = pd.DataFrame({"block": laid.conversions["block"].to_numpy()[conversion], "expected_links": expected})
    return Inferred(pairs, links[agreeing].groupby("block", as_index=False).sum())
