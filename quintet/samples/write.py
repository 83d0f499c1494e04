"""Samples to disk: inbox files below one folder, truth in another.

Belongs here: text formats, folders, and how much of each dataset a scale means. What the rows say belongs to the
domains' modules.
"""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quintet.samples import conversions, insurance, lending, lending_dump, payments, promotions
from quintet.samples.sample import Sample, SampleFile


class TruthInInboxError(ValueError):
    """The truth would be written among the inboxes, where it could be loaded as data."""


@dataclass(frozen=True)
class Worlds:
    """The worlds of all domains."""

    insurance: insurance.AgenciesWorld
    promotions: promotions.PromotionsWorld
    clicks: conversions.ClicksWorld
    brokers: tuple[conversions.BrokerWorld, ...]
    payments: payments.PaymentsWorld
    lending: lending.LendingWorld


def worlds_at(scale: float) -> Worlds:
    """The worlds at a scale; 1.0 has about the rows of the public datasets.

    Clicks grow within the same 60 days. Agencies, users, codes and clients do not shrink below what is worth looking
    at (3,000 clients are enough to train a scoring model), and there are always two days of payments or more. From
    scale 3 on the last transactions file is of the dated edition. The loan book has a quarter of the real one's
    clients, since its rows are replayed one by one.
    Raises ValueError unless scale is above zero.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, not {scale}")
    users = max(1_500, round(8_998 * scale))
    days = max(2, round(2 * scale))
    return Worlds(
        insurance=insurance.AgenciesWorld(agencies=max(20, round(83 * scale))),
        promotions=promotions.PromotionsWorld(
            users=users, usages=round(users * 8_990 / 8_998), codes=max(200, round(1_000 * scale))
        ),
        clicks=conversions.ClicksWorld(clicks=max(1_000, round(102_365 * scale))),
        brokers=(conversions.BrokerWorld(),),
        payments=payments.PaymentsWorld(days=days, checkout_days=days, last_file_is_dated=scale >= 3),
        lending=lending.LendingWorld(clients=max(3_000, round(28_500 * scale))),
    )


def make_samples(worlds: Worlds, seed: int) -> tuple[Sample, ...]:
    """The sample of every domain."""
    return (
        insurance.make_sample(worlds.insurance, seed),
        promotions.make_sample(worlds.promotions, seed),
        conversions.make_sample(worlds.clicks, worlds.brokers, seed),
        payments.make_sample(worlds.payments, seed),
        lending_dump.make_sample(worlds.lending, seed),
    )


def file_bytes(file: SampleFile) -> bytes:
    """The file's content: UTF-8, cells quoted where they need it."""
    text = io.StringIO(newline="")
    file.rows.to_csv(
        text,
        sep=file.delimiter,
        index=False,
        lineterminator=file.line_end,
        date_format=file.timestamp_format,
    )
    content = text.getvalue().encode()
    return content if file.ends_with_line_end else content.removesuffix(file.line_end.encode())


def truth_folder_of(inboxes: Path) -> Path:
    """Where the truth goes unless told otherwise: beside the inboxes, `<name>-truth`."""
    inboxes = inboxes.resolve()
    return inboxes.with_name(f"{inboxes.name}-truth")


@dataclass(frozen=True)
class Written:
    """A file that was written, and its number of rows."""

    path: Path
    rows: int


def write_inboxes(samples: Sequence[Sample], inboxes: Path) -> list[Written]:
    """Write every file to `inboxes/<dataset>/<name>`, over an older one of that name; other files stay."""
    contents = [(file.dataset, file.name, file_bytes(file), len(file.rows)) for one in samples for file in one.files]
    contents += [(text.dataset, text.name, text.text.encode(), text.rows) for one in samples for text in one.texts]
    written = []
    for dataset, name, content, rows in contents:
        path = inboxes / dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(Written(path, rows))
    return written


def write_truth(samples: Iterable[Sample], parameters: Mapping[str, Any], truth: Path, inboxes: Path) -> list[Written]:
    """Write every truth to `truth/<name>.csv`, and the parameters to `truth/parameters.json`.

    Raises TruthInInboxError, before anything is written, if `truth` is `inboxes` or lies within it.
    """
    refuse_truth_within(truth, inboxes)
    truth.mkdir(parents=True, exist_ok=True)
    (truth / "parameters.json").write_text(json.dumps(parameters, indent=2, default=str) + "\n", "utf-8")
    written = []
    for name, rows in ((name, rows) for sample in samples for name, rows in sample.truth.items()):
        path = truth / f"{name}.csv"
        path.write_bytes(file_bytes(SampleFile("truth", path.name, rows)))
        written.append(Written(path, len(rows)))
    return written


def refuse_truth_within(truth: Path, inboxes: Path) -> None:
    """Raise TruthInInboxError if `truth` is `inboxes` or lies within it."""
    if truth.resolve().is_relative_to(inboxes.resolve()):
        raise TruthInInboxError(f"the truth folder {truth} lies within the inboxes {inboxes}; choose one outside")


def parameters_of(worlds: Worlds, scale: float, seed: int) -> dict[str, Any]:
    """Everything that shaped the samples, for `parameters.json`."""
    return {"scale": scale, "seed": seed, "worlds": dataclasses.asdict(worlds)}
