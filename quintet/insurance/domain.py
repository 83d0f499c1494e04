"""What insurance declares about itself."""

from quintet.domain import DataCheck, Domain, ReportFile
from quintet.insurance.card import card
from quintet.insurance.contract import DATASETS
from quintet.insurance.headline import headline
from quintet.insurance.report_runs import MIGRATIONS, RECORDED, RETENTION
from quintet.insurance.row_policy import AGENCY
from quintet.search import Searched

INSURANCE = Domain(
    name="insurance",
    datasets=DATASETS,
    headline=headline,
    card=card,
    scopes={"insurance:read": "insurance figures, reports, forecast and pages"},
    migrations=MIGRATIONS,
    recorded=RECORDED,
    retention=RETENTION,
    web=("quintet.web.routes.insurance", "quintet.web.pages.insurance", "quintet.web.pages.reports"),
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
