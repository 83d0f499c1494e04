"""`quintet sample`: write samples of every dataset, and their truth.

The files in `data/raw` come from

    quintet sample --scale 0.1 --seed 7 --to data/raw

which writes the same bytes every time; their truth, in `data/raw-truth`, is not kept in the repository.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from quintet.domains import DOMAINS
from quintet.samples.write import (
    TruthInInboxError,
    make_samples,
    parameters_of,
    refuse_truth_within,
    truth_folder_of,
    worlds_at,
    write_inboxes,
    write_truth,
)


def _positive(text: str) -> float:
    scale = float(text)
    if not 0 < scale < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return scale


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="quintet sample", description="Write generated inbox files.")
    parser.add_argument("--scale", type=_positive, default=1.0, help="1.0 is about the size of the public datasets")
    parser.add_argument("--seed", type=int, default=7, help="the same seed and scale write the same bytes")
    parser.add_argument("--to", type=Path, required=True, help="folder of the inboxes")
    parser.add_argument("--truth", type=Path, help="folder of the truth; by default <to>-truth, never within <to>")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the samples; return exit status 0, or exit with 2 for invalid arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error("--seed must not be negative")
    truth = options.truth or truth_folder_of(options.to)
    try:
        refuse_truth_within(truth, options.to)
    except TruthInInboxError as error:
        parser.error(str(error))
    worlds = worlds_at(options.scale, {domain.name: domain.samples for domain in DOMAINS})
    samples = make_samples(worlds, options.seed)
    inboxes = write_inboxes(samples, options.to)
    truths = write_truth(samples, parameters_of(worlds, options.scale, options.seed), truth, options.to)
    for file in inboxes:
        print(f"{file.rows:>10,} rows  {file.path}")
    print(f"the truth of {len(truths)} tables is in {truth}")
    print(f"next: QUINTET_RAW={options.to} make run")
    return 0
