"""The page of promotions' rules: write them, test them on the stored accounts, save them, follow those in shadow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypedDict

import pandas as pd
from fastapi import Form, Request
from starlette.responses import Response

from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.promotions.rules import GRAMMAR
from quintet.promotions.service import PromotionsService
from quintet.promotions.store import shadow_summary
from quintet.rules.backtest import Backtest
from quintet.rules.saving import declared_lists, drop_shadow, rules_now
from quintet.rules.store import RuleChange, changes_of, entry_counts
from quintet.web.addresses import redirect
from quintet.web.audit import audited, not_audited
from quintet.web.forms import as_request_fault
from quintet.web.pages.promotions_try import PATH as PROMOTIONS_PATH
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.rendering import Kpi, Table
from quintet.web.routes.promotions_rules import saved, tested
from quintet.web.rule_answers import RulesToSave, author_of, rule_problems
from quintet.web.security import guarded_router
from quintet.web.service import service_of

_reading = guarded_router("promotions:read", include_in_schema=False)
_saving = guarded_router("promotions:rules", include_in_schema=False)
ROUTERS = (_reading, _saving)

PATH = f"{PROMOTIONS_PATH}/rules"
BACKTEST_PATH, DROP_PATH = f"{PATH}/backtest", f"{PATH}/shadow/drop"

_MOST_VERSIONS, _MOST_VERDICTS = 20, 20
_EXAMPLE = """version = "1"

