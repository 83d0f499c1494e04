"""The dbt project as Dagster assets, from raw and staging tables to marts."""

import json
import re
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.ahead import importing, modules_to_import
from assets.build import datasets_fully_built
from assets.facts import DAILY, owners_of
from assets.tables import Sources, Tables, columns_of_tables, table_facts
from assets.unfinished import RESULTS
from assets.versions import model_versions, versions_of
from quintet.domains import DATASETS
from quintet.ingest.batches import loaded_batches, mark_modelled
from quintet.warehouse.built import built_versions, set_built
from resources.clock import Clock
from resources.dagster_dbt import DagsterDbtTranslator, dbt_assets
from resources.dbt import Dbt
from resources.warehouse import POOL, Warehouse

_NO_RULES = ("model", "column_name")
"""Arguments of each test that say what it is about, not what it checks."""

_BUILT = ("model", "seed")
"""The kinds of nodes that become tables."""


class Translator(DagsterDbtTranslator):
    """Names dbt models in Dagster by schema and table, as in the warehouse.

    versions: the code version of each model, by its unique id.
    """

    def __init__(self, versions: Mapping[str, str]) -> None:
        super().__init__()
        self._versions = versions
        self._sources: dict[str, dg.AssetSpec] = {}

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Return the spec of a model or seed with its domain, code version and freshness policy."""
        if unique_id in manifest["sources"]:  # the same for all parts, each of which asks for all of them
            if unique_id not in self._sources:
                self._sources[unique_id] = super().get_asset_spec(manifest, unique_id, project)
            return self._sources[unique_id]
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id not in self._versions:
            return spec
        group = manifest["nodes"][unique_id]["fqn"][-2]  # the folder of the domain
        return spec.replace_attributes(
            group_name=group, owners=owners_of(group), freshness_policy=DAILY, code_version=self._versions[unique_id]
        )

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """Return the spec of a test with what it checks in words."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=spec.description or check_in_words(manifest["nodes"][unique_id]))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return `marts/dim_agency` for a model, `seeds/…` for a seed, and the declared key for a source."""
        if dbt_resource_props["resource_type"] in _BUILT:
            return dg.AssetKey([dbt_resource_props["config"]["schema"], dbt_resource_props["name"]])
        return super().get_asset_key(dbt_resource_props)


def check_in_words(test: Mapping[str, Any]) -> str:
    """Return what a test of a manifest checks: its kind, its column and its arguments."""
    described = test.get("test_metadata")
    if not described:
        return f"the query {test['name'].replace('_', ' ')} returns no row"
    given = described.get("kwargs", {})
    column = given.get("column_name")
    rules = [f"{name.replace('_', ' ')}: {_in_words(value)}" for name, value in given.items() if name not in _NO_RULES]
    return "; ".join([f"{described['name'].replace('_', ' ')}{f' of {column}' if column else ''}", *rules])


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return re.sub(r"""(?:ref|source)\('([^)]*)'\)""", lambda call: call[1].replace("', '", "."), str(value))


def build_marts(
    project: Mapping[str, Any], variables: Mapping[str, str], sources: Mapping[str, Sequence[dg.AssetsDefinition]]
) -> list[dg.AssetsDefinition]:
    """Return the models built from files: a definition for each domain, which runs any subset in one dbt call.

    A domain whose models fail stops no other domain.
    project: dbt's manifest. variables: dbt variables. sources: by domain, the Python assets between the raw tables and
    the models.
    """
    of_sources = versions_of(spec for assets in sources.values() for source in assets for spec in source.specs)
    translator = Translator(model_versions(project, variables, of_sources))
    parts = _parts_of(project, of_results=False)
    return [
        _build_marts_of(domain, project, part, translator, variables, sources.get(domain, ()))
        for domain, part in parts.items()
    ]


