"""The settings of parcels."""

from __future__ import annotations

from quintet.setting_fields import DomainSettings, setting


class ParcelsSettings(DomainSettings):
    """The settings that only parcels reads."""

    parcels_late_days: int = setting(
        10,
        "Days after which the page calls a carrier late.",
        "a whole number from 1 to 100",
        ge=1,
        le=100,
    )


SETTINGS = ParcelsSettings
