"""Generate a loan book: clients, loans and payments of a CRM, with their true default risk.

Its shares are as in the real dump: of the loans 40% are applications, 10% active, 40% paid, 10% overdue; 6% of the
payments are late, 16% are dated in the future (placeholders of the schedule), a few belong to no loan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from quintet.samples.seeding import faker, generator

SCHEMA = Path(__file__).with_name("lending_schema.sql")
"""The statements that create the three tables."""

# Log-odds of default. Amount and duration have the greatest effect, as in real loan books; age and an unobserved trait
# of the client add the rest. A fifth of the ended loans were not paid back.
_RISK_OF_AVERAGE_LOAN = -1.75
_RISK_OF_AMOUNT = 1.0  # each standard deviation of its logarithm
_RISK_OF_DURATION = 0.9  # each factor e over 30 days
_YOUTH_RISK = 0.2  # each twelve years below 35
_TRAIT_RISK = 0.45  # each standard deviation
_LATENESS = 2.5  # a client's tendency affects late payments more than defaults
_AMOUNT_MIDDLE, _AMOUNT_SPREAD = 6.2, 0.7  # of its logarithm
_LARGEST_PAID_COUNT = 11


@dataclass(frozen=True)
class LendingWorld:
    """Size and time of a book, and how it drifts.

    clients: rows of "user"; as_of: the day of the dump; years: how far back it goes. From `drifts_days` before that on,
    loans have `risk_later` higher log-odds of default than amount, duration and client say, and amounts are larger by
    `amount_later` standard deviations of their logarithm.
    """

    clients: int = 114_000
    as_of: date = date(2020, 8, 23)
    years: int = 5
    drifts_days: int = 365
    risk_later: float = 0.0
    amount_later: float = 0.0


@dataclass(frozen=True)
class LoanBook:
    """The three tables, dates as datetime64[s], and the true risk.

    truth: loan_id, client_id, default_probability of every loan, including applications that were never issued.
    """

    user: pd.DataFrame
    loan: pd.DataFrame
    payment: pd.DataFrame
    truth: pd.DataFrame


def make_book(world: LendingWorld, seed: int) -> LoanBook:
    """Generate the book of `world`; the same seed gives the same rows."""
    clients, tendency = _clients(world, seed)
    loans = _loans(world, seed, clients, tendency)
    payments = _payments(world, seed, loans, tendency)
    truth = loans[["id", "client_id", "default_probability"]].rename(columns={"id": "loan_id"})
    return LoanBook(clients, loans.drop(columns="default_probability"), payments, truth)


def _clients(world: LendingWorld, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = generator(seed, "lending clients")
    count, last = world.clients, np.datetime64(world.as_of, "D")
    fake = faker(rng)
    first_names = np.array(sorted({fake.first_name() for _ in range(400)}))
    last_names = np.array(sorted({fake.last_name() for _ in range(800)}))
    created = np.sort(last - (world.years * 365 * rng.beta(1.0, 1.2, count)).astype("timedelta64[D]"))
    age_years = np.clip(rng.gamma(6.0, 6.5, count) + 16, 18, 88)
    born = created - (age_years * 365.25).astype("timedelta64[D]")
    youth = (35 - age_years) / 12
    tendency = _YOUTH_RISK * youth + _TRAIT_RISK * rng.standard_normal(count)
    clients = pd.DataFrame(
        {
            "id": np.arange(1, count + 1),
            "created_on": _days(created),
            "first_name": rng.choice(first_names, count),
            "last_name": rng.choice(last_names, count),
            "birth_date": _days(born),
            "personal_code": np.char.add(
                np.char.replace(np.datetime_as_string(born, "D"), "-", ""),
                np.char.zfill(np.arange(count).astype(str), 7),
            ),
        }
    )
    return clients, tendency


def _loans(world: LendingWorld, seed: int, clients: pd.DataFrame, tendency: np.ndarray) -> pd.DataFrame:
    rng = generator(seed, "lending loans")
    last, joined = np.datetime64(world.as_of, "D"), clients["created_on"].to_numpy().astype("datetime64[D]")
    borrowed = rng.random(world.clients) < 0.545
    issued_each = np.where(borrowed, np.minimum(rng.geometric(0.61, world.clients), _LARGEST_PAID_COUNT), 0)
    applied_each = rng.poisson(0.592, world.clients)
    each = issued_each + applied_each
    client = np.repeat(np.arange(world.clients), each)
    count = len(client)
    first = np.concatenate([[0], np.cumsum(each)[:-1]])
    is_issued = np.arange(count) - first[client] < issued_each[client]
    known = np.maximum((last - joined).astype(int), 1)
    duration = rng.choice([7, 14, 30, 60, 90, 180, 360], count, p=[0.05, 0.1, 0.35, 0.2, 0.15, 0.1, 0.05])
    created = joined[client] + (known[client] * rng.random(count)).astype("timedelta64[D]")
    matured = created + duration.astype("timedelta64[D]")
    is_later = created >= last - world.drifts_days
    size = rng.lognormal(_AMOUNT_MIDDLE, _AMOUNT_SPREAD, count)
    size *= np.exp(np.where(is_later, world.amount_later * _AMOUNT_SPREAD, 0.0))
    amount = np.round(np.clip(size, 50, 10_000), -1)
    risk = expit(
        _RISK_OF_AVERAGE_LOAN
        + _RISK_OF_AMOUNT * (np.log(amount) - _AMOUNT_MIDDLE) / _AMOUNT_SPREAD
        + _RISK_OF_DURATION * np.log(duration / 30)
        + tendency[client]
        + np.where(is_later, world.risk_later, 0.0)
    )
    draw, active_draw = rng.random(count), rng.random(count)
    open_still = (matured > last) | (active_draw < 0.012)
    defaulted = draw < risk
    status = np.select([~is_issued, open_still, defaulted], ["application", "active", "overdue"], "paid")
    delay = rng.geometric(0.35, count) - 3
    paid_on = np.clip(matured + delay.astype("timedelta64[D]"), created + 1, last)
    updated = np.select([status == "paid", status == "overdue"], [paid_on, np.minimum(matured + 1, last)], created)
    loans = pd.DataFrame(
        {
            "client_id": client + 1,
            "amount": amount,
            "created_on": _days(created),
            "duration": duration,
            "matured_on": _days(np.where(status == "application", np.datetime64("NaT"), matured)),
            "status": status,
            "updated_on": _days(updated),
            "default_probability": np.round(risk, 6),
        }
    ).sort_values(["created_on", "client_id"], kind="stable", ignore_index=True)
    loans.insert(0, "id", np.arange(1, count + 1))
    return loans


def _payments(world: LendingWorld, seed: int, loans: pd.DataFrame, tendency: np.ndarray) -> pd.DataFrame:
    """Generate payments: received ones, placeholders of payments that are due, and a few that belong to no loan."""
    rng = generator(seed, "lending payments")
    last = np.datetime64(world.as_of, "D")
    status = loans["status"].to_numpy().astype(str)
    received = np.select(
        [status == "paid", status == "overdue", status == "active"],
        [1 + (rng.random(len(loans)) < 0.2), rng.random(len(loans)) < 0.5, rng.random(len(loans)) < 0.45],
        0,
    ).astype(int)
    placeholders = np.where(status == "active", rng.integers(0, 3, len(loans)), 0) + np.where(
        status == "overdue", (rng.random(len(loans)) < 0.15).astype(int), 0
    )
    each = received + placeholders
    row = np.repeat(np.arange(len(loans)), each)
    first = np.concatenate([[0], np.cumsum(each)[:-1]])
    number = np.arange(len(row)) - first[row]
    is_due = number >= received[row]
    loan = loans.iloc[row]
    created = loan["created_on"].to_numpy().astype("datetime64[D]")
    until = np.where(status[row] == "paid", loan["updated_on"].to_numpy().astype("datetime64[D]"), last)
    days_out = np.maximum((until - created).astype(int), 0)
    is_last = number == received[row] - 1
    share = np.where(is_last & (status[row] == "paid"), 1.0, rng.random(len(row)))
    paid_on = created + (days_out * share).astype("timedelta64[D]")
    due_on = last + (1 + rng.integers(0, 120, len(row))).astype("timedelta64[D]")
    parts = np.where(status[row] == "paid", received[row], received[row] + placeholders[row] + 1)
    principle = np.round(loan["amount"].to_numpy() / parts, 2)
    interest = np.round(principle * loan["duration"].to_numpy() / 365 * rng.uniform(0.1, 0.6, len(row)), 2)
    late_chance = 0.024 + 0.29 * expit(-1.1 + _LATENESS * tendency[loan["client_id"].to_numpy() - 1])
    is_late = ~is_due & (rng.random(len(row)) < late_chance)
    payments = pd.DataFrame(
        {
            "loan_id": loan["id"].to_numpy(),
            "amount": np.round(principle + interest, 2),
            "principle": principle,
            "interest": interest,
            "status": np.where(is_late, "late", "on_time"),
            "created_on": _days(np.where(is_due, due_on, paid_on)),
        }
    )
    orphans = rng.random(len(payments)) < 0.002
    payments.loc[orphans, "loan_id"] += len(loans)
    payments = payments.sort_values(["created_on", "loan_id"], kind="stable", ignore_index=True)
    payments.insert(0, "id", np.arange(1, len(payments) + 1))
    return payments


def _days(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]").astype("datetime64[s]")