def _build_marts_of(
    domain: str,
    project: Mapping[str, Any],
    part: Sequence[str],
    translator: Translator,
    variables: Mapping[str, str],
    sources: Sequence[dg.AssetsDefinition],
) -> dg.AssetsDefinition:
    datasets = [dataset.name for dataset in DATASETS.values() if dataset.domain == domain]

    @dbt_assets(
        manifest={**project, "nodes": _Nodes(project["nodes"], part)},
        select="",
        dagster_dbt_translator=translator,
        name=f"{domain}_marts",
        pool=POOL,
    )
    def marts(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse, clock: Clock) -> Iterator[Any]:
        versions = {spec.key: str(spec.code_version) for spec in context.assets_def.specs}
        with warehouse.get_connection() as connection:
            batches = loaded_batches(connection)
            rebuilt = _to_rebuild(context, versions, built_versions(connection))
        given = {**variables, "rebuilt": sorted(key.path[-1] for key in rebuilt)}
        with importing(modules_to_import(context, domain)):
            outputs, queries = yield from _build(context, dbt, given, _whole_part(context, project, part))
        built = {context.asset_key_for_output(output.output_name) for output in outputs}
        with warehouse.get_connection() as connection:
            fully_modelled = datasets_fully_built(datasets, [*sources, context.assets_def], built)
            mark_modelled(connection, [batch for batch in batches if batch[0] in fully_modelled], clock.now())
            set_built(connection, {key.to_user_string(): versions[key] for key in built & rebuilt})
            yield from _with_facts(connection, context, outputs, queries, _keys_of_sources(project, translator))

    return marts


def build_results(project: Mapping[str, Any], variables: Mapping[str, str]) -> list[dg.AssetsDefinition]:
    """Return the models that read results of the Python packages: a definition for each domain.

    They are small and rebuilt in full each time.
    """
    translator = Translator(model_versions(project, variables))
    return [
        _build_results_of(domain, project, part, translator, variables)
        for domain, part in _parts_of(project, of_results=True).items()
    ]


