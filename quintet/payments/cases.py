"""Cases of payments: incidents to judge as true, false or expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from quintet.cases.kind import CaseKind, Option, Sources, Subject
from quintet.payments import store as payment_store
from quintet.payments.incidents import PENDING, WITHDRAWN, Incident, series_name
from quintet.payments.losses import Losses, losses_of, with_amounts
from quintet.payments.verdicts import EXPECTED, FALSE, TRUE, act

_COLUMNS = "incident_id, series, started_at, severity, expected, observed, group_id, peak_score, reason"


def in_build(marts: duckdb.DuckDBPyConnection, sources: Sources) -> Sequence[Subject]:
    """Return the incidents that a build found in files."""
    rows = marts.execute(f"select {_COLUMNS} from marts.fct_payment_incidents order by incident_id").fetchall()
    losses = losses_of(sources.settings)
    return [
        Subject(
            incident_id,
            f"{series_name(series).capitalize()}, {started:%Y-%m-%d %H:%M} UTC, {severity}",
            reason,
            _loss(losses, series, observed, expected),
            peak,
            group,
        )
        for incident_id, series, started, severity, expected, observed, group, peak, reason in rows
    ]


def in_service(sources: Sources) -> tuple[Sequence[Subject], int]:
    """Return the incidents of the live feed; one that late counts withdrew is over."""
    losses = with_amounts(losses_of(sources.settings), sources.store, sources.now)
    found = []
    for one in payment_store.incidents(sources.store):
        incident = Incident(**one.fields)
        if one.source != payment_store.LIVE or incident.state == PENDING:
            continue
        found.append(
            Subject(
                one.incident_id,
                f"{series_name(incident.series).capitalize()}, {incident.started_at:%Y-%m-%d %H:%M} UTC, "
                f"{incident.severity}",
                incident.reason,
                _loss(losses, incident.series, incident.observed, incident.expected),
                incident.peak_score,
                incident.group_id,
                origin="service",
                is_over=incident.state == WITHDRAWN,
            )
        )
    return found, 0


def _precision(marts: duckdb.DuckDBPyConnection) -> Callable[[float], float]:
    """Return the detector's own precision on days with known truth, whatever the score: its peak is no probability."""
    from quintet.payments.evaluation import OWN  # noqa: PLC0415  # the declaration of a domain loads no detector

    ((precision,),) = marts.execute(
        "select (1 + sum(found)) / (2 + sum(found) + sum(false_episodes)) from marts.fct_alert_evaluation "
        "where detector = ? and scope = 'all'",
        [OWN],
    ).fetchall()
    return lambda _: 0.5 if precision is None else float(precision)


def _loss(losses: Losses, series: str, observed: float, expected: float) -> float:
    return round(abs(observed - expected) * losses.value_of(series), 2)


INCIDENT = CaseKind(
    domain="payments",
    name="incident",
    what="incident",
    group_what="incidents of the same time",
    options=(
        Option(TRUE, "True", "Counts for the detector; nothing else changes.", "a"),
        Option(FALSE, "False alarm", "Counts against the detector.", "r"),
        Option(
            EXPECTED,
            "Expected",
            "Silences the series at these hours of the week for 13 weeks, with an hour before and after.",
            "e",
            needs_reason=True,
        ),
    ),
    in_build=in_build,
    exists="select incident_id from marts.fct_payment_incidents",
    in_service=in_service,
    act=act,
    truth={TRUE: True, FALSE: False},
    probability=_precision,
    table="payment_verdicts",
    evidence="quintet.web.cases.payments",
    page="/payments",
)
