"""Decide applications as they arrive: wait for features, score, decide, log, answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from quintet.lending.active import Serving
from quintet.lending.application import Application, why_day_not_begun, why_not_covered, why_untimely
from quintet.lending.contract import USER
from quintet.lending.decide import Figures, Known, decided
from quintet.lending.decision_log import DecisionLog, DecisionRecord
from quintet.lending.endpoint import NoScoreError, ScoredBy, Scorer
from quintet.lending.feature_registry import features, tables_behind
from quintet.lending.online import AtApplication, OnlineFeatures
from quintet.lending.policy import Policy
from quintet.state.faults import STATE_FAULTS

_POLL_SECONDS = 0.001
_SHARE_FOR_FEATURES = 0.6


class ConflictError(ValueError):
    """The application was sent before with other content."""


class RefusedError(ValueError):
    """The application is not valid. field: the field at fault."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class NoPolicyError(RuntimeError):
    """No policy is active; the message says why."""


@dataclass(frozen=True)
class Answered:
    """The record in the log. is_repeat: whether it is from an earlier request."""

    record: DecisionRecord
    is_repeat: bool


class Decisions:
    """Decides applications. clock: UTC, with its zone. budget_seconds: time limit for features and score together."""

    def __init__(
        self,
        features: OnlineFeatures,
        log: DecisionLog,
        serving: Serving,
        scorer: Scorer,
        clock: Callable[[], dt.datetime],
        budget_seconds: float,
    ) -> None:
        self.log, self.serving, self.scorer = log, serving, scorer
        self._features, self._clock, self._budget = features, clock, budget_seconds
        self._under_way: dict[int, tuple[str, asyncio.Future[Answered]]] = {}
        self._applied: asyncio.Future[None] | None = None
        self._poll: asyncio.Task[None] | None = None
        self._waiting = 0

    def start(self) -> None:
        """Start the log's writer, and load policy and models."""
        self.log.start()
        self.serving.start()

    async def close(self) -> None:
        """Finish pending decisions and close."""
        await self.scorer.close()
        await asyncio.to_thread(self.serving.close)
        await asyncio.to_thread(self.log.close)

    async def decide(self, application: Application, asked_by: str) -> Answered:
        """Return the decision of an application: the one in the log, or else a new one, logged before this returns.

        Raises ConflictError, RefusedError, NoPolicyError.
        """
        began = time.perf_counter()
        found = self.log.of_application(application.application_id)
        if found is not None:
            return _repeated(application, found)
        under_way = self._under_way.get(application.application_id)
        if under_way is not None:
            identity, future = under_way
            if identity != application.identity:
                raise ConflictError(_conflict(application.application_id))
            return Answered((await asyncio.shield(future)).record, is_repeat=True)
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(_look_at)
        self._under_way[application.application_id] = application.identity, future
        try:
            answered = await self._decide(application, asked_by, began)
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else RuntimeError("the request was cancelled"))
            raise
        finally:
            del self._under_way[application.application_id]
        future.set_result(answered)
        return answered

    async def _decide(self, application: Application, asked_by: str, began: float) -> Answered:
        untimely = why_untimely(application, self._clock())
        if untimely is not None:
            raise RefusedError("submitted_at", untimely)
        not_begun = why_day_not_begun(application, self._clock())
        if not_begun is not None:
            raise RefusedError("applied_on", not_begun)
        active = self.serving.now
        if active.policy is None:
            raise NoPolicyError("; ".join(active.faults) or "no policy is active")
        known, waited = await self._known(application, active.policy, began)
        record = decided(
            application,
            known,
            active.policy,
            active.challenger,
            asked_by,
            self._clock(),
            round(waited * 1000, 3),
            round((time.perf_counter() - began) * 1000, 3),
        )
        kept = await asyncio.wrap_future(self.log.record(record))
        return Answered(record, is_repeat=False) if kept is record else _repeated(application, kept)

    async def _known(self, application: Application, policy: Policy, began: float) -> tuple[Known, float]:
        """Return the inputs that are available within the budget, and the seconds that the features took.

        Without features if a table behind a figure of policy or model is not complete up to the application's commit.
        """
        at, degraded_reason = await self._features_at(application, policy, began + self._budget * _SHARE_FOR_FEATURES)
        waited = time.perf_counter() - began
        incomplete = "; ".join(self._incomplete(at, policy)) if at is not None else ""
        if at is not None and incomplete:
            return Known(application.values(), at.version, at.applied_lsn, None, incomplete), waited
        if at is not None and at.values is None:
            raise RefusedError(
                "client_id",
                f"the CRM's table user has no client {application.client_id}, although the stream has applied the "
                "application's commit; commit the client first, or fix the id",
            )
        if at is not None:
            degraded_reason = why_not_covered(application.applied_on, self._features.covered_from())
        if at is None or at.values is None or degraded_reason is not None:
            return Known(application.values(), None, None, None, degraded_reason), waited
        figures = {**at.values, **application.values()}
        scored_by, degraded_reason = await self._score(figures, began + self._budget - time.perf_counter())
        return Known(figures, at.version, at.applied_lsn, scored_by, degraded_reason), waited

    def _incomplete(self, at: AtApplication, policy: Policy) -> list[str]:
        """Return why tables behind the figures of policy and model are not complete; empty if they are."""
        if not at.incomplete:
            return []
        inputs = self.scorer.inputs()
        used = tables_behind(features(), None if inputs is None else policy.needs | inputs) | {USER}
        return [at.incomplete[table] for table in sorted(used & at.incomplete.keys())]

    async def _score(self, figures: Figures, seconds: float) -> tuple[ScoredBy | None, str | None]:
        try:
            return await self.scorer.score(figures, max(seconds, 0.0)), None
        except NoScoreError as error:
            return None, str(error)

    async def _features_at(
        self, application: Application, policy: Policy, until: float
    ) -> tuple[AtApplication | None, str | None]:
        """Wait until the features cover the application and return them; None and the reason if that takes too long.

        Returns at once if a table is incomplete: waiting does not complete it.
        """
        while True:
            try:
                seen = self._features.store.version()
                at = self._features.features_at(
                    application.client_id, application.application_id, application.commit_lsn, application.applied_on
                )
                if at.is_covered or self._incomplete(at, policy):
                    return at, None
                left = until - time.perf_counter()
                if left <= 0 or not await self._await_change(seen, left):
                    return None, (
                        f"the stream had not applied the application's commit in time; it was at {at.applied_lsn}"
                    )
            except STATE_FAULTS as error:
                return None, f"the features cannot be read: {error}"

    async def _await_change(self, seen: int, seconds: float) -> bool:
        """Wait until the features change from version `seen`; False if they do not within `seconds`.

        One task polls for all waiting requests, so a stream that stands still costs little.
        """
        if self._features.store.version() != seen:
            return True
        loop = asyncio.get_running_loop()
        if self._applied is None or self._applied.done():
            self._applied = loop.create_future()
        self._waiting += 1
        if self._poll is None or self._poll.done():
            self._poll = loop.create_task(self._watch_features(seen))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._applied)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def _watch_features(self, seen: int) -> None:
        while self._waiting:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                version = self._features.store.version()
            except STATE_FAULTS:
                version = -1  # those who wait read again, and report it
            if version != seen:
                seen = version
                if self._applied is not None and not self._applied.done():
                    self._applied.set_result(None)


def _repeated(application: Application, found: DecisionRecord) -> Answered:
    if found.identity != application.identity:
        raise ConflictError(_conflict(application.application_id))
    return Answered(found, is_repeat=True)


def _conflict(application_id: int) -> str:
    return (
        f"application {application_id} was sent before with other content, and a decision cannot be changed. "
        "Give the changed application a new id"
    )


def _look_at(future: asyncio.Future[Answered]) -> None:
    """Retrieve the exception of a future, or asyncio logs it as never retrieved."""
    if not future.cancelled():
        future.exception()
