"""The parameters of generated conversions and brokers, and how often a country occurs."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from quintet.samples.countries import ISO2

LagModel = Literal["seconds", "lognormal"]
SpellingSet = Literal["site", "residency", "ip"]
PALESTINE = ISO2.index("PS")
COUNTRIES_WITH_CONVERSIONS = len(ISO2) - 1
# Payloads of a vulnerability scanner: data that must be handled safely.
PAYLOADS = (
    "x'; drop table clicks; --",
    'x" or "1"="1',
    "1;select sleep(5)#",
    "'||(select 'a;b' from dual)||'",
    '"><svg/onload=alert("a;b")>',
    "{{7*7}};${7*7}",
    "../../../../etc/hosts;\"'",
    "漢字'\"\\(;",
)


@dataclass(frozen=True)
class ClicksWorld:
    """Parameters of the affiliate's site.

    clicks: distinct conversions over `days` days from `first_day`; the more per day, the harder is matching.
    repeat_click_share: later conversions of a session; double_click_share: of those, within two seconds.
    unmapped_share: conversions on pages that the mapping lacks. null_element_share: conversions without an element.
    scanner_share: conversions of a scanner, with payloads for texts.
    countries: how many countries send conversions, the busiest first; None for all.
    bot_bursts: stretches of ten minutes in which bots of one country convert 20 times as often as all visitors; their
    conversions are part of `clicks` and never register.
    """

    clicks: int = 102_365
    first_day: date = date(2024, 4, 1)
    days: int = 60
    repeat_click_share: float = 0.16
    double_click_share: float = 0.03
    unmapped_share: float = 0.078
    null_element_share: float = 0.0019
    scanner_share: float = 0.0006
    countries: int | None = None
    bot_bursts: int = 0


@dataclass(frozen=True)
class BrokerWorld:
    """Parameters of one broker.

    partner: names the file, `broker_<partner>.csv`.
    opens_after_days, closes_after_days: the part of the conversions' days that the file covers.
    registration_share: conversions in that time that register; organic_share: broker rows without a conversion.
    lag_model: "seconds" (0 to 5 s) or "lognormal" with `lag_median_seconds` and `lag_sigma`; the median of each country
    differs by a lognormal factor of `lag_country_sigma`.
    clock_offset_seconds: the broker's clock minus UTC; from `clock_changes_after_days` on, `changed_offset_seconds`.
    ip_spelling: the spelling set of ip_country; misspelt_share: of its cells, those with a typing error.
    ip_mismatch_share: registrations behind a VPN or a wrong geo-IP; residency_mismatch_share: residents of elsewhere.
    repeated_share: repeated rows, without a conversion of their own.
    outages: stretches of six hours without rows.
    """

    partner: str = "one"
    opens_after_days: float = 20.75
    closes_after_days: float = 59.1
    registration_share: float = 0.915
    organic_share: float = 0.027
    lag_model: LagModel = "seconds"
    lag_median_seconds: float = 360.0
    lag_sigma: float = 1.2
    clock_offset_seconds: int = 0
    clock_changes_after_days: float | None = None
    changed_offset_seconds: int = 0
    ip_spelling: SpellingSet = "ip"
    misspelt_share: float = 0.002
    ip_mismatch_share: float = 0.027
    residency_null_share: float = 0.86
    residency_mismatch_share: float = 0.08
    invalid_score_share: float = 0.0065
    leading_space_share: float = 0.002
    dash_share: float = 0.0002
    null_ip_share: float = 0.0003
    repeated_share: float = 0.002
    lag_country_sigma: float = 0.0
    outages: int = 0


def country_weights(countries: int | None = None) -> np.ndarray:
    """Return the share of conversions of each country of `ISO2`; Zipf-like with a thin tail.

    countries: the number of countries with conversions, busiest first; None for all but the last.
    """
    rank = np.arange(1, len(ISO2) + 1)
    weights = np.exp(-rank / 60) / (rank + 1.5) ** 0.9
    weights[min(countries or len(ISO2), COUNTRIES_WITH_CONVERSIONS) :] = 0
    return weights / weights.sum()
