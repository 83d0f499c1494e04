"""The first page of the pipeline report: what the data at hand lacks, and what a request to the partner would bring."""

from __future__ import annotations

from quintet.conversions.analysis import Analysis
from quintet.presentation.blocks import Evidence, Finding
from quintet.presentation.wording import counted

MOST_FINDINGS = 5
_CERTAIN = "Certain: it is counted in the files at hand."


def pipeline_findings(analysis: Analysis) -> tuple[Finding, ...]:
    """Return up to five findings, those that concern most rows first. What the data has already is not advised."""
    steps = analysis.funnel.set_index(["side", "step"])["rows"].astype(int).to_dict()
    rows, clicks = steps.get(("broker_rows", "all"), 0), steps.get(("clicks", "all"), 0)
    if not rows or not clicks:
        return ()
    ours = analysis.outcomes[analysis.outcomes["side"] == "clicks"].set_index("outcome")["rows"].astype(int)
    faults = analysis.data_quality.set_index("finding")["rows"].astype(int).to_dict()
    unmatched = rows - steps.get(("broker_rows", "matched"), 0)
    every = [
        (int(ours.get("outside_time_span", 0)), _uncovered(int(ours.get("outside_time_span", 0)), clicks)),
        (unmatched, _unmatched(unmatched, rows)),
        (faults.get("residency_unknown", 0), _residency(faults.get("residency_unknown", 0), rows)),
        (faults.get("invalid_scores", 0), _scores(faults.get("invalid_scores", 0), rows)),
        (faults.get("row_country_unknown", 0), _countries(faults.get("row_country_unknown", 0), rows)),
    ]
    ranked = sorted((each for each in every if each[0]), key=lambda each: -each[0])
    return (_key(rows), *(finding for _, finding in ranked))[:MOST_FINDINGS]


def _key(rows: int) -> Finding:
    return Finding(
        "No shared key",
        f"None of the {counted(rows, 'broker row')} carries an id of our conversion, so that each match is inferred "
        f"from time and country.",
        "Put a click id on every link, and ask each partner to return it as one more column.",
        "Each match becomes certain, and new partners need no model.",
        "Certain; how much it gains is measured in generated worlds, on a later page.",
        (Evidence("broker rows", rows, "select count(*) from marts.fct_broker_rows"),),
    )


def _uncovered(count: int, clicks: int) -> Finding:
    return Finding(
        counted(count, "conversion"),
        f"{count / clicks:.0%} of our conversions happened when the broker's files had not begun or had ended.",
        "Ask the broker for the rows of that time.",
        f"The outcome of {counted(count, 'conversion')} becomes known.",
        _CERTAIN,
        (
            Evidence("conversions outside the broker's time", count,
                     "select count(*) from marts.fct_unified_journeys where unmatched_reason = 'outside_time_span'"),
        ),
    )  # fmt: skip


def _unmatched(count: int, rows: int) -> Finding:
    return Finding(
        counted(count, "row"),
        f"{count / rows:.1%} of the broker's rows have no conversion that is certain enough.",
        "Review the likely ones, and pass the click id so that none is left.",
        f"The page and device behind {counted(count, 'customer')} would be known.",
        _CERTAIN,
        (
            Evidence("broker rows without a match", count,
                     "select count(*) from marts.fct_broker_rows where broker_row_id not in (\n"
                     "    select broker_row_id from marts.fct_conversion_matches where tier = 'matched'\n)"),
        ),
    )  # fmt: skip


def _residency(count: int, rows: int) -> Finding:
    return Finding(
        counted(count, "row"),
        f"{count / rows:.0%} of the broker's rows state no country of residence.",
        "Ask for the residency of every row, as soon as the client states it.",
        "Countries can be compared by where customers live, and each match has one more clue.",
        _CERTAIN,
        (Evidence("rows without residency", count,
                  "select count(*) from marts.fct_broker_rows where residency_iso2 is null"),),
    )  # fmt: skip


def _scores(count: int, rows: int) -> Finding:
    return Finding(
        counted(count, "score"),
        f"{count / rows:.1%} of the broker's rows have no number as score, such as an error of a spreadsheet.",
        "Ask for an export from the database, with numbers as numbers.",
        f"The value of {counted(count, 'customer')} becomes known.",
        _CERTAIN,
        (Evidence("rows without a valid score", count,
                  "select count(*) from marts.fct_broker_rows where important_score_missing_reason is not null"),),
    )  # fmt: skip


def _countries(count: int, rows: int) -> Finding:
    return Finding(
        counted(count, "row"),
        f"{counted(count, 'row')} of {rows:,} {'has' if count == 1 else 'have'} no known country of the IP address.",
        "Agree on ISO codes of countries, and on one word for unknown.",
        "These rows can be matched by country too.",
        _CERTAIN,
        (Evidence("rows without a country", count,
                  "select count(*) from marts.fct_broker_rows where ip_iso2 is null"),),
    )  # fmt: skip
