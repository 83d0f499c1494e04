"""A failed run leaves a record, and what it has built is published."""

import json

import dagster as dg
import pytest

from assets.facts import DOMAIN_TAG, REPORTS
from resources.run_marks import STARTED_BY
from sensors.failures import FINISHES, build_publishing_sensor, failure_record


def test_a_failure_is_one_line_of_json_whatever_its_message() -> None:
    record = failure_record("run", "everything", "first line\nsecond line with “quotes”", "2026-01-01T00:00:00")
    assert record.count("\n") == 1
    assert json.loads(record)["message"] == "first line\nsecond line with “quotes”"


def project(failing: str) -> dg.Definitions:
    """Define two domains, the snapshot and a report; the asset `failing` raises."""

    def asset(key: str, group: str, *deps: str, tags: dict[str, str] | None = None) -> dg.AssetsDefinition:
        def build() -> None:
            if key == failing:
                raise RuntimeError("a planted fault")

        parents = [dg.AssetKey(dep.split("/")) for dep in deps]
        return dg.asset(key=key.split("/"), group_name=group, deps=parents, tags=tags)(build)

    return dg.Definitions(
        [
            asset("marts/minutes", "payments"),
            asset("marts/users", "promotions"),
            asset("serving/snapshot", "serving", "marts/minutes", "marts/users"),
            asset("reports/minutes", REPORTS, "serving/snapshot", tags={DOMAIN_TAG: "payments"}),
            asset("reports/users", REPORTS, "serving/snapshot", tags={DOMAIN_TAG: "promotions"}),
        ],
        jobs=[dg.define_asset_job("everything")],
    )


def after_a_failure(failing: str, tags: dict[str, str] | None = None) -> dg.RunRequest | dg.SkipReason:
    """Run everything and return what the sensor makes of the failure."""
    definitions = project(failing)
    specs = list(definitions.resolve_all_asset_specs())
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("everything").execute_in_process(
            instance=instance, raise_on_error=False, tags=tags
        )
        context = dg.build_run_status_sensor_context(
            sensor_name="publish_the_rest",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        found = build_publishing_sensor(specs, dg.define_asset_job("everything"))(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_after_a_domain_failed_the_rest_is_published() -> None:
    request = after_a_failure("marts/minutes")
    assert isinstance(request, dg.RunRequest)
    names = [key.to_user_string() for key in request.asset_selection or ()]
    assert names == ["reports/users", "serving/snapshot"]
    assert FINISHES in request.tags


@pytest.mark.parametrize(
    ("failing", "tags"),
    [
        ("serving/snapshot", None),
        ("reports/minutes", None),
        ("marts/minutes", {FINISHES: "a run"}),
        ("marts/minutes", STARTED_BY),
    ],
)
def test_nothing_is_published_where_it_was_or_somebody_else_does(failing: str, tags: dict[str, str] | None) -> None:
    assert isinstance(after_a_failure(failing, tags), dg.SkipReason)