[[rule]]
when = 'cluster_size >= 5 and is_email_verified is false'
decision = "block"
code = "UNVERIFIED_CLUSTER"
sentence = "Five or more linked accounts, and this one never confirmed its e-mail address."
"""
_MOVE_COLUMNS = (
    Column("move", "Change"),
    Column("subjects", "Accounts", "count"),
    Column("confirmed", "Confirmed abusers", "count"),
    Column("honest", "Honest", "count"),
    Column("unlabelled", "Not labelled", "count"),
    Column("worth", "Discounts granted, at least", "count"),
)
_SAMPLE_COLUMNS = (
    Column("user_id", "Account", "identifier"),
    Column("move", "Change"),
    Column("label", "Label"),
)
_SPOKEN_COLUMNS = (Column("code", "Rule or list"), Column("subjects", "Applies to accounts", "count"))
_VERSION_COLUMNS = (
    Column("at", "Changed at (UTC)"),
    Column("version", "Version"),
    Column("action", "Change"),
    Column("by", "By"),
    Column("note", "Why"),
)
_LIST_COLUMNS = (
    Column("name", "List"),
    Column("figure", "Compared with"),
    Column("matches", "By"),
    Column("action", "Does by itself"),
    Column("entries", "Entries", "count"),
)
_VERDICT_COLUMNS = (
    Column("at", "Judged at (UTC)"),
    Column("user_id", "Account", "identifier"),
    Column("move", "Active, in shadow"),
    Column("codes", "Rules in shadow"),
)
_FIGURE_COLUMNS = (
    Column("name", "Figure"),
    Column("kind", "Kind"),
    Column("unit", "Unit"),
    Column("description", "Meaning"),
)
_LABELS = {"confirmed": "abuser", "honest": "honest", "unlabelled": "not labelled"}
_ACTIONS = {"activate": "activated", "shadow": "in shadow", "drop": "dropped"}


class RulesContext(TypedDict):
    """The rules. text: of the form. problem: why it cannot be saved. asks: whether a second confirmation is needed.

    shadow: the version in shadow with its days and sign-ups in words; empty without one. tested: of the backtest.
    """

    text: str
    note: str
    problem: str
    asks: bool
    fault: str
    active: str
    shadow: str
    save_path: str
    backtest_path: str
    drop_path: str
    back_url: str
    tested: Sequence[Kpi]
    moves: Table
    samples: Table
    spoken: Table
    verdicts: Table
    lists: Table
    versions: Table
    figures: Table


@_reading.get(PATH)
def rules_page(request: Request) -> Response:
    """Show the rules, or an example where there are none."""
    now = rules_now(service_of(request).store, GRAMMAR)
    change = now.active or now.shadow
    return _shown(request, change.content if change else _EXAMPLE)


@_reading.post(BACKTEST_PATH)
@not_audited("nothing is stored")
def backtest_form(request: Request, text: Annotated[str, Form()] = "", note: Annotated[str, Form()] = "") -> Response:
    """Show what the rules of the form would change."""
    try:
        with rule_problems("Rules"):
            _, found = tested(request, _plain(text))
    except ProblemError as error:
        return _shown(request, text, note, problem=error)
    return _shown(request, text, note, found)


@_saving.post(PATH)
@audited("rules.save")
def save_form(
    request: Request,
    text: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    mode: Annotated[str, Form()] = "shadow",
    confirmed: Annotated[bool, Form()] = False,
) -> Response:
    """Save the rules of the form, to decide at once or to run in shadow."""
    with as_request_fault("form"):
        as_mode: Literal["activate", "shadow"] = "activate" if mode == "activate" else "shadow"
        given = RulesToSave(text=_plain(text), mode=as_mode, note=note, confirmed=confirmed)
    try:
        saved(request, given)
    except ProblemError as error:
        return _shown(request, text, note, problem=error)
    return redirect(request, PATH)


@_saving.post(DROP_PATH)
@audited("rules.drop")
def drop_form(request: Request) -> Response:
    """End the rules in shadow."""
    service = service_of(request)
    drop_shadow(service.store, GRAMMAR, author_of(request, None))
    service.of(PromotionsService).index.refresh_rules()
    return redirect(request, PATH)


def _plain(text: str) -> str:
    """Return the text of a form with the line ends of a file."""
    return text.replace("\r\n", "\n")


def _shown(
    request: Request, text: str, note: str = "", found: Backtest | None = None, problem: ProblemError | None = None
) -> Response:
    service = service_of(request)
    now = rules_now(service.store, GRAMMAR)
    changes = list(reversed(changes_of(service.store, GRAMMAR.domain)))
    index = service.of(PromotionsService).index
    verdicts, summary = _verdicts(request, now.shadow)
    context: RulesContext = {
        "text": text,
        "note": note,
        "problem": problem.detail if problem is not None else "",
        "asks": problem is not None and problem.status == 409,  # conflict
        "fault": index.fault,
        "active": f"Version {now.active.version}, saved by {now.active.changed_by}" if now.active else "",
        "shadow": summary,
        "save_path": PATH,
        "backtest_path": BACKTEST_PATH,
        "drop_path": DROP_PATH,
        "back_url": PROMOTIONS_PATH,
        "tested": _key_figures(found) if found is not None else [],
        "moves": _moves(found),
        "samples": _samples(found),
        "spoken": Table(
            pd.DataFrame(
                [{"code": one.code, "subjects": one.subjects} for one in (found.rules if found else ())],
                columns=["code", "subjects"],
            ),
            _SPOKEN_COLUMNS,
            "What each rule applies to",
            len(found.rules) if found else 0,
        ),
        "verdicts": verdicts,
        "lists": _lists(request),
        "versions": _versions(changes),
        "figures": Table(
            pd.DataFrame(
                [
                    {"name": one.name, "kind": one.kind, "unit": one.unit, "description": one.description}
                    for one in GRAMMAR.figures.values()
                ]
            ),
            _FIGURE_COLUMNS,
            "Figures that conditions may name",
            len(GRAMMAR.figures),
        ),
    }
    return show(
        request, "promotions_rules.html", "Rules of promotions", context, status=problem.status if problem else 200
    )


def _key_figures(found: Backtest) -> list[Kpi]:
    of_all = f"of {counted(found.subjects, 'account')}"
    return [
        Kpi("Would be blocked", found.after["block"], "count", basis=f"{found.before['block']:,} now, {of_all}"),
        Kpi("Would go to review", found.after["review"], "count", basis=f"{found.before['review']:,} now, {of_all}"),
        Kpi(
            "Discounts saved", round(found.saved), "count", basis="granted to confirmed abusers newly blocked, at least"
        ),
        Kpi(
            "Discounts withheld", round(found.forgone), "count", basis="granted to honest users newly blocked, at least"
        ),
    ]


def _moves(found: Backtest | None) -> Table:
    rows = [
        {"move": f"{one.before} to {one.after}", **{name: getattr(one, name) for name in _names(_MOVE_COLUMNS)[1:]}}
        for one in (found.moves if found else ())
    ]
    return Table(
        pd.DataFrame(rows, columns=_names(_MOVE_COLUMNS)),
        _MOVE_COLUMNS,
        "What would change",
        len(rows),
        nothing="No decision would change.",
    )


def _samples(found: Backtest | None) -> Table:
    rows = [
        {"user_id": user_id, "move": f"{one.before} to {one.after}", "label": _LABELS[label]}
        for one in (found.moves if found else ())
        for label, ids in one.samples.items()
        for user_id in ids
    ]
    return Table(
        pd.DataFrame(rows, columns=_names(_SAMPLE_COLUMNS)),
        _SAMPLE_COLUMNS,
        "Samples of each change",
        len(rows),
        link=("user_id", f"{PROMOTIONS_PATH}?user={{user_id}}#to-judge"),
        nothing="No decision would change.",
    )


def _lists(request: Request) -> Table:
    service = service_of(request)
    counts = entry_counts(service.store, GRAMMAR.domain, service.clock())
    rows = [
        {
            "name": one.name,
            "figure": one.figure,
            "matches": one.matches.replace("_", " "),
            "action": one.action,
            "entries": counts.get(one.name, 0),
        }
        for one in declared_lists(service.store, GRAMMAR).values()
    ]
    return Table(
        pd.DataFrame(rows, columns=_names(_LIST_COLUMNS)),
        _LIST_COLUMNS,
        "Lists",
        len(rows),
        nothing="No rules declare a list. Add a section [[list]] to the rules.",
    )


def _versions(changes: Sequence[RuleChange]) -> Table:
    rows = [
        {
            "at": f"{one.changed_at:%Y-%m-%d %H:%M}",
            "version": one.version,
            "action": _ACTIONS[one.action],
            "by": one.changed_by,
            "note": one.note,
        }
        for one in changes[:_MOST_VERSIONS]
    ]
    return Table(
        pd.DataFrame(rows, columns=_names(_VERSION_COLUMNS)),
        _VERSION_COLUMNS,
        "Versions",
        len(changes),
        nothing="No rules are saved yet.",
    )


def _verdicts(request: Request, shadow: RuleChange | None) -> tuple[Table, str]:
    """Return the last verdicts of the version in shadow, and its state in words."""
    rows: list[dict[str, str]] = []
    words = ""
    if shadow is not None:
        service = service_of(request)
        found = shadow_summary(service.store, shadow.version, shadow.changed_at, _MOST_VERDICTS)
        rows = [
            {
                "at": f"{one.judged_at:%Y-%m-%d %H:%M}",
                "user_id": one.user_id,
                "move": f"{one.decision}, {one.shadow_decision}",
                "codes": ", ".join(one.codes),
            }
            for one in found.last
        ]
        otherwise = sum(count for (was, would), count in found.moves.items() if was != would)
        words = (
            f"Version {shadow.version} runs in shadow since {shadow.changed_at:%Y-%m-%d %H:%M} UTC: of "
            f"{counted(found.judged, 'sign-up')} it would have decided {otherwise:,} otherwise."
        )
    table = Table(
        pd.DataFrame(rows, columns=_names(_VERDICT_COLUMNS)),
        _VERDICT_COLUMNS,
        "Decided otherwise in shadow",
        len(rows),
        link=("user_id", f"{PROMOTIONS_PATH}?user={{user_id}}#to-judge"),
        nothing="No sign-up would have been decided otherwise yet.",
    )
    return table, words


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


CONTEXTS = {"promotions_rules.html": RulesContext}
