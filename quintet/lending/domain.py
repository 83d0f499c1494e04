"""The declaration of the domain lending."""

from quintet.domain import DataCheck, Domain, Persons, ReportFile
from quintet.lending import verdicts
from quintet.lending.card import card, waiting
from quintet.lending.cases import LOAN
from quintet.lending.decision_log import FILE as DECISIONS
from quintet.lending.decision_log import MIGRATIONS as DECISION_LOG
from quintet.lending.decision_log import OWNER, RECORDED
from quintet.lending.headline import has_clients, headline
from quintet.lending.inbox import INBOX
from quintet.lending.served import FOLDER, shared_files
from quintet.ml.life_cycle import ModelSpec
from quintet.search import Searched

LENDING = Domain(
    name="lending",
    other_inboxes=(INBOX,),
    has_rows=has_clients,
    headline=headline,
    card=card,
    waiting=waiting,
    scopes={"lending:read": "features and figures of lending", "lending:decide": "request loan decisions"},
    stores={OWNER: DECISION_LOG},
    migrations=verdicts.MIGRATIONS,
    recorded=(*RECORDED, verdicts.RECORDED),
    retention=verdicts.RETENTION,
    cases=(LOAN,),
    model=ModelSpec(
        folder=FOLDER,
        trained_on="ended loans",
        module="quintet.lending.model_comparison",
        step="lending_model",
        asset=("ml", "lending_models"),
        built_with="select model_version from ml.lending_model_training where model_version is not null",
    ),
    web=(
        "quintet.web.routes.lending",
        "quintet.web.pages.lending_applications",
        "quintet.web.routes.lending_explanations",
        "quintet.web.routes.lending_notices",
        "quintet.web.pages.lending",
        "quintet.web.pages.lending_decisions",
        "quintet.web.pages.lending_model",
    ),
    service="quintet.lending.service",
    replication="quintet.lending.replicated",
    assets=("assets.lending",),
    sensors=("sensors.lending",),
    samples="quintet.samples.lending_dump",
    shared_files=shared_files,
    persons=Persons(
        kind="client",
        columns=("client_id",),
        state={(DECISIONS, "decisions"): "client_id"},
        files=("lending/features.sqlite*", "objects/buckets/*/features/*/*.parquet"),  # the next run builds them again
    ),
    checks=(
        DataCheck(
            "promotion_gate",
            "ml.lending_model_training",
            "A scoring model is active where loans have ended.",
            "quintet.lending.checks.promotion_gate",
        ),
        DataCheck(
            "input_drift",
            "ml.lending_model_stability",
            "No input of the scoring model has shifted.",
            "quintet.lending.checks.input_drift",
        ),
        DataCheck(
            "model_performance",
            "ml.lending_model_performance",
            "The scoring model performs as estimated, and its estimate has not fallen.",
            "quintet.lending.checks.model_performance",
        ),
    ),
    searched=(
        Searched(
            "application", "marts.fct_application_decisions", "application_id", "/lending/applications/{id}", "decision"
        ),
        Searched("client", "marts.fct_client_features", "client_id", "/lending/clients/{id}"),
    ),
    reports=(
        ReportFile(
            "lending_review",
            "Portfolio, decisions, scoring model, fairness and latency.",
            "quintet.lending.review_report.review_report",
        ),
    ),
)
