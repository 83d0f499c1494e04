"""The reports and files of conversions, written from the published snapshot."""

import json
from dataclasses import replace

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, EVALUATIONS, REPORTS, owners_of
from assets.publish import SNAPSHOT
from quintet.code_version import code_version
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.dbt import Dbt, prepare_manifest
from resources.paths import Paths

_TAGS = {DOMAIN_TAG: "conversions"}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["reports", name],
            deps=[SNAPSHOT],
            group_name=REPORTS,
            tags=_TAGS,
            description=description,
            owners=owners_of("conversions"),
            kinds={"typst", "pdf"},
            freshness_policy=DAILY,
            code_version=code_version("quintet.conversions.insights_report", "quintet.conversions.pipeline_report"),
        )
        for name, description in (
            ("conversions_insights", "The outcome of the conversions, their scores, and the quality of the matches."),
            ("conversions_pipeline", "The recommended data pipeline, and the gain of each change."),
        )
    ],
    name="conversions_pdfs",
)
def conversions_pdfs(
    paths: Paths,
) -> tuple[dg.MaterializeResult, ...]:
    """Write both reports from the analysis of the run."""
    from quintet.conversions.analysis_tables import read_analysis
    from quintet.conversions.insights_report import insights_report
    from quintet.conversions.pipeline_report import pipeline_report
    from quintet.conversions.pipeline_worlds import pipeline_figures
    from quintet.presentation.report import write_pdf

    changes, matchers = pipeline_figures(paths.models / EVALUATIONS)
    with open_snapshot(current_snapshot(paths.serving)) as snapshot:
        analysis = read_analysis(snapshot)
        content = {
            "conversions_insights": insights_report(snapshot, analysis),
            "conversions_pipeline": pipeline_report(snapshot, analysis, changes, matchers),
        }
    content = {name: replace(report, page=paths.report_page) for name, report in content.items()}
    written = {name: write_pdf(report, paths.reports / f"{name}.pdf") for name, report in content.items()}
    return tuple(
        dg.MaterializeResult(
            asset_key=["reports", name],
            metadata={"pdf": dg.MetadataValue.path(str(path)), "title": content[name].title},
        )
        for name, path in written.items()
    )


@dg.asset(
    key=["reports", "unified_journeys"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags=_TAGS,
    description="Every conversion with its broker row, as Parquet and CSV, with a dictionary of the columns.",
    owners=owners_of("conversions"),
    kinds={"parquet", "csv"},
    freshness_policy=DAILY,
    code_version=code_version("quintet.conversions.journeys_export"),
)
def journeys_files(paths: Paths, dbt: Dbt) -> dg.MaterializeResult:
    """Write the files, with the column descriptions of the dbt model."""
    from quintet.conversions.journeys_export import TABLE, write_journeys

    manifest = json.loads(prepare_manifest(dbt).read_text("utf-8"))
    name = TABLE.removeprefix("marts.")
    [model] = [node for node in manifest["nodes"].values() if (node["resource_type"], node["name"]) == ("model", name)]
    descriptions = {column: about["description"] for column, about in model["columns"].items()}
    with open_snapshot(current_snapshot(paths.serving), exports=paths.reports) as snapshot:
        written = write_journeys(snapshot, paths.reports, descriptions)
        [(rows,)] = snapshot.execute(f"select count(*) from {TABLE}").fetchall()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            **{path.name: dg.MetadataValue.path(str(path)) for path in written},
        }
    )


ASSETS = [conversions_pdfs, journeys_files]
