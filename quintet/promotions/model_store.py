"""The folder of models: every model that was ever in force, by its version, and which one is.

Belongs here: writing, finding and verifying model files. What a model is, and which one may be put in force, does not
(`model.py`, `learned.py`).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from quintet.promotions.model import AbuseModel, OtherMethodError

CURRENT = "current"
"""The file that names the version in force."""


class DamagedModelError(ValueError):
    """A model file does not hold what its name says; the message says which and how to mend it."""


def content_hash(model: AbuseModel) -> str:
    """The SHA-256 of the model's canonical JSON; the end of its version is the start of it."""
    return hashlib.sha256(model.to_json().encode()).hexdigest()


def put_in_force(folder: Path, model: AbuseModel) -> Path:
    """Write `<version>.json` into the folder and make it the current one, in one step each; gives the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{model.version}.json"
    _replace(file, model.to_json())
    _replace(folder / CURRENT, model.version)
    return file


def model_in_force(folder: Path) -> AbuseModel | None:
    """The current model; None where there is none yet, or it is of an older method and has to be learnt anew.

    Raises DamagedModelError for a file that is missing or was changed.
    """
    pointer = folder / CURRENT
    if not pointer.exists():
        return None
    version = pointer.read_text("utf-8").strip()
    file = folder / f"{version}.json"
    mend = f"Put the file back, or remove {pointer} to begin with the scorecard."
    try:
        model = AbuseModel.from_json(file.read_text("utf-8"))
    except OtherMethodError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedModelError(f"{file} cannot be read as a model ({error!r}). {mend}") from error
    if model.version != version:
        raise DamagedModelError(f"{file} holds model {model.version}, so it was changed. {mend}")
    return model


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.tmp")
    with beside.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
