"""Compare two versions of the abuse model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import EVIDENCE, gather
from quintet.promotions.model import AbuseModel
from quintet.promotions.policy import read_policy
from quintet.promotions.result_tables import accounts_of_snapshot
from quintet.settings import Settings
from quintet.warehouse.snapshot import current_snapshot, open_snapshot


def read_model(text: str) -> AbuseModel:
    """Return the model of a file's text. Raises OtherMethodError for a model of another method."""
    return AbuseModel.from_json(text)


def compare_models(settings: Settings, one: str, other: str) -> pd.DataFrame:
    """Return the weights of two models and their decisions on the published accounts: figure, one, other."""
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        accounts = accounts_of(*accounts_of_snapshot(snapshot))
    models = [read_model(text) for text in (one, other)]
    scores = [model.scores(gather(accounts, model.population).columns) for model in models]
    decided = [np.asarray(read_policy().decisions(each)) for each in scores]
    rows: list[tuple[object, ...]] = [
        ("accounts", *(len(each) for each in scores)),
        *(
            (f"decision {decision}", *(int((each == decision).sum()) for each in decided))
            for decision in ("allow", "review", "block")
        ),
        ("decided otherwise than by the other", *[int((decided[0] != decided[1]).sum())] * 2),
        *((f"weight of {name}", *(model.coefficients.get(name, 0.0) for model in models)) for name in EVIDENCE),
    ]
    return pd.DataFrame(rows, columns=["figure", "one", "other"])
