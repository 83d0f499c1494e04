"""The sensors that send the lineage of finished runs."""

from __future__ import annotations

import dagster as dg

from quintet.settings import load_settings
from sensors.lineage import build_lineage_sensors, built_by


@dg.asset
def source() -> None:
    """A table that nothing is made from before."""


@dg.asset(deps=[source])
def typed() -> dg.MaterializeResult[None]:
    columns = dg.TableSchema(columns=[dg.TableColumn("id", "bigint")])
    lineage = dg.TableColumnLineage({"id": [dg.TableColumnDep(source.key, "key")]})
    return dg.MaterializeResult(
        metadata={"dagster/row_count": 3, "dagster/column_schema": columns, "dagster/column_lineage": lineage}
    )


@dg.asset(deps=[typed])
def broken() -> None:
    raise RuntimeError("no")


def test_tables_of_a_run_come_with_inputs_columns_rows_and_whether_they_failed() -> None:
    upstream = {typed.key: [source.key], broken.key: [typed.key]}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([source, typed, broken], instance=instance, raise_on_error=False)
        built = {one.name: one for one in built_by(instance.all_logs(done.run_id), upstream)}
    assert (built["typed"].inputs, built["typed"].columns, built["typed"].rows) == (["source"], {"id": "bigint"}, 3)
    assert built["typed"].sources == {"id": [("source", "key")]}
    assert built["source"].sources == {}
    assert (built["source"].inputs, built["source"].columns, built["source"].rows) == ([], {}, None)
    assert [built[name].is_complete for name in ("source", "typed", "broken")] == [True, True, False]


def test_there_are_sensors_only_with_the_setting() -> None:
    assert build_lineage_sensors([], load_settings({})) == []
    settings = load_settings({"QUINTET_OPENLINEAGE_URL": "http://127.0.0.1:5000"})
    assert [one.name for one in build_lineage_sensors([], settings)] == ["send_lineage", "send_lineage_of_failed_runs"]
