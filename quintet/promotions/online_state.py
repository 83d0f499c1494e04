"""The current online index: built from a snapshot and the log of judgements, and rebuilt for a new snapshot.

Sign-ups are scored in the event loop: one takes less time than a switch to a thread and back.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from quintet.promotions.accounts import FLAGS, TEXTS, SignUp, Usage, accounts_of
from quintet.promotions.online_index import Judgement, OnlineIndex, Query
from quintet.promotions.result_tables import accounts_of_snapshot, model_of_snapshot
from quintet.promotions.rules import GRAMMAR, NO_RULES, ActiveRules, ShadowVerdict
from quintet.promotions.store import (
    JudgementRecord,
    VerdictRecord,
    insert_judgement,
    insert_verdict,
    sign_ups_after,
)
from quintet.rules.following import FollowedRules
from quintet.state.store import Connection, StateStore
from quintet.state.writer import Writer
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

_WATCH_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_TOGETHER_SECONDS = 0.002
_FEW = 100
_LOG_FIELDS = (*TEXTS, *FLAGS)

Logged = tuple[int, dict[str, Any], list[dict[str, Any]]]
"""A judgement in the log: its number, and the sign-up and usages as received."""


class NotReadyError(RuntimeError):
    """There is no index yet; the message says why and what to do."""


_Answer = tuple[OnlineIndex, Judgement, ShadowVerdict | None]
_Waiting = tuple[Query, float, asyncio.Future[_Answer]]
"""A query, its time in Unix seconds, and what it waits for."""


@dataclass(frozen=True)
class _Built:
    """last: the number of the last logged sign-up that the index has."""

    snapshot: Path
    index: OnlineIndex
    last: int


class OnlineState:
    """The index of the current snapshot and of all sign-ups scored since.

    serving: folder of the snapshots. on_error: called if a snapshot cannot be loaded; the previous index stays.
    """

    def __init__(self, store: StateStore, serving: Path, on_error: Callable[[Exception], None]) -> None:
        self._store, self._serving, self._on_error = store, serving, on_error
        self._writer = Writer(store)
        self._swapping, self._following = threading.Lock(), threading.Lock()
        self._built: _Built | None = None
        self._tried: Path | None = None
        self._why_not = "the index of known users is being built; try again in a few seconds"
        self._first_try, self._closed = threading.Event(), threading.Event()
        self._waiting: list[_Waiting] = []
        self._followed, self._rules = FollowedRules(GRAMMAR), NO_RULES
        self._judged_at = -math.inf
        self._watcher = threading.Thread(target=self._watch, name="abuse index", daemon=True)

    def start(self) -> None:
        """Start to build the index, and to watch for new snapshots."""
        self._writer.start()
        self._watcher.start()

    def close(self) -> None:
        """Stop watching, and write the judgements that wait."""
        self._closed.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._writer.close()

    def index(self) -> OnlineIndex:
        """Return the index. Raises NotReadyError if there is none yet."""
        built = self._built
        if built is None:
            raise NotReadyError(self._why_not)
        return built.index

    async def judge_and_record(
        self,
        given: Mapping[str, Any],
        given_usages: Sequence[Mapping[str, Any]],
        judged_at: dt.datetime,
        judged_by: str,
        request_sha256: str,
        patience_seconds: float,
    ) -> Judgement:
        """Score the sign-up, add it to the index, and record both. They are on the disk when this returns.

        A request that is repeated gets the judgement that is in the log, whichever service made it. given,
        given_usages: JSON values, as the log stores them. request_sha256: digest of what was sent. Raises NotReadyError
        if there is no index within `patience_seconds`.
        """
        until = time.monotonic() + patience_seconds
        while not self._first_try.is_set() and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        sign_up = SignUp.of(given)
        usages = usages_of(sign_up.user_id, given_usages)
        index, judgement, shadow = await self._judged(Query(sign_up, usages, joins=True), judged_at.timestamp())
        record = JudgementRecord(
            user_id=sign_up.user_id,
            judged_at=judged_at,
            judged_by=judged_by,
            sign_up=given,
            usages=given_usages,
            score=judgement.score,
            decision=judgement.decision,
            reasons=[reason.code for reason in judgement.reasons],
            cluster_id=judgement.cluster_id,
            cluster_size=judgement.cluster_size,
            model_version=judgement.model_version,
            request_sha256=request_sha256,
        )
        verdict = None
        if shadow is not None:
            verdict = VerdictRecord(
                sign_up.user_id, judged_at, shadow.version, judgement.decision, shadow.decision, shadow.codes
            )
        stands = await asyncio.wrap_future(self._writer.run(partial(_record, record=record, verdict=verdict)))
        with self._swapping:
            # An index that was swapped in meanwhile has read the log without this sign-up.
            if self._built is not None and self._built.index is not index:
                self._built.index.add(sign_up, usages)
        return judgement if stands is record else _as_recorded(judgement, stands, index, self._rules)

    @property
    def rules(self) -> ActiveRules:
        """The rules that sign-ups are judged by now."""
        return self._rules

    @property
    def fault(self) -> str:
        """Why the last saved rules are not active; empty if they are."""
        return self._followed.fault

    def refresh_rules(self) -> None:
        """Use the rules and lists of the state store as they are now."""
        with self._following:  # not `_swapping`, which the event loop takes: a long list is read for seconds
            if self._followed.refresh(self._store):
                self._rules = ActiveRules(self._followed.active, self._followed.shadow)

    def _judged(self, query: Query, at_s: float) -> asyncio.Future[_Answer]:
        """Return the judgement and its index: at once after a pause, else in a batch of two milliseconds.

        A batch costs little more than one query, so no queue grows under load.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Answer] = loop.create_future()
        self._waiting.append((query, at_s, future))
        if len(self._waiting) == 1:
            loop.call_at(max(loop.time(), self._judged_at + _TOGETHER_SECONDS), self._judge_all)
        return future

    def _judge_all(self) -> None:
        together, self._waiting = self._waiting, []
        self._judged_at = asyncio.get_running_loop().time()
        try:
            index = self.index()
            at_s = max(at_s for _, at_s, _ in together)
            judged = index.judge_beside_shadow([query for query, _, _ in together], self._rules, at_s)
        except Exception as error:
            for _, _, future in together:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for (_, _, future), (judgement, shadow) in zip(together, judged, strict=True):
            if not future.cancelled():
                future.set_result((index, judgement, shadow))

    def refresh(self) -> bool:
        """Rebuild the index if the current snapshot is a new one; return whether there is a new index."""
        try:
            path = current_snapshot(self._serving)
        except NoSnapshotError as error:
            self._why_not = str(error)
            return False
        if path == self._tried:
            return False
        self._tried = path
        logged = sign_ups_after(self._store, 0)
        try:
            index = build_index(path, logged)
        except duckdb.Error:  # it may be readable in a moment
            self._tried = None
            raise
        if index is None:
            self._why_not = "the snapshot has no abuse model yet; run `make run SELECT=promotions`"
            return False
        last = logged[-1][0] if logged else 0
        while len(missed := sign_ups_after(self._store, last)) > _FEW:
            last = _add(index, missed)
        with self._swapping:
            last = _add(index, sign_ups_after(self._store, last)) or last
            self._built = _Built(path, index, last)
        return True

    def follow(self) -> None:
        """Add the sign-ups that other services have judged; those of this one are known already."""
        built = self._built
        if built is not None and (logged := sign_ups_after(self._store, built.last)):
            with self._swapping:
                self._built = _Built(built.snapshot, built.index, _add(built.index, logged))

    def _watch(self) -> None:
        while True:
            try:
                self.refresh_rules()
                if not self.refresh() and not self._store.is_file:
                    self.follow()
            except Exception as error:
                # Whatever is wrong with a snapshot, the previous index continues to answer.
                self._why_not = f"the index could not be built: {error}"
                self._on_error(error)
            self._first_try.set()
            if self._closed.wait(_WATCH_SECONDS):
                return


