"""What insurance declares about itself."""

from quintet.domain import DataCheck, Domain, Persons, ReportFile
from quintet.insurance import report_schedules
from quintet.insurance.card import card
from quintet.insurance.cases import REPORT
from quintet.insurance.contract import DATASETS
from quintet.insurance.headline import headline
from quintet.insurance.report_runs import MIGRATIONS, RECORDED, RETENTION
from quintet.insurance.row_policy import AGENCY
from quintet.search import Searched
from quintet.state.store import FILE

INSURANCE = Domain(
    name="insurance",
    datasets=DATASETS,
    headline=headline,
    card=card,
    scopes={
        "insurance:read": "insurance figures, reports, forecast and pages",
        "insurance:schedule": "sending these reports by e-mail on a schedule",
    },
    migrations=(*MIGRATIONS, *report_schedules.MIGRATIONS),
    recorded=RECORDED,
    retention=(*RETENTION, *report_schedules.RETENTION),
    persons=Persons(kind="recipient", columns=(), state={(FILE, "report_schedules"): "recipient"}),
    cases=(REPORT,),
    web=(
        "quintet.web.routes.insurance",
        "quintet.web.routes.report_schedules",
        "quintet.web.pages.insurance",
        "quintet.web.pages.reports",
        "quintet.web.pages.report_schedules",
    ),
    assets=("assets.insurance",),
    samples="quintet.samples.insurance",
    checks=(
        DataCheck(
            "rows_kept",
            "marts.fct_agency_performance",
            "No row of the files is lost on the way to the marts.",
            "quintet.insurance.checks.rows_kept",
            is_error=True,
        ),
        DataCheck(
            "forecast_coverage",
            "ml.premium_forecast_scores",
            "The bands of the chosen model held as many past outcomes as they promise.",
            "quintet.insurance.checks.forecast_coverage",
        ),
    ),
    searched=(Searched("agency", "marts.dim_agency", "agency_id", "/insurance/agencies/{id}", "vendor"),),
    row_policies=(AGENCY,),
    reports=(
        ReportFile(
            "insurance_review",
            "Premium, losses, retention, segments and forecast, with what to do about each agency.",
            "quintet.insurance.review_report.review_report",
        ),
    ),
)
