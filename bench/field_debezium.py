"""Read a replication slot with Debezium's engine, in its own environment; `python field_debezium.py FOLDER`.

The counterpart of `field_reader.py`: the same handler, and a position on disk and acknowledged every 100 ms. The
settings that matter for speed are Debezium's best: it looks for rows every millisecond in place of every half second.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
from field_answers import answers
from field_tally import Tally
from pydbzengine import BasePythonChangeHandler, DebeziumJsonEngine


class Handler(BasePythonChangeHandler):
    """Gives each row to the tally, by column, and reports its end."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.ended = threading.Event()

    def handleJsonBatch(self, records: Any) -> None:  # noqa: N802  # the engine's name
        """Take a batch of changes."""
        sources = (orjson.loads(str(record.value())) for record in records)
        self._tally.take([(one["source"]["table"], one["after"]) for one in sources])
        if self._tally.has_ended:
            self.ended.set()


def read(folder: Path) -> None:
    """Read the slot of `given.json` until the last row of the tally."""
    given = json.loads((folder / "given.json").read_text("utf-8"))
    handler = Handler(Tally(given["first"], given["last"], given["end"], answers()))
    properties = _properties(given, folder / "offsets")
    engine = DebeziumJsonEngine(properties=properties, handler=handler, jvm_opts=given["jvm"])
    thread = threading.Thread(target=engine.run)
    thread.start()
    while not handler.ended.wait(0.5):
        if not thread.is_alive():
            raise SystemExit("the engine ended before the last row")
    engine.close()
    thread.join()


def _properties(given: dict[str, Any], offsets: Path) -> dict[str, str]:
    server = given["server"]
    return {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "topic.prefix": "bench",
        "database.hostname": server["host"],
        "database.port": server["port"],
        "database.user": server["user"],
        "database.password": server["password"],
        "database.dbname": server["dbname"],
        "plugin.name": "pgoutput",
        "slot.name": given["slot"],
        "publication.name": given["publication"],
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(offsets),
        "offset.flush.interval.ms": str(given["flush_ms"]),
        "poll.interval.ms": "1",
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "decimal.handling.mode": "double",
        "value.converter.schemas.enable": "false",
        "key.converter.schemas.enable": "false",
    }


if __name__ == "__main__":
    read(Path(sys.argv[1]))
