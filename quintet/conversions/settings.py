"""The settings of conversions."""

from __future__ import annotations

from quintet.setting_fields import DomainSettings, setting


class ConversionsSettings(DomainSettings):
    """The settings that only conversions reads."""

    conversion_value: float = setting(
        1.0,
        "Value of a conversion, in currency: pairs to judge are ordered by what an error would cost.",
        "a number from 0",
        ge=0,
        allow_inf_nan=False,
    )
    match_sample: int = setting(
        25,
        "Matches drawn at random each week for a person to judge, which measures how many are right; 0 for none.",
        "a whole number from 0 to 1000",
        ge=0,
        le=1_000,
    )


SETTINGS = ConversionsSettings
