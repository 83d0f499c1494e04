"""The review of lending as a PDF report: portfolio, scoring model, decisions, fairness and latency."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd
from scipy.stats import chi2_contingency

from quintet.lending import model_charts
from quintet.presentation.blocks import (
    Block,
    Chart,
    Evidence,
    Finding,
    Report,
    Section,
    Table,
    Text,
    report_without_data,
)
from quintet.presentation.design import Column, compact
from quintet.presentation.simple_charts import ranked_bars
from quintet.presentation.wording import counted, sureness
from quintet.warehouse.snapshot import identity

FEWEST_APPLICATIONS = 100
"""An age band with fewer applications is too small to compare."""

_LEAST_RATIO = 0.8
"""The least approval share of a band against the best one: the usual four-fifths rule."""

_SLOWEST_MS = 100.0
_MOST_FINDINGS = 5
Result = tuple[Finding, Section]


@dataclass(frozen=True)
class _Data:
    """scores: every application. open: the decisions of the open ones. live: those of the service."""

    scores: pd.DataFrame
    open: pd.DataFrame
    live: pd.DataFrame
    features: pd.DataFrame
    figures: pd.DataFrame
    bands: pd.DataFrame
    what_if: pd.DataFrame
    model: str


def review_report(snapshot: duckdb.DuckDBPyConnection) -> Report:
    """Return the report over the loan book of a snapshot; without any it says how to load it."""
    data = _read(snapshot)
    snapshot_id, published_at = identity(snapshot)
    if data.features.empty:
        how = "Drop a PostgreSQL dump into the inbox loan_book, or start the stream, and run `make run`."
        return report_without_data("loan book", how, snapshot_id, published_at)
    results = [each(data) for each in (_decisions, _overdue, _threshold, _model, _fairness, _latency)]
    found = [result for result in results if result is not None]
    as_of = pd.Timestamp(data.features["as_of"].max())
    return Report(
        title=_title(data),
        lead="How healthy are the loans, how good are the decisions, and what would a better policy bring?",
        source=f"The loan book as of {as_of:%Y-%m-%d}",
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=tuple(finding for finding, _ in found[:_MOST_FINDINGS]),
        sections=tuple(section for _, section in found),
        appendix=(_method(data),),
    )


def _read(snapshot: duckdb.DuckDBPyConnection) -> _Data:
    def frame(query: str) -> pd.DataFrame:
        return snapshot.execute(query).df()

    training = frame("select chosen, model_version from ml.lending_model_training where model_version is not null")
    return _Data(
        scores=frame("from ml.lending_scores order by application_id"),
        open=frame("from marts.fct_application_decisions order by application_id"),
        live=frame("select decision, latency_ms from marts.fct_loan_decisions order by decision_id"),
        features=frame(
            "select as_of, outstanding_principal, overdue_loans_count, open_loans_count, paid_loans_count "
            "from marts.fct_client_features order by client_id"
        ),
        figures=frame("from ml.lending_model_figures order by all"),
        bands=frame("from ml.lending_model_fairness"),
        what_if=frame("from ml.lending_what_if order by approve_below"),
        model="" if training.empty else str(training["chosen"].iloc[0]),
    )


def _money(value: float) -> str:
    return compact(float(value))


def _title(data: _Data) -> str:
    principal = float(data.features["outstanding_principal"].astype(float).sum())
    overdue = int(data.features["overdue_loans_count"].fillna(0).sum())
    return f"{_money(principal)} of principal is outstanding, and {counted(overdue, 'loan')} {_are(overdue)} overdue"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _decisions(data: _Data) -> Result | None:
    rows = data.open
    if rows.empty:
        return None
    referred = rows[rows["decision"].eq("refer")]
    share = len(referred) / len(rows)
    amount = float(referred["amount"].sum())
    counted_reasons = referred["reasons"].explode().value_counts().reset_index()
    reasons = counted_reasons.sort_values(["count", "reasons"], ascending=[False, True])
    reasons = reasons.assign(reasons=reasons["reasons"].str.replace("_", " ").str.capitalize())
    text = f"{counted(len(referred), 'open application')} ({share:.0%}) {_are(len(referred))} referred to a person."
    finding = Finding(
        f"{share:.0%} referred",
        text,
        "Decide these first; begin with the most frequent reason, which one more rule or question may settle."
        if len(referred)
        else "Keep the policy as it is.",
        f"{_money(amount)} of requested loans wait for this decision.",
        "Certain: each decision is computed from the active policy and model.",
        (
            Evidence("referred applications", len(referred),
                     "select count(*) from marts.fct_application_decisions where decision = 'refer'"),
            Evidence("their amounts", amount,
                     "select coalesce(sum(amount), 0) from marts.fct_application_decisions where decision = 'refer'"),
        ),
    )  # fmt: skip
    counts = rows.groupby("decision").agg(applications=("amount", "size"), amount=("amount", "sum")).reset_index()
    figure = ranked_bars(
        "reasons", "Reasons of the referred applications", reasons.head(12), Column("reasons", "Reason"),
        Column("count", "Applications", "count"),
        f"The most frequent: {reasons['reasons'].iloc[0]}." if len(reasons) else "There are none.",
    )  # fmt: skip
    columns = (
        Column("decision", "Decision"),
        Column("applications", "Open applications", "count"),
        Column("amount", "Amount", "money"),
    )
    return finding, Section(text.rstrip("."), (Table(counts, columns, "Open applications by decision"), Chart(figure)))


def _overdue(data: _Data) -> Result | None:
    ended = data.scores[data.scores["outcome"].notna()]
    overdue = ended[ended["outcome"].eq("overdue")]
    if ended.empty:
        return None
    amount, share = float(overdue["amount"].sum()), len(overdue) / len(ended)
    text = f"{counted(len(overdue), 'loan')} of {len(ended):,} with a known outcome {_are(len(overdue))} overdue."
    finding = Finding(
        f"{share:.0%} overdue",
        text,
        "Call on the clients with an overdue loan before they may borrow again, the largest amounts first.",
        f"{_money(amount)} was lent in these loans.",
        "Certain: each is in the loan book.",
        (
            Evidence("overdue loans", len(overdue),
                     "select count(*) from ml.lending_training_set where outcome = 'overdue'"),
            Evidence("their amounts", amount,
                     "select coalesce(sum(amount), 0) from ml.lending_training_set where outcome = 'overdue'"),
        ),
    )  # fmt: skip
    at = pd.to_datetime(ended["applied_on"])
    yearly = (
        ended.assign(year=at.dt.year, is_overdue=ended["outcome"].eq("overdue"))
        .groupby("year")
        .agg(loans=("is_overdue", "size"), share=("is_overdue", "mean"))
        .reset_index()
    )
    figure = ranked_bars(
        "overdue", "Overdue loans, share of those with a known outcome, by year of the application", yearly,
        Column("year", "Year", "year"), Column("share", "Overdue", "percent"), f"{share:.1%} over all years.",
    )  # fmt: skip
    columns = (Column("year", "Year", "year"), Column("loans", "Loans", "count"), Column("share", "Overdue", "percent"))
    return finding, Section(text.rstrip("."), (Chart(figure), Table(yearly, columns, "The same years")))


def _threshold(data: _Data) -> Result | None:
    table = data.what_if
    active = table[table["is_active"].astype(bool)]
    if active.empty or float(active["amount"].iloc[0]) <= 0:
        return None
    now = active.iloc[0]
    stricter = table[table["approve_below"] < now["approve_below"]]
    loss, amount = float(now["expected_loss"]), float(now["amount"])
    text = f"Of {_money(amount)} approved by today's policy, the model expects to lose {loss / amount:.0%}."
    value, action = "The other policies in the table do not lose less.", "Keep the policy as it is."
    if len(stricter):
        best = stricter.sort_values(["expected_loss_share", "approve_below"]).iloc[0]
        if best["expected_loss_share"] < now["expected_loss_share"]:
            saved, less = loss - float(best["expected_loss"]), amount - float(best["amount"])
            value = f"{_money(saved)} less expected loss, for {_money(less)} fewer loans."
            action = (
                f"Consider to approve only below a risk of {best['approve_below']:.0%} instead of "
                f"{now['approve_below']:.0%}; compare it with your margin first."
            )
    finding = Finding(
        f"{loss / amount:.0%} expected loss",
        text,
        action,
        value,
        "An estimate: the model's risk times the amount, as if an overdue loan were lost in full.",
        (
            Evidence("expected loss of the approved", loss,
                     "select sum(amount * default_probability) from ml.lending_scores where decision = 'approve'"),
            Evidence("approved amount", amount,
                     "select sum(amount) from ml.lending_scores where decision = 'approve'"),
        ),
    )  # fmt: skip
    columns = (
        Column("approve_below", "Approve below", "percent"),
        Column("approvals", "Approved", "count"),
        Column("amount", "Amount", "money"),
        Column("expected_loss", "Expected loss", "money"),
        Column("default_share", "Overdue so far", "percent"),
    )
    figure = model_charts.cut_offs(table, float(now["approve_below"]))
    blocks: tuple[Block, ...] = (Text(action), Chart(figure), Table(table, columns, "Other policies"))
    return finding, Section(text.rstrip("."), blocks)


def _model(data: _Data) -> Result | None:
    own = data.figures[data.figures["scores_of"].eq(data.model) & data.figures["measure"].eq("auc")]
    if own.empty:
        return None
    row = own.iloc[0]
    text = (
        f"Of a loan that was repaid and one that was not, the model names the riskier one in {row['value']:.0%} of the "
        f"pairs; guessing would reach 50%."
    )
    interval = (
        f"Tested on {counted(int(row['n']), 'later loan')} that it had not seen: between {row['low']:.0%} and "
        f"{row['high']:.0%}."
    )
    finding = Finding(
        f"{row['value']:.0%} right",
        text,
        "Use the scores to decide; retrain when a year of new outcomes has arrived.",
        "Each point more separates good and bad loans better, so that more are approved at the same loss.",
        interval,
        (
            Evidence("pairs in the right order", float(row["value"]),
                     "select value from ml.lending_model_figures\nwhere measure = 'auc' and scores_of = "
                     f"'{data.model}'"),
        ),
    )  # fmt: skip
    return finding, Section(
        f"The model is right in {row['value']:.0%} of the pairs",
        (Text(text), Text(interval), Chart(model_charts.model_figures(data.figures))),
    )


def _fairness(data: _Data) -> Result | None:
    bands = data.bands[data.bands["applications"] >= FEWEST_APPLICATIONS]
    if len(bands) < 2 or not bands["approvals"].sum():
        return None
    shares = bands["approval_share"].to_numpy(float)
    best, worst = bands.iloc[int(shares.argmax())], bands.iloc[int(shares.argmin())]
    ratio = float(worst["approval_share"] / best["approval_share"])
    table = [[row["approvals"], row["applications"] - row["approvals"]] for _, row in bands.iterrows()]
    is_mixed = bands["approvals"].sum() < bands["applications"].sum()
    probability = 1 - float(chi2_contingency(table).pvalue) if is_mixed else 0.0
    text = (
        f"Clients aged “{worst['age_band']}” are approved in {worst['approval_share']:.0%} of the cases, those aged "
        f"“{best['age_band']}” in {best['approval_share']:.0%}."
    )
    is_fair = ratio >= _LEAST_RATIO
    finding = Finding(
        f"{ratio:.0%} of the best age",
        text,
        "Keep watching it: the difference is within the usual limit of four fifths."
        if is_fair
        else "Look at the reasons of this age band before the next policy: the usual limit is four fifths.",
        f"Equal shares would approve about "
        f"{counted(round((best['approval_share'] - worst['approval_share']) * worst['applications']), 'application')} "
        f"more in that band.",
        f"{sureness(probability)} Age is no input of the model.",
        (
            Evidence("least approval share", float(worst["approval_share"]),
                     "select min(approvals / applications) from ml.lending_model_fairness\n"
                     f"where applications >= {FEWEST_APPLICATIONS}"),
            Evidence("largest approval share", float(best["approval_share"]),
                     "select max(approvals / applications) from ml.lending_model_fairness\n"
                     f"where applications >= {FEWEST_APPLICATIONS}"),
        ),
    )  # fmt: skip
    note = Text(f"Bands with fewer than {FEWEST_APPLICATIONS} applications are drawn and not compared.", is_muted=True)
    return finding, Section(text.rstrip("."), (Chart(model_charts.fairness(data.bands)), note))


def _latency(data: _Data) -> Result | None:
    if data.live.empty:
        return None
    milliseconds = data.live["latency_ms"].astype(float)
    slow = float(milliseconds.quantile(0.99))
    text = f"99 of 100 decisions of the service took at most {slow:,.0f} milliseconds."
    finding = Finding(
        f"{slow:,.0f} ms",
        text,
        "Nothing to do." if slow <= _SLOWEST_MS else "Look at the slowest decisions on the page of lending.",
        "An applicant does not wait." if slow <= _SLOWEST_MS else "Fewer applicants who give up while they wait.",
        f"Measured on {counted(len(data.live), 'decision')}.",
        (
            Evidence("99th percentile, milliseconds", slow,
                     "select quantile_cont(latency_ms::double, 0.99) from marts.fct_loan_decisions"),
        ),
    )  # fmt: skip
    shares = [0.5, 0.9, 0.95, 0.99, 1.0]
    frame = pd.DataFrame(
        {
            "name": [f"{share:.0%} of the decisions" for share in shares],
            "ms": [milliseconds.quantile(s) for s in shares],
        }
    )
    figure = ranked_bars(
        "latency", "Milliseconds from request to decision, at most", frame, Column("name", "Decisions"),
        Column("ms", "Milliseconds", "count"), f"The slowest took {milliseconds.max():,.0f} milliseconds.",
    )  # fmt: skip
    return finding, Section(text.rstrip("."), (Chart(figure),))


def _method(data: _Data) -> Section:
    live = "" if len(data.live) else " The service has made no decision yet, so there is no latency to report."
    return Section(
        "How this is computed",
        (
            Text(
                "Scores and decisions of past applications use only what was known on the day of the application. An "
                "overdue loan counts as lost in full. Amounts are in the currency of the loan book." + live
            ),
            Text(
                "Approval shares by age are compared by a chi-squared test; the four-fifths rule compares the least "
                "with the largest share. The model is tested on the latest ended loans, which it was not trained on."
            ),
        ),
    )
