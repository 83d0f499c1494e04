"""What conversions declares about itself."""

from quintet.conversions.contract import DATASETS
from quintet.conversions.headline import headline
from quintet.domain import Domain

CONVERSIONS = Domain(
    name="conversions",
    datasets=DATASETS,
    headline=headline,
    scopes={"conversions:read": "conversions figures and pages"},
    web=("quintet.web.routes.conversions", "quintet.web.pages.conversions"),
    assets=("assets.conversions", "assets.conversions_reports"),
    samples="quintet.samples.conversions",
)
