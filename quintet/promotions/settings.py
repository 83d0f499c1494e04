"""The settings of promotions."""

from __future__ import annotations

from quintet.setting_fields import DomainSettings, setting


class PromotionsSettings(DomainSettings):
    """The settings that only promotions reads."""

    promo_use_cost: float = setting(
        10.0,
        "Cost of one use of a promotion code, in currency: accounts to judge are ordered by what they cost.",
        "a number from 0",
        ge=0,
        allow_inf_nan=False,
    )


SETTINGS = PromotionsSettings
