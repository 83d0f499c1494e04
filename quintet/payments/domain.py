"""The declaration of the payments domain."""

from quintet.domain import DataCheck, Domain, ReportFile
from quintet.payments.card import card, waiting
from quintet.payments.contract import DATASETS
from quintet.payments.headline import headline
from quintet.payments.store import MIGRATIONS, RETENTION

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
    },
    migrations=MIGRATIONS,
    retention=RETENTION,
    web=("quintet.web.routes.payments", "quintet.web.pages.payments"),
    service="quintet.payments.service",
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
    reports=(
        ReportFile(
            "payments_days",
            "The incidents of the last days, what the monitor would have sent and when, and how it decides.",
            "quintet.payments.days_report.days_report",
        ),
    ),
)
