"""Live counts by dimension: totals, what explains an incident, restarts, several services, many values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from quintet.domains import open_state_store
from quintet.payments import slices
from quintet.payments.dimensions import MOST_VALUES, OTHERS
from quintet.payments.items import Item
from quintet.payments.monitor import Monitor
from quintet.state.store import StateStore
from tests.unit.payments.minutes import FIRST, LATER, all_incidents, all_points, minute_of

DIMENSIONS = ("merchant", "issuer")
MERCHANTS = ("Acme", "Bolt", "Corner", "Dot")


@pytest.fixture
def plain_store(tmp_path: Path) -> Iterator[StateStore]:
    """Yield a second store."""
    with closing(open_state_store(tmp_path / "second")) as store:
        yield store


def of_values(number: int, denied: Sequence[int] = (3, 3, 3, 3), approved: Sequence[int] = (30,) * 4) -> list[Item]:
    """Return the items of a minute by merchant; the issuer of each second one is `one`, of the others `two`."""
    items = []
    for place, merchant in enumerate(MERCHANTS):
        values = (("merchant", merchant), ("issuer", ("one", "two")[place % 2]))
        items += [
            Item(FIRST + number, "approved", approved[place], values=values),
            Item(FIRST + number, "denied", denied[place], values=values),
        ]
    return items


def named(store: StateStore) -> list[tuple[str, str]]:
    return [(one.dimension, one.value) for found in slices.explanations(store).values() for one in found]


def test_an_incident_names_the_merchant_that_explains_it(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    monitor.take([of_values(number) for number in range(60)], LATER)
    monitor.take([of_values(60 + number, denied=(3, 60, 3, 3)) for number in range(4)], LATER)
    (found,) = slices.explanations(store).values()

    assert [(one.dimension, one.value) for one in found] == [("merchant", "bolt")]
    assert found[0].share == pytest.approx(1, abs=0.1)


def test_an_incident_of_all_merchants_names_none(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    monitor.take([of_values(number) for number in range(60)], LATER)
    monitor.take([of_values(60 + number, denied=(20, 20, 20, 20)) for number in range(4)], LATER)

    assert all_incidents(store)
    assert named(store) == []


def test_missing_approvals_name_the_merchant_without_any(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    usual = (30, 900, 30, 30)
    monitor.take([of_values(number, approved=usual) for number in range(180)], LATER)
    monitor.take([of_values(180 + number, approved=(30, 0, 30, 30)) for number in range(5)], LATER)

    assert ("merchant", "bolt") in named(store)


def test_the_points_are_those_of_the_sums(store: StateStore, plain_store: StateStore) -> None:
    """Monitoring by dimension judges the sums as monitoring without dimensions judges them."""
    monitor, plain = Monitor(store, dimensions=DIMENSIONS), Monitor(plain_store)
    for number in range(70):
        items = of_values(number, denied=(3, 60 if number > 60 else 3, 3, 3))
        sums = {"approved": 0, "denied": 0}
        for item in items:
            sums[item.status] += item.count
        monitor.take([items], LATER)
        plain.take([minute_of(number, **sums)], LATER)

    assert all_points(store) == all_points(plain_store)
    assert all_incidents(store) == all_incidents(plain_store)
    assert named(plain_store) == []


def test_without_dimensions_nothing_is_counted_by_value(store: StateStore) -> None:
    Monitor(store).take([of_values(number) for number in range(30)], LATER)

    assert store.read().execute("select count(*) from payment_slices").fetchone()[0] == 0


def test_a_count_that_is_sent_again_replaces_that_of_its_values_alone(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    first = of_values(0)
    monitor.take([first], LATER)
    (again,), change = monitor.take([first], LATER)
    assert again[0].is_accepted
    assert change.points == []

    monitor.take([[dataclasses.replace(first[0], count=90)]], LATER)
    counts = {point[0]: point[6] for point in all_points(store)}
    assert counts["volume"] == 90 + 3 * 30


def test_values_that_differ_in_case_alone_are_one_value_of_which_each_count_counts(store: StateStore) -> None:
    items = [Item(FIRST, "approved", 5, values=(("merchant", name),)) for name in ("Acme", "ACME", " acme\x00")]
    Monitor(store, dimensions=DIMENSIONS).take([items], LATER)
    rows = store.read().execute("select labels, sum(count) as count from payment_slices group by labels").fetchall()

    assert [(row["labels"], int(row["count"])) for row in rows] == [('{"merchant": "acme"}', 15)]


def test_transactions_count_once_by_value_and_replace_counts(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    ones = [Item(FIRST, "approved", 1, f"t{number % 7}", values=(("merchant", "acme"),)) for number in range(10)]
    monitor.take([[Item(FIRST, "approved", 500, values=(("merchant", "acme"),))], ones, ones], LATER)
    rows = store.read().execute("select kind, count from payment_slices").fetchall()

    assert [tuple(row) for row in rows] == [("transaction", 7)]


def test_services_on_one_store_and_restarts_explain_as_one_service(store: StateStore, plain_store: StateStore) -> None:
    requests = [of_values(number, denied=(3, 60 if number > 40 else 3, 3, 3)) for number in range(46)]
    alone = Monitor(plain_store, dimensions=DIMENSIONS)
    pair = [Monitor(store, dimensions=DIMENSIONS), Monitor(store, dimensions=DIMENSIONS)]
    for number, request in enumerate(requests):
        alone.take([request], LATER)
        pair[number % 2].take([request], LATER)
        if number == 43:
            pair[0] = Monitor(store, dimensions=DIMENSIONS)

    assert slices.explanations(store) == slices.explanations(plain_store)
    assert named(store) == [("merchant", "bolt")]
    trained = "select day, dimension, value, status, count from payment_value_days order by 1, 2, 3, 4"
    rows = [[tuple(row) for row in one.read().execute(trained).fetchall()] for one in (store, plain_store)]
    assert rows[0] == rows[1] != []


def test_minutes_of_an_incident_are_not_usual(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=DIMENSIONS)
    for number in range(80):
        monitor.take([of_values(number, denied=(3, 60 if 30 <= number < 50 else 3, 3, 3))], LATER)
    rows = store.read().execute(
        "select sum(count) as count from payment_value_days where value = 'bolt' and status = 'denied'"
    )

    assert int(rows.fetchone()["count"]) <= 3 * 60  # a few of the first bad minutes at most


def test_ten_thousand_values_are_folded_and_old_slices_deleted(store: StateStore) -> None:
    monitor = Monitor(store, dimensions=("merchant",))
    many = [Item(FIRST, "approved", 1, values=(("merchant", f"m{number}"),)) for number in range(10_000)]
    monitor.take([many], LATER)
    monitor.take([minute_of(number) for number in range(1, 100)], LATER)
    with store.write() as connection:
        usual = slices.histories(connection, ("merchant",), "denied", 0, FIRST)["merchant"]
    (left,) = store.read().execute("select min(minute) from payment_slices").fetchone()

    assert len(usual) == MOST_VALUES
    assert usual.loc[OTHERS, "exposure"] == 10_000 - MOST_VALUES + 1
    assert left > FIRST
