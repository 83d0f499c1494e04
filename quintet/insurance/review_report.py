"""The review of insurance as a PDF report: premium, losses, retention, segments and forecast."""

from __future__ import annotations

import duckdb
import pandas as pd

from quintet.insurance.review_data import ReviewData, read_review
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
from quintet.presentation.simple_charts import lines_over_time, ranked_bars
from quintet.presentation.wording import counted
from quintet.warehouse.snapshot import identity

ACCEPTABLE_LOSS_RATIO = 0.7
"""The loss ratio below which an agency is sound: the threshold of the segment `repair`."""

_MOST_FINDINGS = 5
_MOST_AGENCIES = 15
_TOP = 5

Result = tuple[Finding, Section]

_LOSS = (
    "sum(incurred_losses) filter (written_premium is not null)\n"
    "    / sum(written_premium) filter (incurred_losses is not null)"
)


def review_report(snapshot: duckdb.DuckDBPyConnection) -> Report:
    """Return the report over the agencies of a snapshot; without any it says how to load them."""
    data = read_review(snapshot)
    snapshot_id, published_at = identity(snapshot)
    if data.years.empty:
        how = "Drop a file into the inbox agency_performance, and run `make run`."
        return report_without_data("agency performance", how, snapshot_id, published_at)
    results = [each(data) for each in (_repair, _premium, _retention, _concentration, _forecast, _dormant)]
    found = [result for result in results if result is not None]
    covered = data.years["year"]
    return Report(
        title=_title(data),
        lead="Where does the premium come from, where is it lost, and what to do about each agency?",
        source=f"Agency performance of {covered.min()} to {covered.max()}",
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=tuple(finding for finding, _ in found[:_MOST_FINDINGS]),
        sections=(*(section for _, section in found), _segments(data)),
        appendix=(_method(data),),
    )


def _complete(data: ReviewData) -> pd.DataFrame:
    return data.years[data.years["is_complete"].astype(bool)].reset_index(drop=True)


def _usd(value: float) -> str:
    return compact(float(value), "USD")


def _title(data: ReviewData) -> str:
    complete = _complete(data)
    if complete.empty:
        return f"No year of the data is complete yet: {counted(len(data.segments), 'agency')}"
    last = complete.iloc[-1]
    ratio = f", of which losses took {last['loss_above'] / last['loss_below']:.0%}" if last["loss_below"] > 0 else ""
    return f"{last['year']}: {_usd(last['premium'])} of premium{ratio}"


def _premium(data: ReviewData) -> Result | None:
    complete = _complete(data)
    if len(complete) < 2:
        return None
    last, before = complete.iloc[-1], complete.iloc[-2]
    if before["premium"] <= 0:
        return None
    growth = last["premium"] / before["premium"] - 1
    best = complete.iloc[int(complete["premium"].to_numpy().argmax())]
    text = (
        f"Written premium {'grew' if growth >= 0 else 'fell'} by {abs(growth):.1%} in {last['year']}, to "
        f"{_usd(last['premium'])}."
    )
    gap = float(best["premium"] - last["premium"])
    value = (
        f"{_usd(gap)} a year, if the premium of {best['year']} were reached again."
        if gap > 0
        else f"It is the best year of the data; {abs(growth):.1%} more would be {_usd(last['premium'] * abs(growth))}."
    )
    one = "select sum(written_premium) from marts.fct_agency_performance where year = {}"
    finding = Finding(
        f"{growth:+.1%}".replace("-", "−"),
        text,
        "Plan the next year with the agencies that grew; the segments below name them.",
        value,
        "Certain: it is the sum of the rows, with their corrections.",
        (
            Evidence(f"premium of {last['year']}", float(last["premium"]), one.format(last["year"])),
            Evidence(f"premium of {before['year']}", float(before["premium"]), one.format(before["year"])),
        ),
    )
    frame = complete.assign(at=pd.to_datetime(complete["year"].astype(str)))
    figure = lines_over_time(
        "premium", "Written premium and losses by complete year, USD", frame, Column("at", "Year", "year"),
        (Column("premium", "Written premium", "money"), Column("losses", "Losses", "money")),
        f"The best year was {best['year']} with {_usd(best['premium'])}.", time_format="%Y",
    )  # fmt: skip
    return finding, Section(text.rstrip("."), (Chart(figure),))


