"""Figures in documents on lending, insurance, promotions and the stream: each is the figure of the code."""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest

from quintet.conversions import fit
from quintet.embedded import postgres
from quintet.ingest.archive import MOST_DIRECTORY_BYTES
from quintet.lending import leaks, model_training, scorecard
from quintet.lending.scoring import POINTS_PER_LOG_ODDS
from quintet.lending.settings import LendingSettings
from quintet.limits import DEFAULT_LIMITS
from quintet.ml.statistics import SHIFTED
from quintet.payments import live, monitor
from quintet.payments.detector import LATENESS_MINUTES
from quintet.payments.incidents import REPEAT_AFTER
from quintet.promotions.identity import KINDS, NEAREST
from quintet.promotions.policy import read_policy
from quintet.promotions.training import FEWEST_OF_A_CLASS
from quintet.replication.run import Options
from quintet.state import sessions
from quintet.web import guesses
from quintet.web.connections import Limits as Connections
from quintet.web.paging import LARGEST_PAGE_SIZE
from quintet.web.routes.payments_models import MOST_ITEMS
from tests import folders
from tests.statements import missing

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
SEEDS = PROJECT / "dbt_project" / "seeds" / "insurance"

RULES = pd.read_csv(SEEDS / "agency_segment_rules.csv").groupby("segment").max()
SETTINGS = LendingSettings.model_fields
HUBS = sorted({kind.most_sharers for kind in KINDS if kind.most_sharers is not None})
WORDS = MappingProxyType(
    {
        0.5: "half an hour",
        2: "twice",
        3: "three",
        4: "four",
        6: "six",
        10: "ten",
        12: "twelve",
        20: "twenty",
        3_600: "an hour",
    }
)


def short(number: float) -> str:
    """Return a fraction without its leading zero, as the record of scoring writes it."""
    return f"{number:g}".removeprefix("0")


def rule(segment: str, column: str) -> float:
    return float(RULES.loc[segment, column])


