"""A failed step leaves its domain unfinished and no other; the rest is published."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets.facts import DOMAIN_TAG, REPORTS
from assets.publish import SNAPSHOT
from assets.unfinished import assets_to_retry, domain_builds, left_to_publish, unfinished_assets
from definitions import build_defs
from quintet.domains import DOMAIN_NAMES
from quintet.warehouse.domain_states import DomainBuild

A_STEP_OF_EACH = ("raw__agency_performance", "promotions_marts", "matching", "lending_model", "payments_results")


@dataclass(frozen=True)
class Real:
    """The assets of the project and their graph."""

    assets: tuple[dg.AssetsDefinition, ...]
    graph: AssetGraph

    @property
    def specs(self) -> list[dg.AssetSpec]:
        return [spec for asset in self.assets for spec in asset.specs]

    @property
    def domain_of(self) -> dict[dg.AssetKey, str | None]:
        return {spec.key: spec.tags.get(DOMAIN_TAG, spec.group_name) for spec in self.specs}

    def of_op(self, name: str) -> tuple[set[dg.AssetKey], str | None]:
        """Return the assets of an op and their domain."""
        [keys] = [set(asset.keys) for asset in self.assets if asset.op.name == name]
        [domain] = {self.domain_of[key] for key in keys}
        return keys, domain

    def of_domain(self, name: str) -> set[dg.AssetKey]:
        return {spec.key for spec in self.specs if spec.group_name == name}


@pytest.fixture(scope="module")
def real() -> Real:
    definitions = build_defs()
    assets = tuple(asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition))
    return Real(assets, definitions.resolve_asset_graph())


@dataclass
class Copy:
    """The real graph with steps that do nothing; `failing` are the steps that raise."""

    real: Real
    instance: dg.DagsterInstance
    failing: set[str] = field(default_factory=set)
    published: list[list[DomainBuild]] = field(default_factory=list)

    def run(self, keys: Sequence[dg.AssetKey] | None = None) -> set[str]:
        """Build the assets and return the steps that failed."""
        job = dg.Definitions([self.step(asset) for asset in self.real.assets]).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=self.instance, asset_selection=keys and list(keys), raise_on_error=False
        )
        return {str(event.step_key) for event in result.all_events if event.is_step_failure}

    def finish(self, failed: set[str]) -> set[dg.AssetKey]:
        """Build what is left to publish after a run of everything, and return it."""
        rest = left_to_publish(self.instance, self.real.specs, self.real.domain_of, failed)
        assert not rest or self.run(rest) == set()
        return set(rest)

    def step(self, real: dg.AssetsDefinition) -> dg.AssetsDefinition:
        @dg.multi_asset(specs=list(real.specs), name=real.op.name, can_subset=len(list(real.specs)) > 1)
        def step(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
            if real.op.name in self.failing:
                raise RuntimeError("a planted fault")
            if SNAPSHOT in context.selected_asset_keys:
                self.published.append(domain_builds(context.instance, self.real.specs))
            for key in self.real.graph.toposorted_asset_keys:
                if key in context.selected_asset_keys:
                    yield dg.MaterializeResult(key)

        return step


@pytest.fixture
def copy(real: Real) -> Iterator[Copy]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Copy(real, instance)


def test_no_step_of_a_domain_stands_before_a_table_of_another(real: Real) -> None:
    checked = set()
    for asset in real.assets:
        _, domain = real.of_op(asset.op.name)
        below = dg.AssetSelection.assets(*asset.keys).downstream().resolve(real.graph)
        if domain in DOMAIN_NAMES:
            assert {real.graph.get(key).group_name for key in below} <= {domain, "ops", "serving", REPORTS}, (
                asset.op.name
            )
            checked.add(domain)
    assert checked == set(DOMAIN_NAMES)


def test_every_table_of_a_domain_is_built_before_the_snapshot(real: Real) -> None:
    before = dg.AssetSelection.assets(SNAPSHOT).upstream().resolve(real.graph)
    assert {key for name in DOMAIN_NAMES for key in real.of_domain(name)} <= before


@pytest.mark.parametrize("op", A_STEP_OF_EACH)
def test_where_a_domain_fails_the_other_four_are_built_and_published(copy: Copy, op: str) -> None:
    copy.failing = {op}
    _, domain = copy.real.of_op(op)
    failed = copy.run()
    assert failed == {op}
    assert copy.published == []

    rest = copy.finish(failed)

    assert {build.name for build in copy.published[0] if build.problem} == {domain}
    assert SNAPSHOT in rest
    domain_of = copy.real.domain_of
    reports = {of for key, of in domain_of.items() if key.path[0] == "reports"}
    assert {domain_of[key] for key in rest if key.path[0] == "reports"} == reports - {domain}
    assert {domain_of[key] for key in unfinished_assets(copy.instance, domain_of)} == {domain}


def test_where_nothing_fails_nothing_is_left_and_no_domain_has_a_problem(copy: Copy) -> None:
    assert copy.run() == set()
    assert copy.finish(set()) == set()
    [builds] = copy.published
    assert [build.name for build in builds] == list(DOMAIN_NAMES)
    assert [build.problem for build in builds] == [""] * len(builds)
    assert all(build.built_at is not None for build in builds)


def test_a_domain_stays_unfinished_until_it_is_built_as_a_whole(copy: Copy) -> None:
    copy.failing = {"premium_forecast"}
    copy.finish(copy.run())
    copy.failing = set()
    copy.run([*copy.real.of_domain("promotions"), SNAPSHOT])
    assert {build.name for build in copy.published[-1] if build.problem} == {"insurance"}

    retried = assets_to_retry(copy.instance, copy.real.specs, ())
    tables = copy.real.of_domain("insurance")
    assert tables <= retried
    assert {copy.real.domain_of[key] for key in retried} == {"insurance"}
    copy.run([*tables, SNAPSHOT])
    assert [build.problem for build in copy.published[-1]] == [""] * len(DOMAIN_NAMES)


def test_a_run_that_waits_or_was_canceled_in_the_queue_leaves_nothing_unfinished(copy: Copy) -> None:
    assert copy.run() == set()
    job = dg.Definitions([copy.step(asset) for asset in copy.real.assets]).resolve_implicit_global_asset_job_def()
    waiting = copy.instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    assert unfinished_assets(copy.instance, copy.real.domain_of) == {}
    copy.instance.report_run_canceled(waiting)
    assert unfinished_assets(copy.instance, copy.real.domain_of) == {}

    copy.failing = {"premium_forecast"}
    copy.run()
    copy.instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    unfinished = unfinished_assets(copy.instance, copy.real.domain_of)
    assert "insurance" in {copy.real.domain_of[key] for key in unfinished}, "the failed run before it counts"


def test_a_failed_report_is_unfinished_and_holds_nothing_up(copy: Copy) -> None:
    copy.failing = {"reports__premium"}
    assert copy.run() == {"reports__premium"}
    assert [build.problem for build in copy.published[0]] == [""] * len(DOMAIN_NAMES)
    assert copy.finish({"reports__premium"}) == set()
    assert assets_to_retry(copy.instance, copy.real.specs, ()) == {dg.AssetKey(["reports", "premium"])}


def test_a_failed_publication_is_not_tried_again(copy: Copy) -> None:
    copy.failing = {"serving__snapshot"}
    assert copy.finish(copy.run()) == set()


def test_failed_bookkeeping_views_stop_no_publication(copy: Copy) -> None:
    copy.failing = {"ops_marts"}
    rest = copy.finish(copy.run())
    assert SNAPSHOT in rest
    assert [build.problem for build in copy.published[0]] == [""] * len(DOMAIN_NAMES)
