"""Rules of promotions: the figures of an account that they may name, and how they change its decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.identity import KeyRules, phone_key
from quintet.promotions.policy import DECISIONS
from quintet.promotions.reasons import Reason
from quintet.rules.evaluate import Column, Evaluator, Texts, Verdicts, codes_by_row
from quintet.rules.figures import TEXT_KINDS, RuleFigure, RuleGrammar, by_name

_TEXTS = {
    "user_id": ("text", "Id of the user."),
    "email": ("email", "E-mail address; a list of domains matches its subdomains too."),
    "phone": ("phone", "Phone number, with the calling code of most users where it has none."),
    "ip_address": ("address", "Address of the sign-up."),
    "device_id": ("text", "Device of the sign-up."),
    "user_agent": ("text", "Browser or app of the sign-up."),
    "first_name": ("text", "First name."),
    "last_name": ("text", "Last name."),
}
_SHARED = {
    "accounts_on_device": ("device_shared", "Accounts that signed up from this device, itself included."),
    "accounts_on_email": ("email_shared", "Accounts with this mailbox, itself included."),
    "accounts_on_phone": ("phone_shared", "Accounts with this phone number, itself included."),
    "accounts_on_ip": ("ip_shared", "Accounts that signed up from this address, itself included."),
}
_NUMBERS = (
    RuleFigure("score", "number", "The model's probability of abuse, from 0 to 1."),
    RuleFigure("cluster_size", "number", "Accounts in its cluster, itself included."),
    RuleFigure("uses", "number", "Uses of codes."),
    RuleFigure("codes", "number", "Different codes used."),
    RuleFigure("age_years", "number", "Age at sign-up.", "years"),
    RuleFigure("days_to_first_use", "number", "From sign-up to the first use of a code.", "days"),
    RuleFigure("is_email_verified", "flag", "Whether the user has confirmed the e-mail address."),
    RuleFigure("is_phone_verified", "flag", "Whether the user has confirmed the phone number."),
    *(RuleFigure(name, "number", what) for name, (_, what) in _SHARED.items()),
)

GRAMMAR = RuleGrammar(
    domain="promotions",
    figures=by_name([*_NUMBERS, *(RuleFigure(name, kind, what) for name, (kind, what) in _TEXTS.items())]),  # type: ignore[arg-type]  # the kinds are literals
    decisions=("allow", "block", "review"),
    subject="account",
    blocking="block",
    list_decisions={"allow": "allow", "block": "block", "watch": "review"},
)


OWN_FIGURES = ("user_id", "score")
"""Figures that other tables than `ml.abuse_figures` have."""


@dataclass(frozen=True)
class Judged:
    """What is known of accounts when rules apply: their evidence by row, scores, cluster sizes and key rules."""

    accounts: Accounts
    evidence: np.ndarray
    score: np.ndarray
    cluster_size: np.ndarray
    key_rules: KeyRules


def columns_of(judged: Judged, needs: Collection[str]) -> dict[str, Column]:
    """Return the figures that rules need, a column each: of a batch, or of the sign-ups that just arrived."""
    return {name: _COLUMNS[name](judged) for name in needs}


def _text(name: str) -> Callable[[Judged], Column]:
    return lambda judged: Texts.of(judged.accounts.fields[name])


def _phone(judged: Judged) -> Column:
    return Texts.of(judged.accounts.fields["phone"]).mapped(lambda phone: phone_key(phone, judged.key_rules) or phone)


def _shared(evidence: str) -> Callable[[Judged], Column]:
    place = EVIDENCE.index(evidence)
    return lambda judged: np.rint(np.exp2(judged.evidence[:, place]))


_COLUMNS: Mapping[str, Callable[[Judged], Column]] = {
    **{name: _text(name) for name in _TEXTS},
    "phone": _phone,
    "score": lambda judged: judged.score,
    "cluster_size": lambda judged: np.asarray(judged.cluster_size, dtype=float),
    "uses": lambda judged: np.asarray(judged.accounts.uses, dtype=float),
    "codes": lambda judged: np.diff(judged.accounts.code_start).astype(float),
    "age_years": lambda judged: judged.accounts.age_years,
    "days_to_first_use": lambda judged: judged.accounts.use_lag_days,
    "is_email_verified": lambda judged: 1 - judged.accounts.unverified_email,
    "is_phone_verified": lambda judged: 1 - judged.accounts.unverified_phone,
    **{name: _shared(evidence) for name, (evidence, _) in _SHARED.items()},
}


@dataclass(frozen=True)
class ActiveRules:
    """The rules that decide, and those that run in shadow beside them."""

    active: Evaluator | None = None
    shadow: Evaluator | None = None

    def reason(self, code: str) -> Reason | None:
        """Return the reason of a code of the active rules; None for a code of the model."""
        sentence = None if self.active is None else self.active.rules.sentences.get(code)
        return None if sentence is None else Reason(code, sentence)


NO_RULES = ActiveRules()


@dataclass(frozen=True)
class ShadowVerdict:
    """What the rules in shadow would have decided, and the reasons of those that apply."""

    version: str
    decision: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Ruled:
    """Decisions and reason codes after rules, one per account. verdicts: what the rules said."""

    decisions: np.ndarray
    reasons: list[list[str]]
    verdicts: Verdicts | None


def ruled(
    rules: Evaluator | None, judged: Judged, by_score: np.ndarray, reasons: list[list[str]], at_s: float
) -> Ruled:
    """Return the decisions after rules: theirs where one applies, else that of the score.

    by_score, reasons: the policy's decision and the model's reasons of each account. at_s: now, in Unix seconds.
    """
    if rules is None:
        return Ruled(by_score, reasons, None)
    verdicts = rules.decide(columns_of(judged, rules.needs), len(by_score), at_s)
    return Ruled(decided(verdicts, by_score), codes_by_row(verdicts, reasons), verdicts)


def beside_shadow(
    rules: ActiveRules, judged: Judged, by_score: np.ndarray, reasons: list[list[str]], at_s: float
) -> tuple[Ruled, list[ShadowVerdict | None]]:
    """Return the decisions of the active rules, and the verdicts of those in shadow.

    There is no verdict where neither a rule in shadow applies nor the decision differs.
    """
    outcome = ruled(rules.active, judged, by_score, reasons, at_s)
    if rules.shadow is None:
        return outcome, [None] * len(by_score)
    without_reasons: list[list[str]] = [[] for _ in reasons]
    shadow = ruled(rules.shadow, judged, by_score, without_reasons, at_s)
    version = rules.shadow.rules.version
    return outcome, [
        ShadowVerdict(version, str(would), tuple(codes)) if codes or would != does else None
        for would, does, codes in zip(shadow.decisions, outcome.decisions, shadow.reasons, strict=True)
    ]


def decided(verdicts: Verdicts, by_score: np.ndarray) -> np.ndarray:
    """Return each account's decision: that of the rules, or without one that of the score."""
    names = np.array([*GRAMMAR.decisions, DECISIONS[0]], dtype=object)
    return np.where(verdicts.decision >= 0, names[verdicts.decision], by_score)


def figure_schema() -> pa.Schema:
    """Return the columns of `ml.abuse_figures`."""
    return pa.schema(
        [("user_id", pa.string())]
        + [
            (figure.name, pa.string() if figure.kind in TEXT_KINDS else pa.float64())
            for figure in GRAMMAR.figures.values()
            if figure.name not in OWN_FIGURES
        ]
    )


def figure_table(judged: Judged) -> pa.Table:
    """Return the figures of accounts as a table."""
    schema = figure_schema()
    columns = columns_of(judged, schema.names)
    return pa.table([_array(columns[name]) for name in schema.names], schema=schema)


def _array(column: Column) -> pa.Array:
    if isinstance(column, Texts):
        places = pa.array(column.place, mask=column.place < 0)
        return pa.array(column.values, pa.string()).take(places)
    return pa.array(column, pa.float64(), from_pandas=True)
