"""What conversions declares about itself."""

from quintet.conversions import verdicts
from quintet.conversions.card import card, waiting
from quintet.conversions.cases import PAIR
from quintet.conversions.contract import DATASETS
from quintet.conversions.headline import headline
from quintet.conversions.row_policy import PARTNER
from quintet.conversions.settings import ConversionsSettings
from quintet.domain import DataCheck, Domain, ReportFile
from quintet.ml.life_cycle import ModelSpec
from quintet.search import Searched

MATCHING_MODEL = ModelSpec(
    folder="conversions",
    trained_on="conversions",
    module="quintet.conversions.model_comparison",
    step="matching",
    asset=("matching", "matches"),
    built_with="select version from ml.matching_model where trained_at is not null",
)

CONVERSIONS = Domain(
    name="conversions",
    datasets=DATASETS,
    headline=headline,
    card=card,
    waiting=waiting,
    scopes={"conversions:read": "conversions figures and pages"},
    migrations=verdicts.MIGRATIONS,
    recorded=verdicts.RECORDED,
    retention=verdicts.RETENTION,
    cases=(PAIR,),
    row_value=lambda settings: settings.of(ConversionsSettings).conversion_value,
    model=MATCHING_MODEL,
    web=("quintet.web.routes.conversions", "quintet.web.pages.conversions", "quintet.web.pages.conversions_click"),
    assets=("assets.conversions", "assets.conversions_reports"),
    samples="quintet.samples.conversions",
    checks=(
        DataCheck(
            "rows_kept",
            "marts.fct_conversions",
            "No row of the files is lost on the way to the marts.",
            "quintet.conversions.checks.rows_kept",
            is_error=True,
        ),
        DataCheck(
            "placebo_rate",
            "ml.matching_placebo",
            "Conversions moved by hours match almost no broker row.",
            "quintet.conversions.checks.placebo_rate",
        ),
        DataCheck(
            "model_drift",
            "ml.matching_summary",
            "As many broker rows match as the model expected when it was trained.",
            "quintet.conversions.checks.model_drift",
        ),
    ),
    searched=(
        Searched(
            "click",
            "marts.fct_unified_journeys",
            "conversion_id",
            "/conversions/clicks/{id}",
            "if(is_matched, 'matched', unmatched_reason)",
        ),
    ),
    row_policies=(PARTNER,),
    reports=(
        ReportFile("conversions_insights", "What brings customers: pages, countries, devices, days, and what to do."),
        ReportFile("conversions_pipeline", "What the pipeline loses, and what better data would bring."),
    ),
)
