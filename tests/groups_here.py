"""A stand-in for a Spark cluster: runs steps in this process, on groups whose rows come in any order."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from quintet.spark.groups import arrived
from quintet.spark.steps import ANSWERED, Step, sent


class GroupsHere:
    """Runs each step in this process. most_rows: of a group so far; groups: how many there were."""

    def __init__(self, folder: Path, group_rows: int, seed: int = 0) -> None:
        self.folder, self.group_rows = folder, group_rows
        self.most_rows = self.groups = 0
        self._chance = np.random.default_rng(seed)

    @contextmanager
    def by_group(
        self, tables: Iterable[pa.Table], key: str, step: Step, schema: pa.Schema, module: str
    ) -> Iterator[ds.Dataset]:
        """Give the results of `step` for all groups of `key`, in no order."""
        given = [table for table in tables if table.num_rows]
        found, groups = [schema.append(ANSWERED).empty_table()], 0
        if given:
            rows = pa.concat_tables(given)
            rows = rows.take(pa.array(self._chance.permutation(len(rows))))
            on_worker = sent(pickle.loads(pickle.dumps(step)), module, key)
            for value in self._chance.permutation(pc.unique(rows[key]).to_numpy()):
                group = rows.filter(pc.equal(rows[key], pa.scalar(value, rows.schema.field(key).type)))
                self.most_rows, groups = max(self.most_rows, len(group)), groups + 1
                found.append(on_worker(group))
        self.groups += groups
        yield arrived(ds.dataset(pa.concat_tables(found)), groups)