def _repair(data: ReviewData) -> Result | None:
    rows = data.segments[data.segments["segment"].eq("repair")]
    if rows.empty:
        return None
    premium = rows["recent_written_premium"].astype(float)
    excess = premium * (rows["loss_ratio"].astype(float) - ACCEPTABLE_LOSS_RATIO)
    years = int(rows["recent_to_year"].iloc[0]) - int(rows["recent_from_year"].iloc[0]) + 1
    yearly = float(excess.sum()) / years
    text = (
        f"{counted(len(rows), 'agency')} {'loses' if len(rows) == 1 else 'lose'} more than "
        f"{ACCEPTABLE_LOSS_RATIO:.0%} of the premium to claims."
    )
    finding = Finding(
        f"{_usd(yearly)} a year",
        text,
        str(rows["action"].iloc[0]),
        f"About {_usd(yearly)} a year, if these agencies came down to {ACCEPTABLE_LOSS_RATIO:.0%}.",
        f"The losses are certain; {'one year' if years == 1 else f'{years} years'} of a small agency may hold one "
        f"large claim.",
        (
            Evidence("losses above 70% of the premium, all recent years", float(excess.sum()),
                     "with sums as (\n    select agency_id, sum(written_premium) as premium,\n"
                     f"        {_LOSS} as loss_ratio\n"
                     "    from marts.fct_agency_performance\n    where year between "
                     f"{rows['recent_from_year'].iloc[0]} and {rows['recent_to_year'].iloc[0]}\n"
                     "    group by agency_id\n)\n"
                     f"select sum(premium * (sums.loss_ratio - {ACCEPTABLE_LOSS_RATIO}))\nfrom sums\n"
                     "join marts.dim_agency_segment using (agency_id)\nwhere segment = 'repair'"),
        ),
    )  # fmt: skip
    shown = rows.assign(
        name="agency " + rows["agency_id"].astype(str), loss=rows["loss_ratio"].astype(float), excess=excess
    )
    shown = shown.sort_values(["excess", "agency_id"], ascending=[False, True]).head(_MOST_AGENCIES)
    figure = ranked_bars(
        "repair", f"Losses above {ACCEPTABLE_LOSS_RATIO:.0%} of the premium, USD", shown, Column("name", "Agency"),
        Column("excess", "Above", "money"), f"The largest: {shown['name'].iloc[0]}, {_usd(shown['excess'].iloc[0])}.",
    )  # fmt: skip
    columns = (
        Column("name", "Agency"),
        Column("recent_written_premium", "Premium", "money", "USD"),
        Column("loss", "Loss ratio", "percent"),
    )
    return finding, Section(text.rstrip("."), (Chart(figure), Table(shown, columns, "The same agencies")))


def _retention(data: ReviewData) -> Result | None:
    complete = _complete(data)
    known = complete[complete["kept_below"] > 0]
    rows = data.segments[data.segments["segment"].eq("retain")]
    if known.empty:
        return None
    last = known.iloc[-1]
    share = last["kept_above"] / last["kept_below"]
    weak = (
        "" if rows.empty else f" {counted(len(rows), 'agency')} {'keeps' if len(rows) == 1 else 'keep'} clearly fewer."
    )
    text = f"Of the policies of the year before, {share:.0%} were kept in {last['year']}.{weak}"
    policy = last["premium"] / max(last["kept_below"], 1)
    one_point = 0.01 * last["kept_below"]
    finding = Finding(
        f"{share:.0%} kept",
        text,
        str(rows["action"].iloc[0]) if len(rows) else "Ask departing customers why they leave, agency by agency.",
        f"Each point more keeps about {counted(round(one_point), 'policy', 'policies')}, or "
        f"{_usd(one_point * policy)} of premium a year.",
        "Certain for the share; the money assumes that a policy kept is an average one.",
        (
            Evidence(
                "share of policies kept", float(share),
                "select sum(retained_policies) filter (prev_policies_in_force is not null)\n"
                "    / sum(prev_policies_in_force) filter (retained_policies is not null)\n"
                f"from marts.fct_agency_performance where year = {last['year']}",
            ),
        ),
    )  # fmt: skip
    frame = known.assign(at=pd.to_datetime(known["year"].astype(str)), kept=known["kept_above"] / known["kept_below"])
    figure = lines_over_time(
        "retention", "Policies kept, share of those of the year before", frame, Column("at", "Year", "year"),
        (Column("kept", "Kept", "percent"),), f"{share:.1%} in {last['year']}.",
        "The axis does not begin at zero.", time_format="%Y", from_zero=False,
    )  # fmt: skip
    blocks: list[Block] = [Chart(figure)]
    if len(rows):
        shown = rows.assign(name="agency " + rows["agency_id"].astype(str)).sort_values("retention_ratio")
        columns = (
            Column("name", "Agency"),
            Column("retention_ratio", "Kept", "percent"),
            Column("policies_up_for_renewal", "Policies to keep", "count"),
            Column("recent_written_premium", "Premium", "money", "USD"),
        )
        blocks.append(Table(shown.head(_MOST_AGENCIES), columns, "Agencies that keep fewer"))
    return finding, Section(f"{share:.0%} of the policies were kept in {last['year']}", tuple(blocks))


