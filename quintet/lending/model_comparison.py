"""Compare two versions of the scoring model."""

from __future__ import annotations

import pandas as pd

from quintet.lending.policy import read_policy
from quintet.lending.scoring import ScoringModel
from quintet.lending.settings import LendingSettings
from quintet.lending.tables import TRAINING_SET
from quintet.lending.what_if import score_applications
from quintet.settings import Settings
from quintet.warehouse.snapshot import current_snapshot, open_snapshot


def read_model(text: str) -> ScoringModel:
    """Return the model of a file's text. Raises ModelFileError."""
    return ScoringModel.from_json(text)


def compare_models(settings: Settings, one: str, other: str) -> pd.DataFrame:
    """Return the decisions of two models under the active policy on the published applications: figure, one, other."""
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        applications = snapshot.execute(f"from {TRAINING_SET} order by application_id").df()
    policy = read_policy(settings.of(LendingSettings).lending_policy)
    scored = [score_applications(applications, read_model(text), policy) for text in (one, other)]
    rows = [
        ("applications", *(len(each) for each in scored)),
        *(
            (f"decision {decision}", *(int(each["decision"].eq(decision).sum()) for each in scored))
            for decision in ("approve", "refer", "reject")
        ),
        ("mean probability of default", *(round(float(each["default_probability"].mean()), 4) for each in scored)),
        ("decided otherwise than by the other", *[int((scored[0]["decision"] != scored[1]["decision"]).sum())] * 2),
    ]
    return pd.DataFrame(rows, columns=["figure", "one", "other"])