def _build_results_of(
    domain: str,
    project: Mapping[str, Any],
    part: Sequence[str],
    translator: Translator,
    variables: Mapping[str, str],
) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest={**project, "nodes": _Nodes(project["nodes"], part)},
        select="",
        dagster_dbt_translator=translator,
        name=f"{domain}_results",
        pool=POOL,
    )
    def results(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
        outputs, queries = yield from _build(context, dbt, variables, _whole_part(context, project, part))
        with warehouse.get_connection() as connection:
            yield from _with_facts(connection, context, outputs, queries, _keys_of_sources(project, translator))

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
    """The nodes of a project: every node can be looked up, but only those of one part are iterated.

    dagster-dbt makes an asset of each iterated node. To select a part by itself, it would have to import dbt-core.
    """

    def __init__(self, nodes: Mapping[str, Any], part: Sequence[str]) -> None:
        super().__init__(nodes)
        self._part = part

    def __iter__(self) -> Iterator[str]:
        return iter(self._part)


def _parts_of(project: Mapping[str, Any], *, of_results: bool) -> dict[str, list[str]]:
    """Return the nodes of each domain's results, or of its other models; only domains that have a model.

    As dbt selects, a test belongs to each of the models that it reads: it is a node of all their domains, and of the
    results where it reads one. A test of sources belongs to the domain that alone reads one of them.
    """
    nodes: Mapping[str, Any] = project["nodes"]
    domain_of = {name: node["fqn"][-2] for name, node in nodes.items() if node["resource_type"] in _BUILT}
    results = {name for name in domain_of if RESULTS in nodes[name]["tags"]}
    parts: dict[str, list[str]] = {}
    for name, domain in domain_of.items():
        if (name in results) == of_results:
            parts.setdefault(domain, []).append(name)
    readers: dict[str, set[str]] = {}
    for name, domain in domain_of.items():
        for source in nodes[name]["depends_on"].get("nodes", []):
            readers.setdefault(source, set()).add(domain)
    for name, node in nodes.items():
        read = set(node["depends_on"].get("nodes", []))
        if node["resource_type"] != "test" or bool(read & results) != of_results:
            continue
        domains = {domain_of[model] for model in read & set(domain_of)}
        for source in () if domains else read:  # all domains read the bookkeeping
            domains |= readers[source] if len(readers.get(source, ())) == 1 else set()
        for domain in sorted(domains):
            parts.get(domain, []).append(name)
    return parts


def _whole_part(context: dg.AssetExecutionContext, project: Mapping[str, Any], part: Sequence[str]) -> list[str]:
    """Return the dbt arguments that select a whole part; none for a subset, whose models dagster-dbt names.

    Tests of sources are named: dbt adds only the tests of the models that it is given.
    """
    if context.is_subset:
        return []
    nodes = project["nodes"]
    chosen = [name for name in part if nodes[name]["resource_type"] in _BUILT or not _reads_models(nodes, name)]
    return ["--select", " ".join(".".join(nodes[name]["fqn"]) for name in chosen)]


def _reads_models(nodes: Mapping[str, Any], name: str) -> bool:
    return any(parent in nodes for parent in nodes[name]["depends_on"].get("nodes", []))


def _build(
    context: dg.AssetExecutionContext, dbt: Dbt, variables: Mapping[str, Any], arguments: Sequence[str]
) -> Generator[Any, None, tuple[list[dg.Output[Any]], dict[str, str]]]:
    """Run dbt for the selected models; yield its checks and return its outputs, with the SQL by table.

    It yields the outputs of a failed run before it raises.

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
    failed: set[dg.AssetKey] = set()
    try:
        for event in invocation.stream():
            if isinstance(event, dg.AssetCheckResult) and not event.passed and event.asset_key is not None:
                failed |= {event.asset_key} if event.severity is dg.AssetCheckSeverity.ERROR else set()
            if isinstance(event, dg.Output):
                outputs.append(event)
                context.log.info(f"{len(outputs)} of {len(context.selected_asset_keys)}: {event.output_name}")
            else:
                yield event
    except Exception:
        # a table that fails its test is not built: it stays unfinished, and is not published
        yield from (out for out in outputs if context.asset_key_for_output(out.output_name) not in failed)
        raise
    queries = _compiled_queries(invocation.target_path)
    shutil.rmtree(invocation.target_path)  # after a failed run it stays, with dbt's log
    return outputs, queries


def _compiled_queries(target: Path) -> dict[str, str]:
    """Return the SQL of each model that dbt has run, by its table. Tests are compiled into folders of their YAML."""
    files = (target / "compiled").glob("*/models/**/*.sql")
    return {file.stem: file.read_text("utf-8") for file in files if file.parent.suffix == ""}


def _keys_of_sources(project: Mapping[str, Any], translator: Translator) -> dict[tuple[str, str], list[str]]:
    """Return the asset key of each source by schema and table: some are not named like their table."""
    return {(one["schema"], one["name"]): [*translator.get_asset_key(one).path] for one in project["sources"].values()}


def _with_facts(
    connection: Any,
    context: dg.AssetExecutionContext,
    outputs: Sequence[dg.Output[Any]],
    queries: Mapping[str, str],
    keys: Mapping[tuple[str, str], Sequence[str]],
) -> Iterator[dg.Output[Any]]:
    """Add to each output what Dagster shows of its table.

    queries: the SQL by table; a seed has none. keys: of sources, as `_keys_of_sources` returns them.
    """
    tables = columns_of_tables(connection)
    for output in outputs:
        name = ".".join(context.asset_key_for_output(output.output_name).path)
        query = queries.get(name.partition(".")[2])
        sources = _sources_of_columns(context, name, query, tables, keys) if query else {}
        yield output.with_metadata({**output.metadata, **table_facts(connection, tables, name, sources)})


def _sources_of_columns(
    context: dg.AssetExecutionContext,
    name: str,
    query: str,
    tables: Tables,
    keys: Mapping[tuple[str, str], Sequence[str]],
) -> Sources:
    from quintet.warehouse.column_lineage import UntraceableQueryError, trace_columns

    try:
        traced = trace_columns(query, tables)
    except UntraceableQueryError as error:
        context.log.warning(f"{name}: its columns cannot be traced to others: {error}. The table is complete.")
        return {}
    return {
        column: [(*keys.get((schema, table), (schema, table)), source) for schema, table, source in found]
        for column, found in traced.items()
    }
