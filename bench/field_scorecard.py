"""Fit a scorecard with optbinning, in its own environment; `python field_scorecard.py FOLDER`."""

import json
import sys
from pathlib import Path

import pandas as pd
from optbinning import BinningProcess, Scorecard
from sklearn.linear_model import LogisticRegression


def score(folder: Path) -> None:
    """Fit on `early.csv` and write the probabilities of `tested.csv` to `found.json`."""
    early, tested = (pd.read_csv(folder / f"{name}.csv") for name in ("early", "tested"))
    names = [name for name in early if name != "is_default"]
    binning = BinningProcess(names)
    card = Scorecard(binning_process=binning, estimator=LogisticRegression(max_iter=1_000))
    card.fit(early[names], early["is_default"], metric_missing="empirical")
    probability = card.predict_proba(tested[names])[:, 1].tolist()
    (folder / "found.json").write_text(json.dumps({"probability": probability}), "utf-8")


if __name__ == "__main__":
    score(Path(sys.argv[1]))