def _concentration(data: ReviewData) -> Result | None:
    complete = _complete(data)
    if complete.empty:
        return None
    last = int(complete["year"].iloc[-1])
    own = data.agencies[data.agencies["year"].eq(last)].sort_values(["premium", "agency_id"], ascending=[False, True])
    total = float(own["premium"].sum())
    if len(own) <= _TOP or total <= 0:
        return None
    top = float(own["premium"].head(_TOP).sum())
    text = f"The {_TOP} largest agencies wrote {top / total:.0%} of the premium of {last}."
    finding = Finding(
        f"{top / total:.0%} from {_TOP}",
        text,
        "Visit these agencies first, and agree early on what each plans for the next year.",
        f"A tenth more or less at these {_TOP} moves the year by {_usd(top / 10)}.",
        "Certain: it is the sum of the rows.",
        (
            Evidence(
                "their share", top / total,
                "with sums as (\n    select agency_id, sum(written_premium) as premium\n"
                f"    from marts.fct_agency_performance where year = {last} group by agency_id\n)\n"
                f"select (select sum(premium) from (from sums order by premium desc, agency_id limit {_TOP}))\n"
                "    / sum(premium)\nfrom sums",
            ),
        ),
    )  # fmt: skip
    shown = own.head(_MOST_AGENCIES).assign(name="agency " + own["agency_id"].head(_MOST_AGENCIES).astype(str))
    figure = ranked_bars(
        "agencies", f"Written premium of {last} by agency, USD", shown, Column("name", "Agency"),
        Column("premium", "Premium", "money"),
        f"The largest: {shown['name'].iloc[0]}, {_usd(shown['premium'].iloc[0])}.",
    )  # fmt: skip
    return finding, Section(text.rstrip("."), (Chart(figure),))


def _forecast(data: ReviewData) -> Result | None:
    if data.forecast.empty:
        return None
    rows = data.forecast
    total, before = float(rows["forecast"].sum()), float(rows["premium"].sum())
    year = int(rows["year"].iloc[0])
    if before <= 0:
        return None
    tested = data.backtest[data.backtest["actual"].astype(float) > 0]
    errors = (tested["forecast"] / tested["actual"] - 1).abs()
    sure = (
        f"In {counted(len(tested), 'past year')} the forecast total was off by {errors.mean():.0%} on average and by "
        f"{errors.max():.0%} at most."
        if len(tested)
        else "There is no past year to test the forecast with."
    )
    change = total / before - 1
    than = f"{abs(change):.1%} {'above' if change > 0 else 'below'}" if abs(change) >= 0.0005 else "the same as in"
    text = f"The premium of {year} is forecast at {_usd(total)}, {than} the last complete year."
    finding = Finding(
        _usd(total),
        text,
        "Plan with this total, and ask the agencies with a falling forecast first.",
        f"{_usd(abs(total - before))} {'more' if total >= before else 'less'} than the last complete year.",
        sure,
        (
            Evidence("forecast", total, "select sum(forecast) from marts.fct_premium_forecast"),
            Evidence("last complete year of the same agencies", before,
                     "select sum(premium) from marts.fct_premium_forecast"),
        ),
    )  # fmt: skip
    names = "agency " + rows["agency_id"].astype(str) + ", " + rows["prod_line"]
    changes = rows.assign(change=(rows["forecast"] - rows["premium"]).astype(float), name=names)
    order = changes.assign(size=changes["change"].abs()).sort_values(["size", "name"], ascending=[False, True])
    shown = order.head(_MOST_AGENCIES).sort_values(["change", "name"])
    figure = ranked_bars(
        "forecast", f"Forecast of {year} less the last complete year, largest changes, USD", shown,
        Column("name", "Agency and line"), Column("change", "Change", "money"),
        f"All together: {_usd(total - before)}.", "CL: commercial lines, PL: personal lines.",
    )  # fmt: skip
    blocks: list[Block] = [Text(sure), Chart(figure)]
    if len(tested):
        table = tested.assign(error=tested["forecast"] / tested["actual"] - 1)
        columns = (
            Column("year", "Year", "year"),
            Column("forecast", "Forecast", "money", "USD"),
            Column("actual", "Actual", "money", "USD"),
            Column("error", "Off by", "change"),
        )
        blocks.append(Table(table, columns, "The same forecast for past years, which it did not know"))
    return finding, Section(text.rstrip("."), tuple(blocks))


