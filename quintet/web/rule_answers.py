"""Requests and answers about rules that the routes of several businesses share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from quintet.rules.figures import RuleGrammar
from quintet.rules.lines import FormError
from quintet.rules.lists import EntryError
from quintet.rules.rule_set import LONGEST_TEXT
from quintet.rules.saving import Author, ConfirmationError, change_list, declared_lists, drop_shadow, rules_now
from quintet.rules.store import EntryChange, RuleChange, entry_counts
from quintet.web.problems import ProblemError
from quintet.web.service import service_of
from quintet.web.times import RecordedMoment

_MOST_ENTRIES = 10_000

RulesText = Annotated[str, Field(max_length=LONGEST_TEXT, description="The rules as TOML; see docs/rules.md.")]
Note = Annotated[str, Field(max_length=1_000)]


ListName = Annotated[str, Path(pattern="^[a-z0-9_]{1,64}$", description="Name of the list in the rules.")]


class RulesGiven(BaseModel):
    """Rules to test."""

    model_config = ConfigDict(extra="forbid")

    text: RulesText


class RulesToActivate(RulesGiven):
    """Rules to save, which decide at once."""

    note: Note | None = None


class RulesToSave(RulesToActivate):
    """Rules to save. mode: whether they decide at once, or run in shadow."""

    mode: Literal["activate", "shadow"] = "activate"
    confirmed: bool = Field(False, description="Whether to save rules that block more than 5% of the accounts.")


class NoteGiven(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    note: Note | None = None


class EntryGiven(BaseModel):
    """An entry of a list. is_member: false removes it."""

    model_config = ConfigDict(extra="forbid")

    entry: Annotated[str, Field(max_length=400)] = Field(examples=["203.0.113.0/24"])
    expires_at: RecordedMoment | None = Field(None, description="When it ends; UTC without an offset.")
    is_member: bool = True


class EntriesGiven(BaseModel):
    """Entries to add to a list or to remove from it, all or none."""

    model_config = ConfigDict(extra="forbid")

    entries: list[EntryGiven] = Field(max_length=_MOST_ENTRIES)
    note: Note | None = None


class Version(BaseModel):
    """A version of the rules."""

    version: str
    text: str
    changed_at: dt.datetime
    changed_by: str
    note: str | None

    @classmethod
    def of(cls, change: RuleChange | None) -> Version | None:
        """Return the version of a change."""
        if change is None:
            return None
        return cls(
            version=change.version,
            text=change.content,
            changed_at=change.changed_at,
            changed_by=change.changed_by,
            note=change.note,
        )


class RuleFigureAnswered(BaseModel):
    """A figure that conditions may name."""

    name: str
    kind: str
    unit: str
    description: str


class Rules(BaseModel):
    """The active rules and those in shadow, null without any; the entries of each list; what conditions may name."""

    active: Version | None
    shadow: Version | None
    lists: dict[str, int]
    figures: list[RuleFigureAnswered]
    fault: str | None = Field(description="Why the last saved rules are not active; null if they are.")


class SpokenAnswered(BaseModel):
    """How many accounts a reason applies to."""

    code: str
    subjects: int


class EntriesChanged(BaseModel):
    """How many entries were written, and how many the list has now."""

    written: int
    entries: int


@contextmanager
def rule_problems(where: str = "body.text") -> Iterator[None]:
    """Report faults of rules and lists as problems: 422 with the line or the entry, 409 for a confirmation, 404."""
    try:
        yield
    except FormError as error:
        raise ProblemError(422, f"{where}: {error}") from None
    except EntryError as error:
        raise ProblemError(422, f"body.entries: {error}") from None
    except ConfirmationError as error:
        raise ProblemError(409, f"{error} with `confirmed: true`") from None
    except LookupError as error:
        raise ProblemError(404, str(error.args[0])) from None


def author_of(request: Request, note: str | None) -> Author:
    """Return who sends the request."""
    return Author(request.state.key.name, service_of(request).clock(), note or None)


def answered_rules(request: Request, grammar: RuleGrammar, fault: str) -> Rules:
    """Return the rules of a business, its lists and its figures. fault: why the last saved rules are not active."""
    service = service_of(request)
    now = rules_now(service.store, grammar)
    counts = entry_counts(service.store, grammar.domain, service.clock())
    return Rules(
        active=Version.of(now.active),
        shadow=Version.of(now.shadow),
        lists={name: counts.get(name, 0) for name in declared_lists(service.store, grammar)},
        figures=[
            RuleFigureAnswered(name=one.name, kind=one.kind, unit=one.unit, description=one.description)
            for one in grammar.figures.values()
        ],
        fault=fault or None,
    )


def dropped_shadow(request: Request, grammar: RuleGrammar, note: str | None) -> Version | None:
    """End the rules in shadow, and return them. Raises ProblemError 404 without any."""
    dropped = drop_shadow(service_of(request).store, grammar, author_of(request, note))
    if dropped is None:
        raise ProblemError(404, "no rules run in shadow")
    return Version.of(dropped)


def changed_entries(request: Request, grammar: RuleGrammar, name: str, given: EntriesGiven) -> EntriesChanged:
    """Change a list; return how many entries were written. Raises ProblemError for a list or an entry that is none."""
    service = service_of(request)
    changes = [EntryChange(one.entry, one.expires_at, one.is_member) for one in given.entries]
    with rule_problems():
        written = change_list(service.store, grammar, name, changes, author_of(request, given.note))
    return EntriesChanged(
        written=written, entries=entry_counts(service.store, grammar.domain, service.clock()).get(name, 0)
    )
