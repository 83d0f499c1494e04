"""What the insurance charts share: columns, axes, scales, and words of numbers.

Of an empty frame every chart is `no_figure`, with a note on what to do. Ratios come with the frame, recomputed from
sums; none is computed from ratios. Amounts are USD.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from quintet.insurance.years import year_in_words
from quintet.presentation.design import CURRENCY, PHONE, Column, Figure, compact, format_value

LINES = {"CL": "Commercial (CL)", "PL": "Personal (PL)"}
"""The product lines in the order of their colours, which is the same in every chart."""
LINE_NAMES = tuple(LINES.values())
SEGMENTS = ("grow", "keep", "repair", "revive", "invest", "retain", "watch", "dormant")
"""The segments of agencies in the order of their colours."""
NO_ROWS = (
    "No row fits these filters. Widen or reset them; if nothing has been loaded yet, drop an agency performance file "
    "into its inbox and run `make run`."
)
_MEASURES = (
    *("written_premium", "new_business_premium", "incurred_losses", "loss_ratio", "retention_ratio", "growth_rate"),
    *("loss_ratio_numerator", "loss_ratio_denominator"),
)
NO_FORECAST = "No forecast is published for this selection. Reset the filters, or run `make run SELECT=insurance`."
SHORT_AMOUNT = "replace(format(datum.value, '~s'), 'G', 'B')"
PREMIUM_AXIS = alt.Axis(title=f"Written premium, {CURRENCY}", labelExpr=SHORT_AMOUNT, grid=True)
YEAR_AXIS = alt.Axis(title=None, labelAngle=0, labelExpr="split(datum.label, '|')", labelOverlap="greedy")
LINE = Column("line", "Line")
YEAR = Column("year", "Year", "year")
AGENCY = Column("agency_id", "Agency", "identifier")
MONTHS = Column("months_covered", "Months", "count")
PREMIUM = Column("written_premium", "Written premium", "money", CURRENCY)
NEW_BUSINESS = Column("new_business_premium", "New business", "money", CURRENCY)
LOSSES = Column("incurred_losses", "Incurred losses", "money", CURRENCY)
LOSS_RATIO = Column("loss_ratio", "Loss ratio", "percent")
RETENTION = Column("retention_ratio", "Retention", "percent")
GROWTH = Column("growth_rate", "Growth", "change")
POLICIES = Column("policies_in_force", "Policies in force", "count")


def no_figure(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...], reason: str) -> Figure:
    """Return a figure without a chart, whose note says why or what to do."""
    return Figure(name, title, "There is nothing to draw.", None, table.head(0), columns, note=reason, height=160)


def finite_measures(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its measures as floats, and null for values that are not finite."""
    floats = {name: frame[name].astype("float64") for name in _MEASURES if name in frame}
    return frame.assign(**{name: values.where(values.abs() < float("inf")) for name, values in floats.items()})


def plain_rows(rows: pd.DataFrame, columns: Sequence[Column], *more: str) -> pd.DataFrame:
    """Return the columns for a chart, with floats for decimals and null for values that are not finite."""
    names = [name for name in dict.fromkeys([*(column.name for column in columns), *more]) if name in rows]
    kinds = {column.name: column.kind for column in columns}
    plain = rows[names].copy()
    for name in names:
        if kinds.get(name) in {"money", "percent", "change", "decimal"}:
            digits = 2 if kinds[name] == "money" else 6
            plain[name] = plain[name].astype("float64").round(digits)
        elif kinds.get(name) == "identifier":
            plain[name] = plain[name].astype(str)
    return plain


