"""The declaration of the payments domain."""

from quintet.domain import DataCheck, Domain, ReportFile
from quintet.payments.card import card, waiting
from quintet.payments.cases import INCIDENT
from quintet.payments.contract import DATASETS
from quintet.payments.headline import headline
from quintet.payments.settings import PaymentsSettings
from quintet.payments.store import MIGRATIONS, RETENTION
from quintet.payments.verdicts import RECORDED
from quintet.search import Searched

PAYMENTS = Domain(
    name="payments",
    datasets=DATASETS,
    headline=headline,
    card=card,
    waiting=waiting,
    scopes={
        "payments:read": "payment series, incidents and pages",
        "payments:write": "sending transactions",
        "payments:handle": "acknowledging and silencing alerts",
        "payments:rules": "saving rules that raise and suppress incidents",
    },
    migrations=MIGRATIONS,
    recorded=RECORDED,
    retention=RETENTION,
    cases=(INCIDENT,),
    row_value=lambda settings: settings.of(PaymentsSettings).payment_value,
    web=(
        "quintet.web.routes.payments",
        "quintet.web.routes.payments_silences",
        "quintet.web.routes.payments_rules",
        "quintet.web.pages.payments",
        "quintet.web.pages.payments_silences",
    ),
    service="quintet.payments.service",
    rules="quintet.payments.rule_history",
    assets=("assets.payments",),
    samples="quintet.samples.payments",
    checks=(
        DataCheck(
            "rows_kept",
            "marts.fct_payment_minutes",
            "No row of the files is lost on the way to the marts.",
            "quintet.payments.checks.rows_kept",
            is_error=True,
        ),
    ),
    searched=(
        Searched(
            "incident",
            "marts.fct_payment_incidents",
            "incident_id",
            "/payments?day={started_on}#incidents",
            "reason",
            (("started_on", "started_at::date"),),
        ),
    ),
    reports=(
        ReportFile("checkout_analysis", "The checkout days: each hour that stands out, against all its references."),
        ReportFile(
            "payments_days",
            "The incidents of the last days, what the monitor would have sent and when, and how it decides.",
            "quintet.payments.days_report.days_report",
        ),
    ),
)
