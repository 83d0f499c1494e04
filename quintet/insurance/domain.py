"""What insurance declares about itself."""

from quintet.domain import Domain
from quintet.insurance.contract import DATASETS
from quintet.insurance.headline import headline
from quintet.insurance.report_runs import MIGRATIONS, RECORDED

INSURANCE = Domain(
    name="insurance",
    datasets=DATASETS,
    headline=headline,
    scopes={"insurance:read": "insurance figures, reports, forecast and pages"},
    migrations=MIGRATIONS,
    recorded=RECORDED,
    web=("quintet.web.routes.insurance", "quintet.web.pages.insurance", "quintet.web.pages.reports"),
    assets=("assets.insurance",),
    samples="quintet.samples.insurance",
)