def with_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `line`, the label of the product line, and `place`, its order."""
    codes = rows["prod_line"].astype(str) if "prod_line" in rows else pd.Series(dtype=str)
    known = list(LINES)
    return rows.assign(
        line=codes.map(lambda code: LINES.get(code, code)),
        place=codes.map(lambda code: known.index(code) if code in known else len(known)),
    )


def colours_of(names: pd.Series, known: Sequence[str]) -> tuple[alt.Scale, list[str]]:
    """Return a scale with fixed colours of the known names, and the names that are shown."""
    shown = set(names.dropna())
    domain = [*known, *sorted(shown - set(known))]
    return alt.Scale(domain=domain, range="category"), [name for name in domain if name in shown]


def years_axis(first: int, last: int, room: float = 0.0) -> alt.X:
    """Return an axis of years, with space behind the last one for the labels of the lines."""
    years = list(range(first, last + 1))
    return alt.X(
        "year:Q",
        scale=alt.Scale(domain=[first, last + max(1, last - first) * room], nice=False, padding=12),
        axis=alt.Axis(title=None, format="d", values=years, tickCount=len(years), labelOverlap="parity"),
    )


def scale_with_room(values: pd.Series, room: float) -> alt.Scale:
    """Return a scale from zero to above the largest value, with space for the label behind a bar."""
    largest = float(values.max())
    return alt.Scale(zero=True, domainMax=largest * room) if largest > 0 else alt.Scale(zero=True)


def starts_near_zero(values: pd.Series) -> bool:
    """Return whether a scale of these values should include zero: it costs at most half of its length."""
    low, high = float(values.min()), float(values.max())
    return low <= 0 <= high or min(abs(low), abs(high)) <= high - low


def with_years(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `year_label`, `incomplete_reason` and `is_short`: whether the year is not complete."""
    if "months_covered" not in rows:
        return rows.assign(months_covered=pd.Series(dtype="Int64"), is_short=False, incomplete_reason="", year_label="")
    reasons = rows["short_years"].map(lambda years: years[0]["reason"] if years else "")
    is_short = reasons != ""
    years = rows["year"].astype("Int64").astype(str)
    months = rows["months_covered"].astype("Int64").astype(str) + " mo"
    return rows.assign(
        is_short=is_short,
        incomplete_reason=reasons,
        year_label=years.where(
            ~is_short, years + "|" + months.where(reasons == "short", reasons.str.replace("_", " "))
        ),
    )


def year_labels(rows: pd.DataFrame) -> list[str]:
    """Return the labels of the years in their order."""
    return rows.sort_values("year")["year_label"].drop_duplicates().tolist()


def with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, with an empty one for each missing year of a line, so that no line is drawn across it."""
    if rows.empty:
        return rows
    years = range(int(rows["year"].min()), int(rows["year"].max()) + 1)
    every = pd.MultiIndex.from_product([rows["line"].unique(), years], names=["line", "year"]).to_frame(index=False)
    return every.merge(rows, on=["line", "year"], how="left")


def span_of(rows: pd.DataFrame) -> str:
    """Return the years of the rows for a title: ", 2005–2012"; empty without rows."""
    if rows.empty:
        return ""
    first, last = int(rows["year"].min()), int(rows["year"].max())
    return f", {first}" if first == last else f", {first}–{last}"


def short_years_note(rows: pd.DataFrame, how: str) -> str:
    """Return the incomplete years in a sentence that says how they are drawn; empty if there are none."""
    if rows.empty or not rows["is_short"].any():
        return ""
    short = rows[rows["is_short"]].drop_duplicates("year").sort_values("year")
    columns = ["year", "months_covered", "incomplete_reason"]
    years = listing([year_in_words(*year) for year in short[columns].itertuples(index=False)])
    return f"Incomplete years are {how}: {years}."


def premium_in_words(rows: pd.DataFrame) -> str:
    """Return the premium of the last complete year, by line and against the year before, in a sentence."""
    complete = rows[~rows["is_short"]]
    year = int((complete if len(complete) else rows)["year"].max())
    of_year = rows[rows["year"] == year].dropna(subset=["written_premium"]).sort_values("place")
    amounts = zip(of_year["line"], of_year["written_premium"], strict=True)
    lines = ", ".join(f"{line} {compact(amount, CURRENCY)}" for line, amount in amounts)
    before = rows[(rows["year"] == year - 1) & ~rows["is_short"]]["written_premium"].sum()
    now = of_year["written_premium"].sum()
    change = f", {format_value(now / before - 1, 'change')} on {year - 1}" if before > 0 and len(complete) else ""
    which = "the last complete year" if len(complete) else "not a complete year"
    return f"{year}, {which}: {compact(now, CURRENCY)}{change} ({lines})."


def loss_ratio_of_all(rows: pd.DataFrame) -> float:
    """Return the loss ratio of the sums, including rows without a ratio of their own."""
    premium = rows["loss_ratio_denominator"].sum()
    return float(rows["loss_ratio_numerator"].sum() / premium) if premium > 0 else float("nan")


def if_wide(then: float, otherwise: float) -> alt.ExprRef:
    """Return one value where the chart is wide, another on a phone."""
    return alt.ExprRef(f"width >= {PHONE - 120} ? {then} : {otherwise}")


def listing(items: Sequence[object]) -> str:
    """Return the items as "a, b and c"."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def in_one_text(*sentences: str) -> str:
    """Return the sentences that are not empty as one text."""
    return " ".join(sentence for sentence in sentences if sentence)
