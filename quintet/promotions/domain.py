"""The declaration of the promotions domain."""

from quintet.domain import DataCheck, Domain, Persons, ReportFile
from quintet.ml.life_cycle import ModelSpec
from quintet.promotions.card import card, waiting
from quintet.promotions.cases import ACCOUNT
from quintet.promotions.contract import DATASETS
from quintet.promotions.headline import headline
from quintet.promotions.settings import PromotionsSettings
from quintet.promotions.store import MIGRATIONS, RECORDED, RETENTION
from quintet.search import Searched
from quintet.state.store import FILE

PROMOTIONS = Domain(
    name="promotions",
    datasets=DATASETS,
    headline=headline,
    card=card,
    waiting=waiting,
    scopes={
        "promotions:read": "promotions figures and pages",
        "promotions:score": "judging a new user",
        "promotions:label": "confirming a user as an abuser, and clearing one",
        "promotions:rules": "saving rules and lists of promotions",
    },
    migrations=MIGRATIONS,
    recorded=RECORDED,
    retention=RETENTION,
    cases=(ACCOUNT,),
    row_value=lambda settings: settings.of(PromotionsSettings).promo_use_cost,
    model=ModelSpec(
        folder="promotions",
        trained_on="labelled",
        module="quintet.promotions.model_comparison",
        step="abuse_model",
        asset=("ml", "abuse_model"),
        built_with="select model_version from ml.abuse_model",
    ),
    web=(
        "quintet.web.routes.promotions",
        "quintet.web.routes.promotions_rules",
        "quintet.web.pages.promotions",
        "quintet.web.pages.promotions_rules",
    ),
    service="quintet.promotions.service",
    rules="quintet.promotions.rule_history",
    assets=("assets.postgres_extract", "assets.promotions"),
    sensors=("sensors.postgres_extract",),
    samples="quintet.samples.promotions",
    persons=Persons(
        kind="user",
        columns=("user_id", "linked_user_id", "entry"),  # an entry of a list may be the id
        mentions=("cluster_id",),  # a cluster has the id of one of its members
        state={
            (FILE, "abuse_judgements"): "user_id",
            (FILE, "abuse_labels"): "user_id",
            (FILE, "abuse_rule_verdicts"): "user_id",
            (FILE, "rule_list_entries"): "entry",
        },
        state_mentions={(FILE, "abuse_judgements"): "cluster_id"},
        files=("landing/*/*",),
    ),
    checks=(
        DataCheck(
            "rows_kept",
            "marts.fct_promo_usages",
            "No row of the files is lost on the way to the marts.",
            "quintet.promotions.checks.rows_kept",
            is_error=True,
        ),
        DataCheck(
            "promotion_gate",
            "ml.abuse_trainings",
            "The last trained model passed the promotion gate.",
            "quintet.promotions.checks.promotion_gate",
        ),
        DataCheck(
            "rings_caught",
            "ml.abuse_model_rings",
            "The active model catches injected rings as well as the scorecard does.",
            "quintet.promotions.checks.rings_caught",
        ),
        DataCheck(
            "score_drift",
            "ml.abuse_scores",
            "The scores have not shifted against those of the model before.",
            "quintet.promotions.checks.score_drift",
        ),
    ),
    searched=(
        Searched(
            "cluster",
            "marts.agg_abuse_clusters",
            "cluster_id",
            "/promotions?cluster={id}#cluster",
            "accounts || ' accounts'",
        ),
        Searched("user", "marts.fct_abuse_scores", "user_id", "/promotions?user={id}#to-judge", "decision"),
    ),
    reports=(
        ReportFile(
            "promotions_findings",
            "Who abuses promo codes, what it costs, and which rule would stop it.",
            "quintet.promotions.findings_report.findings_report",
        ),
    ),
)
