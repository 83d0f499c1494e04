"""Remove this process's secrets from what it logs, prints and stores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

from quintet.masking import masked
from quintet.settings import secrets_in


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the text with all secrets of the settings masked; see `quintet.masking`."""
    return masked(text, secrets_in(os.environ if environment is None else environment))


def mask_secrets(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the secrets in an entry of structlog. Entries of the level info are frequent and hold none."""
    if level == "info":
        return event
    return cast("MutableMapping[str, Any]", json.loads(without_secrets(json.dumps(event, default=str))))
