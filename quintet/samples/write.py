"""Write samples to disk: inbox files into one folder, truth into another."""

import dataclasses
import importlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from quintet.samples.sample import Sample, SampleFile


class TruthInInboxError(ValueError):
    """The truth would be written among the inboxes, where it could be loaded as data."""


@dataclass(frozen=True)
class DomainWorld:
    """The world of a domain, and the module that generates its sample."""

    world: Any
    module: ModuleType


def worlds_at(scale: float, generators: Mapping[str, str]) -> dict[str, DomainWorld]:
    """Return the world of each domain at a scale; 1.0 is about the size of the public datasets.

    generators: by domain, the name of its module, which has `world_at(scale)` and `make_sample(world, seed)`.
    Raises ValueError unless scale is above zero.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, not {scale}")
    modules = {name: importlib.import_module(module) for name, module in generators.items()}
    return {name: DomainWorld(module.world_at(scale), module) for name, module in modules.items()}


def make_samples(worlds: Mapping[str, DomainWorld], seed: int) -> tuple[Sample, ...]:
    """Generate the sample of every domain."""
    return tuple(one.module.make_sample(one.world, seed) for one in worlds.values())


def file_bytes(file: SampleFile) -> bytes:
    """Return the file's content in UTF-8, with cells quoted where needed."""
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
    """Return the default folder of the truth: `<name>-truth` beside the inboxes."""
    inboxes = inboxes.resolve()
    return inboxes.with_name(f"{inboxes.name}-truth")


@dataclass(frozen=True)
class Written:
    """A file that was written, and its number of rows."""

    path: Path
    rows: int


def write_inboxes(samples: Sequence[Sample], inboxes: Path) -> list[Written]:
    """Write every file to `inboxes/<dataset>/<name>`, replacing files of that name; other files stay."""
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
    """Write every truth table to `truth/<name>.csv`, and the parameters to `truth/parameters.json`.

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


def parameters_of(worlds: Mapping[str, DomainWorld], scale: float, seed: int) -> dict[str, Any]:
    """Return the parameters that shaped the samples, for `parameters.json`."""
    return {
        "scale": scale,
        "seed": seed,
        "worlds": {name: dataclasses.asdict(one.world) for name, one in worlds.items()},
    }
