"""The dbt project as Dagster assets, from raw and staging tables to marts."""

import json
import shutil
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from assets.build import datasets_fully_built
from assets.facts import DAILY, OWNERS
from assets.versions import model_versions, versions_of
from quintet.ingest.batches import loaded_batches, mark_modelled
from quintet.warehouse.built import built_versions, set_built
from resources.clock import Clock
from resources.dagster_dbt import DagsterDbtTranslator, dbt_assets
from resources.dbt import Dbt
from resources.warehouse import POOL, Warehouse


class Translator(DagsterDbtTranslator):
    """Names dbt models in Dagster by schema and table, as in the warehouse.

    versions: the code version of each model, by its unique id.
    """

    def __init__(self, versions: Mapping[str, str]) -> None:
        super().__init__()
        self._versions = versions

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Return the spec of a model or seed with its domain, code version and freshness policy."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id not in self._versions:
            return spec
        group = manifest["nodes"][unique_id]["fqn"][-2]  # the folder of the domain
        return spec.replace_attributes(
            group_name=group, owners=OWNERS, freshness_policy=DAILY, code_version=self._versions[unique_id]
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return `marts/dim_agency` for a model, `seeds/…` for a seed, and the declared key for a source."""
        if dbt_resource_props["resource_type"] in ("model", "seed"):
            return dg.AssetKey([dbt_resource_props["config"]["schema"], dbt_resource_props["name"]])
        return super().get_asset_key(dbt_resource_props)


RESULTS = "results"
"""The tag of the models that read results of the Python packages."""


def build_marts(
    project: Mapping[str, Any], variables: Mapping[str, str], sources: Sequence[dg.AssetsDefinition]
) -> dg.AssetsDefinition:
    """Return the models built from files, as one asset definition that runs any subset of them in one dbt call.

    project: dbt's manifest. variables: dbt variables. sources: the Python assets between the raw tables and the
    models.
    """
    of_sources = versions_of(spec for source in sources for spec in source.specs)
    translator = Translator(model_versions(project, variables, of_sources))

    @dbt_assets(
        manifest=_part_of(project, of_results=False),
        select="",
        dagster_dbt_translator=translator,
        name="marts",
        pool=POOL,
    )
    def marts(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse, clock: Clock) -> Iterator[Any]:
        versions = {spec.key: str(spec.code_version) for spec in context.assets_def.specs}
        with warehouse.get_connection() as connection:
            batches = loaded_batches(connection)
            rebuilt = _to_rebuild(context, versions, built_versions(connection))
        given = {**variables, "rebuilt": sorted(key.path[-1] for key in rebuilt)}
        outputs = yield from _build(context, dbt, given, _unless_subset(context, "--exclude"))
        built = {context.asset_key_for_output(output.output_name) for output in outputs}
        with warehouse.get_connection() as connection:
            fully_modelled = datasets_fully_built([*sources, context.assets_def], built)
            mark_modelled(connection, [batch for batch in batches if batch[0] in fully_modelled], clock.now())
            set_built(connection, {key.to_user_string(): versions[key] for key in built & rebuilt})
            yield from _with_row_counts(connection, context, outputs)

    return marts


def build_results(project: Mapping[str, Any], variables: Mapping[str, str]) -> dg.AssetsDefinition:
    """Return the models that read results of the Python packages; they are small and rebuilt in full each time."""

    translator = Translator(model_versions(project, variables))

    @dbt_assets(
        manifest=_part_of(project, of_results=True),
        select="",
        dagster_dbt_translator=translator,
        name="results",
        pool=POOL,
    )
    def results(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
        outputs = yield from _build(context, dbt, variables, _unless_subset(context, "--select"))
        with warehouse.get_connection() as connection:
            yield from _with_row_counts(connection, context, outputs)

    return results


def _to_rebuild(
    context: dg.AssetExecutionContext, versions: Mapping[dg.AssetKey, str], built: Mapping[str, str]
) -> set[dg.AssetKey]:
    """Return the selected models to rebuild from scratch: built by another code version, or downstream of such."""
    selected = context.selected_asset_keys
    rebuilt = {key for key in selected if built.get(key.to_user_string()) != versions[key]}
    parents = context.assets_def.asset_deps
    while more := {key for key in selected - rebuilt if parents[key] & rebuilt}:
        rebuilt |= more
    return rebuilt


class _Nodes(dict[str, Any]):
    """The nodes of a project: every node can be looked up, but only the nodes of one part are iterated.

    dagster-dbt makes an asset of each iterated node. To select a part by itself, it would have to import dbt-core.
    """

    def __init__(self, nodes: Mapping[str, Any], part: Collection[str]) -> None:
        super().__init__(nodes)
        self._part = part

    def __iter__(self) -> Iterator[str]:
        return iter(self._part)


def _part_of(project: Mapping[str, Any], *, of_results: bool) -> dict[str, Any]:
    """Return the manifest of a project with only the results as its nodes, or only the other models."""
    nodes: Mapping[str, Any] = project["nodes"]
    results = {name for name, node in nodes.items() if node["resource_type"] == "model" and RESULTS in node["tags"]}
    # as dbt selects: a test belongs to each of the models that it reads
    with_tests = results | {name for name, node in nodes.items() if _is_test_of(node, results)}
    part = [name for name in nodes if (name in with_tests) == of_results]
    return {**project, "nodes": _Nodes(nodes, part)}


def _is_test_of(node: Mapping[str, Any], models: Collection[str]) -> bool:
    return node["resource_type"] == "test" and any(name in models for name in node["depends_on"]["nodes"])


def _unless_subset(context: dg.AssetExecutionContext, option: str) -> list[str]:
    """Return the dbt arguments that select the whole part; none for a subset, whose models are named one by one."""
    return [] if context.is_subset else [option, f"tag:{RESULTS}"]


def _build(
    context: dg.AssetExecutionContext, dbt: Dbt, variables: Mapping[str, Any], arguments: Sequence[str]
) -> Generator[Any, None, list[dg.Output[Any]]]:
    """Run dbt for the selected models; yield its checks and return its outputs, also those of a failed run.

    The caller must hold no connection: dbt opens the warehouse in a separate process.
    """
    # unit tests check the SQL, not the data: the test suite runs them
    # a test that also reads a model of a later step runs in that step
    given = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable"]
    # dbt's debug log took longer to write than the tests to run; writing the manifest again, which nothing reads,
    # took as long as two models
    given += ["--log-level-file", "info", "--no-write-json", "--vars", json.dumps(dict(variables)), *arguments]
    invocation = dbt.cli(given, context=context)
    outputs: list[dg.Output[Any]] = []
    try:
        for event in invocation.stream():
            if isinstance(event, dg.Output):
                outputs.append(event)
                context.log.info(f"{len(outputs)} of {len(context.selected_output_names)}: {event.output_name}")
            else:
                yield event
    except Exception:
        yield from outputs
        raise
    shutil.rmtree(invocation.target_path)  # after a failed run it stays, with dbt's log
    return outputs


def _with_row_counts(
    connection: Any, context: dg.AssetExecutionContext, outputs: Sequence[dg.Output[Any]]
) -> Iterator[dg.Output[Any]]:
    for output in outputs:
        yield output.with_metadata({**output.metadata, **_row_count(connection, context, output)})


def _row_count(connection: Any, context: dg.AssetExecutionContext, output: dg.Output[Any]) -> dict[str, int]:
    schema, table = context.asset_key_for_output(output.output_name).path
    (rows,) = connection.execute(f'select count(*) from {schema}."{table}"').fetchone()
    return {"dagster/row_count": rows}