def _record(connection: Connection, record: JudgementRecord, verdict: VerdictRecord | None) -> JudgementRecord:
    """Write a judgement, with the verdict of rules in shadow, and return what stands: the first one of a request."""
    stands = insert_judgement(connection, record)
    if stands is record and verdict is not None:
        insert_verdict(connection, verdict)
    return stands


def _as_recorded(judgement: Judgement, record: JudgementRecord, index: OnlineIndex, rules: ActiveRules) -> Judgement:
    """Return the judgement that is in the log, with the links as they are now."""
    return replace(
        judgement,
        score=record.score,
        decision=record.decision,
        reasons=index.reasons(record.reasons, rules),
        cluster_id=record.cluster_id,
        cluster_size=record.cluster_size,
        model_version=record.model_version,
    )


def _add(index: OnlineIndex, logged: Sequence[Logged]) -> int:
    """Add the logged sign-ups; return the number of the last."""
    for _, sign_up, usages in logged:
        index.add(SignUp.of(sign_up), usages_of(sign_up["user_id"], usages))
    return logged[-1][0] if logged else 0


def build_index(snapshot: Path, logged: Sequence[Logged]) -> OnlineIndex | None:
    """Return the index of a snapshot's users and of further users in the log; None if the snapshot has no model.

    For a user in both, the fields of the snapshot and the uses of both are used.
    """
    with open_snapshot(snapshot) as cursor:
        found = model_of_snapshot(cursor)
        if found is None:
            return None
        users, usages = accounts_of_snapshot(cursor)
    model, policy = found
    new = {given["user_id"]: SignUp.of(given) for _, given, _ in reversed(logged)}
    if new:
        known = pc.is_in(pa.array(new), value_set=users["user_id"].combine_chunks())
        fresh = [one for one, is_known in zip(new.values(), known.to_pylist(), strict=True) if not is_known]
        users = pa.concat_tables([users, _users_table(fresh, users.schema)])
        used = [use for _, given, uses in logged for use in usages_of(given["user_id"], uses)]
        usages = pa.concat_tables([usages, _usages_table(used, usages.schema)])
    return OnlineIndex(accounts_of(users, usages), model, policy)


def usages_of(user_id: str, given: Sequence[Mapping[str, Any]]) -> list[Usage]:
    """Return the usages of a log entry."""
    return [Usage(user_id, use["promo_code"], _moment(use.get("used_at"))) for use in given]


def _users_table(sign_ups: Sequence[SignUp], schema: pa.Schema) -> pa.Table:
    rows = [
        {name: getattr(one, name) for name in _LOG_FIELDS} | {"created_at": _naive(one.created_at), "dob": one.dob}
        for one in sign_ups
    ]
    return pa.Table.from_pylist(rows, schema)


def _usages_table(usages: Sequence[Usage], schema: pa.Schema) -> pa.Table:
    rows = [{"user_id": use.user_id, "promo_code": use.promo_code, "used_at": _naive(use.used_at)} for use in usages]
    return pa.Table.from_pylist(rows, schema)


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _naive(at: dt.datetime | None) -> dt.datetime | None:
    return at if at is None or at.tzinfo is None else at.astimezone(dt.UTC).replace(tzinfo=None)