def _dormant(data: ReviewData) -> Result | None:
    rows = data.segments[data.segments["segment"].eq("dormant")]
    if rows.empty:
        return None
    text = f"{counted(len(rows), 'agency')} of {len(data.segments):,} wrote nothing in the recent complete years."
    finding = Finding(
        counted(len(rows), "agency"),
        text,
        str(rows["action"].iloc[0]),
        "Fewer appointments to look after; an agency that returns counts as new.",
        "Certain for the years of the data.",
        (
            Evidence("dormant agencies", len(rows),
                     "select count(*) from marts.dim_agency_segment where segment = 'dormant'"),
        ),
    )  # fmt: skip
    earlier = rows["earlier_written_premium"].astype(float).fillna(0.0)
    shown = rows.assign(name="agency " + rows["agency_id"].astype(str), earlier=earlier)
    shown = shown[shown["earlier"] > 0].sort_values(["earlier", "agency_id"], ascending=[False, True])
    figure = ranked_bars(
        "dormant", "Premium of the earlier years of agencies that write nothing today, USD",
        shown.head(_MOST_AGENCIES), Column("name", "Agency"), Column("earlier", "Earlier premium", "money"),
        f"{counted(len(shown), 'agency')} of them wrote premium in earlier years.",
    )  # fmt: skip
    return finding, Section(text.rstrip("."), (Chart(figure),))


def _segments(data: ReviewData) -> Section:
    segments = data.segments.assign(premium=data.segments["recent_written_premium"].astype(float))
    frame = (
        segments.groupby("segment")
        .agg(agencies=("agency_id", "size"), premium=("premium", "sum"), action=("action", "first"))
        .reset_index()
        .sort_values(["premium", "segment"], ascending=[False, True])
    )
    figure = ranked_bars(
        "segments", "Written premium of the recent complete years by segment, USD", frame,
        Column("segment", "Segment"), Column("premium", "Premium", "money"),
        f"{counted(len(data.segments), 'agency')} in {counted(len(frame), 'segment')}.",
    )  # fmt: skip
    columns = (
        Column("segment", "Segment"),
        Column("agencies", "Agencies", "count"),
        Column("premium", "Premium", "money", "USD"),
        Column("action", "What to do"),
    )
    return Section("What to do about each agency", (Chart(figure), Table(frame, columns, "The segments")))


def _method(data: ReviewData) -> Section:
    rules = data.segments.drop_duplicates("segment").sort_values("segment")
    left_out = data.years[~data.years["is_complete"].astype(bool)]
    names = ", ".join(left_out["label"].astype(str)) or "none"
    return Section(
        "How this is computed",
        (
            Text(f"Only complete years are compared. Years that are not: {names}."),
            Text(
                "Ratios divide sums: losses by written premium over the rows where both are known, policies kept by "
                "policies of the year before likewise. All premium is in US dollars."
            ),
            Table(rules, (Column("segment", "Segment"), Column("rule", "Rule")), "The rules of the segments"),
        ),
    )