STATEMENTS = {
    "decisions/lending-scoring.md": [
        f"better by {short(model_training._WORTH_IT)} of AUC in 95% of resamples",
        f"off by at most {short(model_training._MOST_CALIBRATION_ERROR)} on average",
        f"with an AUC of {short(leaks._SURE_AUC)} or more stops the training",
        f"up to {WORDS[scorecard._MOST_BINS]} bins per input",
        f"points of {POINTS_PER_LOG_ODDS * math.log(2):.0f} for each halving of the odds",
    ],
    "decisions/agency-segments.md": [
        f"fewer than {WORDS[int(rule('watch', 'years_with_premium_below'))]} years with premium",
        f"below {rule('watch', 'premium_below_usd'):,.0f} USD in all",
        f"loss ratio {rule('repair', 'loss_ratio_at_least'):.0%} or more",
        f"retention below {rule('retain', 'retention_ratio_below'):.0%}, "
        f"over {rule('retain', 'policies_at_least'):.0f} policies or more",
        f"written premium down by {-rule('revive', 'growth_rate_at_most'):.0%} or more",
        f"new or up by {rule('grow', 'growth_rate_at_least'):.0%} or more, "
        f"{rule('grow', 'premium_at_least_usd'):,.0f} USD or more in three years",
        f"new or up by {rule('invest', 'growth_rate_at_least'):.0%} or more, below that",
    ],
    "decisions/promo-abuse.md": [
        f"{HUBS[0]} for a code, {HUBS[1]} for an address and a network, and for a mail domain",
        f"with the {NEAREST} nearest in time, so a ring of 500 costs as much for each account as one of {NEAREST + 1}",
        f"review from {read_policy().review_from:g} and block from {read_policy().block_from:g}",
    ],
    "promotions.md": [
        f"links none where more than {HUBS[0]} or {HUBS[1]} do, by kind",
        f"With at least {WORDS[FEWEST_OF_A_CLASS]} labels of each class",
        f"Investigate a value above {SHIFTED:g}",
    ],
    "loan-book.md": [
        f"({SETTINGS['loan_book_bytes'].default / 1e9:g} GB), within `QUINTET_LOAN_BOOK_SECONDS` "
        f"({WORDS[float(SETTINGS['loan_book_seconds'].default)]})"
    ],
    "stream.md": [
        f"begins at least {Options.object_seconds * 1_000:g} ms after the one before",
        f"Waiting changes are bounded ({Options.most_waiting:,})",
        f"Above {Options.retained_bytes / 1e9:g} GB it raises an alarm",
        f"drops the slot at {postgres._SETTINGS['max_slot_wal_keep_size'].replace('GB', ' GB')}",
        f"A heartbeat every {WORDS[Options.heartbeat_seconds]} seconds",
        f"ends with the error after {WORDS[Options.most_failures]} attempts",
    ],
    "datasets.md": [
        f"{DEFAULT_LIMITS.unpacked_bytes / 1e9:g} GB unpacked, {DEFAULT_LIMITS.rows / 1e6:g} million rows, "
        f"{DEFAULT_LIMITS.columns:,} columns, {DEFAULT_LIMITS.line_bytes / 1e6:g} MB in a line, "
        f"{DEFAULT_LIMITS.cell_bytes / 1e6:g} MB in a cell, {DEFAULT_LIMITS.shared_text_bytes / 1e6:g} MB of texts",
        f"a list of parts above {MOST_DIRECTORY_BYTES / 1e6:g} MB",
    ],
    "models.md": [
        f"matches less than {WORDS[fit._LEAST_RATIO]} as many rows at their own hours",
        f"and more than {fit.MOST_FALSE_MATCHES:.1%} of the rows there",
    ],
    "routes.md": [f"`page_size` up to {LARGEST_PAGE_SIZE:,}"],
    "security.md": [
        f"a session of {WORDS[sessions.LASTS.total_seconds() / 3_600]} hours",
        f"After {guesses.WRONG_KEYS} wrong keys in a minute",
        f"{Connections.header_bytes // 1_024} KiB, {Connections.header_seconds:g} seconds",
        f"| connections | {Connections.connections:,},",
    ],
    "payments.md": [
        f"up to {MOST_ITEMS:,} of them",
        f"counts up to {LATENESS_MINUTES} minutes late",
        f"has not begun ({monitor.AHEAD.total_seconds():.0f} s of grace)",
        f"rows older than {monitor.LIVE_MINUTES} minutes count as a file",
        f"again every {WORDS[REPEAT_AFTER.total_seconds() / 3_600]} hours until it is acknowledged",
        f"no message has waited for {WORDS[live._OUTBOX_MAY_WAIT.total_seconds() / 3_600]}",
    ],
    "runs.md": [f"({folders._LEAST_FREE_BYTES / 1e9:g} and {2 * folders._LEAST_FREE_BYTES / 1e9:g} GB free)"],
    "decisions/change-stream.md": [f"Objects begin at least {Options.object_seconds * 1_000:g} ms apart"],
}
"""By document: what it states, with the figures of the code."""


@pytest.mark.parametrize("page", STATEMENTS)
def test_a_document_states_the_figures_of_the_code(page: str) -> None:
    assert missing(STATEMENTS[page], (DOCS / page).read_text("utf-8")) == []


def test_a_figure_that_the_code_does_not_have_is_found() -> None:
    page = (DOCS / "stream.md").read_text("utf-8").replace("1.5 GB", "3 GB")
    assert missing(STATEMENTS["stream.md"], page) == ["Above 1.5 GB it raises an alarm"]


def test_each_kind_of_key_has_the_limit_of_the_record() -> None:
    assert {kind.name for kind in KINDS if kind.most_sharers == HUBS[0]} == {"code_burst", "code_agent", "phone_range"}
    assert {kind.name for kind in KINDS if kind.most_sharers == HUBS[1]} == {
        "ip",
        "subnet",
        "mailbox_stem",
        "mail_domain",
    }
    assert {kind.name for kind in KINDS if kind.most_sharers is None} == {
        "device",
        "email",
        "phone",
        "phone_block",
        "ring_place",
    }
