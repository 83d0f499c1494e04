"""Read features from Feast's online store, in its own environment; `python field_feast.py FOLDER`."""

import datetime as dt
import json
import sys
import time
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64
from field_answers import answers

_VIEW = "clients"


def serve(folder: Path) -> None:
    """Load `features.parquet` and read each list of lists of clients from the input; answer seconds and values."""
    answer = answers()
    rows = pd.read_parquet(folder / "features.parquet").assign(at=pd.Timestamp.now("UTC"))
    names = [name for name in rows if name not in ("client_id", "at")]
    online = {"type": "sqlite", "path": str(folder / "online.db")}
    registry = str(folder / "registry.db")
    config = RepoConfig(
        project="bench", provider="local", registry=registry, online_store=online, entity_key_serialization_version=3
    )
    store = FeatureStore(config=config)
    client = Entity(name="client", join_keys=["client_id"], value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "features.parquet"), timestamp_field="at")
    schema = [Field(name=name, dtype=Float64) for name in names]
    view = FeatureView(name=_VIEW, entities=[client], schema=schema, source=source, ttl=dt.timedelta(0))
    store.apply([client, view])
    store.write_to_online_store(_VIEW, rows)
    wanted = [f"{_VIEW}:{name}" for name in names]
    answer(names)
    for line in sys.stdin:
        seconds, values = [], []
        for clients in json.loads(line):
            began = time.perf_counter()
            found = store.get_online_features(wanted, [{"client_id": one} for one in clients]).to_dict()
            seconds.append(time.perf_counter() - began)
            values += zip(*(found[name] for name in names), strict=True)
        answer({"seconds": seconds, "values": values})


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
