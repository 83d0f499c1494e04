"""Read a replication slot with the project's connection and decoder; `python -m bench.field_reader FOLDER`.

The counterpart of `field_debezium.py`: the same handler, and a position on disk and acknowledged every 100 ms.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from bench.field_answers import answers
from bench.field_tally import Tally
from quintet.change_log.change import Change
from quintet.replication.database import HEADER, Replication
from quintet.replication.pgoutput import Commit, Decoder


def read(folder: Path) -> None:
    """Read the slot of `given.json` until the last row of the tally."""
    given = json.loads((folder / "given.json").read_text("utf-8"))
    tally = Tally(given["first"], given["last"], given["end"], answers())
    replication, decoder = Replication(given["url"]), Decoder(binary=True)
    replication.start(given["slot"], given["publication"], 0, binary=True)
    end, kept, due = 0, 0, 0.0
    while not tally.has_ended:
        messages = decoder.decode_all(replication.receive(0.02).messages, HEADER)
        tally.take([(one.table, one.row) for one in messages if type(one) is Change and one.row is not None])
        end = next((one.end_lsn for one in reversed(messages) if type(one) is Commit), end)
        if end > kept and (time.monotonic() >= due or tally.has_ended):
            _keep(folder / "position", end)
            replication.acknowledge(end, time.time())
            kept, due = end, time.monotonic() + given["flush_ms"] / 1e3
    replication.close()


def _keep(path: Path, position: int) -> None:
    """Write the position so that it survives a power cut."""
    written = path.with_suffix(".new")
    with written.open("w", encoding="utf-8") as file:
        file.write(str(position))
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


if __name__ == "__main__":
    read(Path(sys.argv[1]))
