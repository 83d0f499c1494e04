"""The PDFs that businesses declare, written from the published snapshot."""

from dataclasses import replace
from importlib import import_module

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, REPORTS, owners_of
from assets.publish import SNAPSHOT
from quintet.code_version import code_version
from quintet.domain import ReportFile
from quintet.domains import DOMAINS
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.paths import Paths


def build_report_asset(domain: str, file: ReportFile) -> dg.AssetsDefinition:
    """Return the asset that writes a PDF."""
    module, function = file.function.rsplit(".", 1)

    @dg.asset(
        key=["reports", file.name],
        deps=[SNAPSHOT],
        group_name=REPORTS,
        tags={DOMAIN_TAG: domain},
        description=file.description,
        owners=owners_of(domain),
        kinds={"typst", "pdf"},
        freshness_policy=DAILY,
        code_version=code_version(module, "quintet.presentation.report"),
    )
    def report(paths: Paths) -> dg.MaterializeResult:
        """Write the report from the snapshot that was just published."""
        from quintet.presentation.report import write_pdf

        with open_snapshot(current_snapshot(paths.serving)) as snapshot:
            content = replace(getattr(import_module(module), function)(snapshot), page=paths.report_page)
        path = write_pdf(content, paths.reports / f"{file.name}.pdf")
        return dg.MaterializeResult(metadata={"pdf": dg.MetadataValue.path(str(path)), "title": content.title})

    return report


REPORT_ASSETS = [
    build_report_asset(domain.name, file) for domain in DOMAINS for file in domain.reports if file.function
]
