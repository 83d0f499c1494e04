"""Short names of checks: what is checked, without the table, and each once among the checks of a table."""

from __future__ import annotations

from typing import Any

from assets.check_names import with_short_names


def _test(table: str, kind: str, **arguments: Any) -> dict[str, Any]:
    name = f"{kind}_{table}_{'__'.join(map(str, arguments.values()))}"
    described = {"name": kind, "kwargs": {"model": f"ref('{table}')", **arguments}}
    return {"resource_type": "test", "attached_node": f"model.{table}", "name": name, "test_metadata": described}


def _names(*nodes: dict[str, Any]) -> list[str]:
    project = {"nodes": {f"test.{place}": node for place, node in enumerate(nodes)}}
    return [node["name"] for node in with_short_names(project)["nodes"].values()]


def test_a_check_is_named_by_its_kind_and_column_but_not_by_its_table() -> None:
    every = _test("fct_orders", "every_row", never_null=["order_id", "paid_at"], at_least={"amount": 0})

    assert _names(_test("fct_orders", "unique", column_name="order_id"), every) == ["unique_order_id", "every_row"]


def test_checks_of_one_table_differ_in_name_and_those_of_two_tables_need_not() -> None:
    keys = [_test("orders", "unique_combination", columns=columns) for columns in (["a", "_b"], ["c"])]

    assert _names(*keys) == ["unique_combination_of_a_b", "unique_combination_of_c"]
    assert _names(*(_test(table, "unique", column_name="id") for table in ("orders", "clients"))) == ["unique_id"] * 2


def test_a_query_of_its_own_and_a_model_keep_their_names_and_the_manifest_is_not_changed() -> None:
    own = {"resource_type": "test", "name": "premium_is_equal_from_raw_to_mart"}
    model = {"resource_type": "model", "name": "fct_orders"}
    project = {"nodes": {"a": _test("fct_orders", "unique", column_name="id"), "b": own, "c": model}}

    assert [node["name"] for node in with_short_names(project)["nodes"].values()][1:] == [own["name"], model["name"]]
    assert project["nodes"]["a"]["name"] == "unique_fct_orders_id"
