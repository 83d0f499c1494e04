"""The findings on promotions as a PDF report: who abuses codes, what it costs, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd
from scipy.stats import fisher_exact

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
from quintet.presentation.design import Column, Figure
from quintet.presentation.simple_charts import lines_over_time, ranked_bars
from quintet.presentation.wording import counted, sureness
from quintet.warehouse.snapshot import identity

LEAST_PAUSE_DAYS = 60
"""Sign-ups that pause for this long are looked at before and after the pause."""

_CLEAR = 0.95
_MOST_FINDINGS = 5
_MOST_ROWS = 15
_COST = "case discount_type when 'fixed_amount' then discount_value else discount_value / 100 * min_purchase_amount end"
_CURRENCY = "in the currency of the codes"


@dataclass(frozen=True)
class _Data:
    """users: with decision. usages: each with cost, the least discount that it gave. codes: with uses."""

    users: pd.DataFrame
    usages: pd.DataFrame
    codes: pd.DataFrame


def findings_report(snapshot: duckdb.DuckDBPyConnection) -> Report:
    """Return the report over the users, codes and usages of a snapshot; without any it says how to load them."""
    data = _read(snapshot)
    if data.users.empty and data.usages.empty:
        how = "Drop files into the inboxes promo_users, promo_codes and promo_usages, and run `make run`."
        return report_without_data("users and usages of promo codes", how, *identity(snapshot))
    results = [each(data) for each in (_blocked, _after_pause, _unknown_users, _free_purchases, _verification)]
    found = [result for result in results if result is not None]
    snapshot_id, published_at = identity(snapshot)
    times = pd.concat([data.users["created_at"], data.usages["used_at"]])
    return Report(
        title=_title(data),
        lead="Who abuses promo codes, what does it cost, and which rule would stop it?",
        source=f"Users, codes and usages from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}",
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=tuple(finding for finding, _ in found[:_MOST_FINDINGS]),
        sections=(*(section for _, section in found), _over_time(data)),
        appendix=(_method(snapshot),),
    )


def _read(snapshot: duckdb.DuckDBPyConnection) -> _Data:
    users = snapshot.execute(
        "select user_id, created_at, is_email_verified, is_phone_verified, is_abuser, decision "
        "from marts.fct_promo_users left join marts.fct_abuse_scores using (user_id) order by created_at, user_id"
    ).df()
    usages = snapshot.execute(
        "select user_id, promo_code, used_at, is_user_known, discount_type, discount_value, min_purchase_amount "
        "from marts.fct_promo_usages order by used_at, user_id, promo_code"
    ).df()
    is_fixed = usages["discount_type"].eq("fixed_amount")
    share = usages["discount_value"] / 100 * usages["min_purchase_amount"]
    usages = usages.assign(cost=usages["discount_value"].where(is_fixed, share).fillna(0.0).astype(float))
    codes = snapshot.execute("from marts.dim_promo_code order by promo_code").df()
    uses = usages.groupby("promo_code").size()
    return _Data(users, usages, codes.assign(uses=codes["promo_code"].map(uses).fillna(0).astype(int)))


def _title(data: _Data) -> str:
    abusers = int(data.users["is_abuser"].eq(True).sum())
    known = int(data.users["is_abuser"].notna().sum())
    blocked = int(data.users["decision"].eq("block").sum())
    if not known:
        return f"{counted(len(data.users), 'account')}: {blocked:,} should be blocked"
    return f"{abusers:,} of {counted(known, 'account')} are confirmed abusers; the model blocks {blocked:,} accounts"


def _blocked(data: _Data) -> tuple[Finding, Section] | None:
    blocked = data.users[data.users["decision"].eq("block")]
    if blocked.empty:
        return None
    labels = data.users[data.users["is_abuser"].notna()]
    abusers = labels["is_abuser"].astype(bool)
    caught, wrong = (
        int((abusers & labels["decision"].eq("block")).sum()),
        int((~abusers & labels["decision"].eq("block")).sum()),
    )
    spent = data.usages[data.usages["user_id"].isin(blocked["user_id"])]
    cost = float(spent["cost"].sum())
    are_known = bool(abusers.any())
    text = f"{counted(len(blocked), 'account')} look like abuse so clearly that no person needs to check them."
    if are_known:
        text += f" They hold {caught / abusers.sum():.0%} of all confirmed abusers."
    none = "None" if not wrong else f"{wrong:,}"
    sure = (
        f"{none} of the blocked accounts {'is' if wrong < 2 else 'are'} confirmed as honest."
        if are_known
        else "No account has a confirmed label here; the model was tested in generated data only."
    )
    finding = Finding(
        counted(len(blocked), "account"),
        text,
        "Block these accounts, and let the service score each new sign-up.",
        f"At least {cost:,.0f} in discounts that they have used so far ({_CURRENCY}).",
        sure,
        (
            Evidence("accounts to block", len(blocked),
                     "select count(*) from marts.fct_abuse_scores where decision = 'block'"),
            Evidence("their least discounts", cost,
                     f"select sum({_COST})\nfrom marts.fct_promo_usages\n"
                     "join marts.fct_abuse_scores using (user_id)\nwhere decision = 'block'"),
        ),
    )  # fmt: skip
    counts = (
        data.users.assign(
            label=data.users["is_abuser"].map({True: "confirmed abuser", False: "confirmed honest"}).fillna("unknown")
        )
        .groupby(["label", "decision"], dropna=False)
        .size()
        .reset_index(name="accounts")
    )
    counts = counts.assign(name=counts["label"] + ", " + counts["decision"].fillna("not scored"))
    figure = _bars("decisions", "Accounts by confirmed label and decision", counts, "accounts", "Accounts")
    return finding, Section(f"The model blocks {counted(len(blocked), 'account')}", (Text(text), Chart(figure)))


def _after_pause(data: _Data) -> tuple[Finding, Section] | None:
    users = data.users[data.users["is_abuser"].notna()].reset_index(drop=True)
    gaps = users["created_at"].diff().dt.days
    if gaps.dropna().empty or gaps.max() < LEAST_PAUSE_DAYS:
        return None
    at = int(gaps.idxmax())
    after, before = users.iloc[at:], users.iloc[:at]
    of_after, of_before = int(after["is_abuser"].sum()), int(before["is_abuser"].sum())
    table = [[of_after, len(after) - of_after], [of_before, len(before) - of_before]]
    probability = 1 - float(fisher_exact(table, alternative="greater").pvalue)
    if probability < _CLEAR:
        return None
    last, first = before["created_at"].iloc[-1], after["created_at"].iloc[0]
    all_of = "all" if of_after == len(after) else f"{of_after:,}"
    text = (
        f"Sign-ups stopped in {last:%B %Y}. Of the {counted(len(after), 'account')} opened since {first:%B %Y}, "
        f"{all_of} {'is an abuser' if of_after == 1 else 'are abusers'}; before, {of_before / len(before):.1%} were."
    )
    query = f"select count(*) from marts.fct_promo_users where created_at >= timestamp '{first}' and {{}}"
    finding = Finding(
        f"{of_after:,} of {len(after):,}",
        text,
        f"Review each account opened after {last:%-d %B %Y} by hand, and ask why sign-up was still open.",
        f"Each such account that is stopped at sign-up is one abuser fewer: {of_after:,} of "
        f"{counted(of_after + of_before, 'confirmed abuser')}.",
        sureness(probability),
        (
            Evidence("labelled accounts since then", len(after), query.format("is_abuser is not null")),
            Evidence("abusers among them", of_after, query.format("is_abuser")),
        ),
    )
    months = users.groupby(users["created_at"].dt.to_period("M"))["is_abuser"].agg(["size", "sum"])
    months = months.reindex(pd.period_range(months.index.min(), months.index.max(), freq="M"), fill_value=0)
    frame = pd.DataFrame(
        {
            "month": pd.PeriodIndex(months.index).to_timestamp(),
            "honest": (months["size"] - months["sum"]).astype(float).to_numpy(),
            "abusers": months["sum"].astype(float).to_numpy(),
        }
    )
    figure = lines_over_time(
        "labels", "Sign-ups by month and label", frame, Column("month", "Month"),
        (Column("honest", "Honest", "count"), Column("abusers", "Abusers", "count")),
        f"From {last:%B %Y} on there are no honest sign-ups.", time_format="%b %Y",
    )  # fmt: skip
    title = f"{all_of.capitalize()} of the accounts opened since {first:%B %Y} are abusers"
    return finding, Section(title, (Text(text), Chart(figure)))


def _unknown_users(data: _Data) -> tuple[Finding, Section] | None:
    unknown = data.usages[~data.usages["is_user_known"].astype(bool)]
    if unknown.empty:
        return None
    cost = float(unknown["cost"].sum())
    text = (
        f"{counted(len(unknown), 'use')} of a code ({len(unknown) / len(data.usages):.0%} of all) "
        f"{'is' if len(unknown) == 1 else 'are'} by users whom no user file contains."
    )
    finding = Finding(
        counted(len(unknown), "use"),
        text,
        "Refuse a code without an existing account; ask for the missing users, if the export left them out.",
        f"At least {cost:,.0f} in discounts would be explained or saved ({_CURRENCY}).",
        "Certain for the files at hand; whether accounts were deleted or left out, only the source knows.",
        (
            Evidence("uses by unknown users", len(unknown),
                     "select count(*) from marts.fct_promo_usages\n"
                     "where user_id not in (select user_id from marts.fct_promo_users)"),
            Evidence("their least discounts", cost,
                     f"select coalesce(sum({_COST}), 0)\nfrom marts.fct_promo_usages\nwhere not is_user_known"),
        ),
    )  # fmt: skip
    monthly = data.usages.assign(month=data.usages["used_at"].dt.to_period("M").dt.to_timestamp())
    frame = monthly.groupby("month")["is_user_known"].agg(lambda known: 1 - known.astype(float).mean()).reset_index()
    figure = lines_over_time(
        "unknown", "Uses by unknown users, share of all uses of the month", frame, Column("month", "Month"),
        (Column("is_user_known", "Unknown users", "percent"),),
        f"Over all months it is {len(unknown) / len(data.usages):.1%}.", time_format="%b %Y",
    )  # fmt: skip
    return finding, Section(
        f"{counted(len(unknown), 'use')} of codes {'belongs' if len(unknown) == 1 else 'belong'} to no known user",
        (Text(text), Chart(figure)),
    )


def _free_purchases(data: _Data) -> tuple[Finding, Section] | None:
    codes = data.codes
    free = codes[codes["discount_type"].eq("fixed_amount") & (codes["discount_value"] > codes["min_purchase_amount"])]
    if free.empty:
        return None
    above = (free["discount_value"] - free["min_purchase_amount"]).astype(float)
    cost = float((above * free["uses"]).sum())
    uses = int(free["uses"].sum())
    text = (
        f"{counted(len(free), 'code')} {'gives' if len(free) == 1 else 'give'} a discount larger than the smallest "
        f"purchase that {'it applies' if len(free) == 1 else 'they apply'} to: such a purchase is free."
    )
    condition = "discount_type = 'fixed_amount' and discount_value > min_purchase_amount"
    finding = Finding(
        counted(len(free), "code"),
        text,
        "Raise the smallest purchase of these codes to at least their discount, and check new codes for it.",
        f"Up to {cost:,.0f} that {counted(uses, 'use')} may have given away beyond a free purchase ({_CURRENCY}).",
        "Certain for the terms; what was bought is not in the data, so the money is the most that can be lost.",
        (
            Evidence("codes above their smallest purchase", len(free),
                     f"select count(*) from marts.dim_promo_code where {condition}"),
            Evidence("discount above the smallest purchase, over all uses", cost,
                     "select coalesce(sum(discount_value - min_purchase_amount), 0)\nfrom marts.fct_promo_usages\n"
                     f"where {condition}"),
        ),
    )  # fmt: skip
    rows = free.assign(name=free["promo_code"].astype(str), lost=above * free["uses"], above=above)
    rows = rows.sort_values(["above", "uses", "name"], ascending=[False, False, True]).head(_MOST_ROWS)
    figure = _bars("free", "Discount above the smallest purchase, largest first", rows, "above", "Above the purchase")
    columns = (
        Column("name", "Code"),
        Column("discount_value", "Discount", "money"),
        Column("min_purchase_amount", "Smallest purchase", "money"),
        Column("uses", "Uses", "count"),
    )
    return finding, Section(
        f"{counted(len(free), 'code')} can make a purchase free",
        (Text(text), Chart(figure), Table(rows, columns, "The same codes")),
    )


def _verification(data: _Data) -> tuple[Finding, Section] | None:
    labels = data.users[data.users["is_abuser"].notna()]
    is_abuser = labels["is_abuser"].astype(bool)
    has_email, has_phone = (
        labels[name].fillna(False).astype(bool) for name in ("is_email_verified", "is_phone_verified")
    )
    neither = ~has_email & ~has_phone
    counts = [int((neither & is_abuser).sum()), int((~neither & is_abuser).sum())]
    others = [int((neither & ~is_abuser).sum()), int((~neither & ~is_abuser).sum())]
    if not sum(counts) or not sum(others):
        return None
    probability = 1 - float(fisher_exact([counts, others], alternative="greater").pvalue)
    if probability < _CLEAR:
        return None
    share, rest = counts[0] / sum(counts), others[0] / sum(others)
    text = (
        f"{share:.0%} of the confirmed abusers have confirmed neither e-mail nor phone; of the honest accounts it is "
        f"{rest:.0%}."
    )
    base = (
        "select avg((not coalesce(is_email_verified, false) and not coalesce(is_phone_verified, false))::int)\n"
        "from marts.fct_promo_users\nwhere is_abuser = {}"
    )
    finding = Finding(
        f"{share:.0%} against {rest:.0%}",
        text,
        "Give a code only after one confirmation: honest users lose a minute, and abusers need a real address.",
        f"{counted(counts[0], 'confirmed abuser')} would have needed a confirmed address or phone.",
        f"{sureness(probability)} It is a hint about an account, not a proof: most unconfirmed accounts are honest.",
        (
            Evidence("abusers without any confirmation, share", share, base.format("true")),
            Evidence("honest accounts without any confirmation, share", rest, base.format("false")),
        ),
    )
    rows = []
    for name, email, phone in (
        ("neither", False, False), ("phone only", False, True), ("e-mail only", True, False), ("both", True, True)
    ):  # fmt: skip
        own = labels[has_email.eq(email) & has_phone.eq(phone)]
        rows.append((name, len(own), own["is_abuser"].astype(float).mean() if len(own) else float("nan")))
    frame = pd.DataFrame(rows, columns=["name", "accounts", "share"]).dropna()
    worst = frame.iloc[int(frame["share"].to_numpy().argmax())]
    most = f"Abusers are most frequent, {worst['share']:.1%}, where accounts confirmed {worst['name']}."
    figure = ranked_bars(
        "verification", "Confirmed abusers, share of the accounts", frame, Column("name", "Confirmed"),
        Column("share", "Abusers", "percent"), most,
    )  # fmt: skip
    return finding, Section("Abusers confirm their address and phone less often", (Text(text), Chart(figure)))


def _over_time(data: _Data) -> Section:
    def monthly(frame: pd.DataFrame, column: str) -> pd.Series:
        return frame.groupby(frame[column].dt.to_period("M")).size()

    counts = pd.concat(
        {"sign_ups": monthly(data.users, "created_at"), "uses": monthly(data.usages, "used_at")}, axis=1
    ).sort_index()
    counts = counts.reindex(pd.period_range(counts.index.min(), counts.index.max(), freq="M")).fillna(0.0)
    frame = counts.reset_index(names="month").assign(month=pd.PeriodIndex(counts.index).to_timestamp())
    figure = lines_over_time(
        "months", "Sign-ups and uses of codes by month", frame, Column("month", "Month"),
        (Column("sign_ups", "Sign-ups", "count"), Column("uses", "Uses", "count")),
        f"{counted(len(data.users), 'sign-up')} and {counted(len(data.usages), 'use')} in all.", time_format="%b %Y",
    )  # fmt: skip
    peaks = [
        f"most {words} were in {counts[column].idxmax():%B %Y}"
        for words, column in (("sign-ups", "sign_ups"), ("uses", "uses"))
        if counts[column].any()
    ]
    title = ", ".join(peaks)
    return Section(title[:1].upper() + title[1:], (Chart(figure),))


def _bars(name: str, title: str, frame: pd.DataFrame, value: str, label: str) -> Figure:
    top = frame.iloc[int(frame[value].to_numpy(float).argmax())]
    words = f"The largest: {top['name']}, {top[value]:,.0f}."
    return ranked_bars(name, title, frame, Column("name", ""), Column(value, label, "count"), words)


def _method(snapshot: duckdb.DuckDBPyConnection) -> Section:
    figures = snapshot.execute(
        "select scores_of, measure, value, low, high, n from ml.abuse_model_figures "
        "where scores_of = 'active' order by measure"
    ).df()
    blocks: list[Block] = [
        Text(
            "The least discount of a use is the amount of a fixed code, and the percentage of the smallest purchase of "
            "a percentage code: what was bought is not in the data."
        ),
        Text(
            "Two shares are compared by Fisher's exact test, one-sided. A finding is on the first page where its "
            "test leaves less than 5% to chance, or where it is a count that needs no test."
        ),
    ]
    if len(figures):
        columns = (
            Column("measure", "Measure of the active model"),
            Column("value", "Value", "percent"),
            Column("low", "From", "percent"),
            Column("high", "To", "percent"),
            Column("n", "Accounts", "count"),
        )
        figures = figures.assign(measure=figures["measure"].str.replace("_", " "))
        blocks.append(Table(figures, columns, "How good the scores are, with 95% intervals"))
    return Section("How this is computed", tuple(blocks))
