"""The sensor of the application's database starts one run for new writes, and none if there is no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from assets.postgres_extract import ACTIVITY, SOURCE
from quintet.ingest.contract import Dataset
from resources.clock import Clock
from resources.postgres_extract import PostgresExtract
from sensors.postgres_extract import extract_sensor


@dataclass(frozen=True)
class Fake(PostgresExtract):
    """A database whose activity the test sets."""

    said: str = ""

    def activity(self, datasets: Sequence[Dataset]) -> str:
        assert {dataset.name for dataset in datasets} == {"promo_users", "promo_codes", "promo_usages"}
        return self.said


def tick(said: str, cursor: str | None, url: str = "postgresql://somewhere", taken: str | None = None) -> Any:
    with dg.DagsterInstance.ephemeral() as instance:
        if taken is not None:
            instance.report_runless_asset_event(dg.AssetMaterialization(SOURCE, metadata={ACTIVITY: taken}))
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        source = Fake(SecretStr(url) if url else None, Path(), said)
        return extract_sensor(context, postgres_extract=source, clock=Clock())


def test_what_was_written_starts_one_run():
    result = tick("1 5", "1 4")

    assert len(result.run_requests) == 1
    assert result.cursor == "1 5"


def test_what_a_run_has_loaded_already_starts_none():
    assert isinstance(tick("1 5", None, taken="1 5"), dg.SkipReason)
    assert len(tick("1 6", None, taken="1 5").run_requests) == 1


@pytest.mark.parametrize(
    ("cursor", "url", "words"), [("1 5", "postgresql://x", "nothing was"), (None, "", "no database")]
)
def test_nothing_to_load_is_reported(cursor: str | None, url: str, words: str):
    result = tick("1 5", cursor, url)

    assert isinstance(result, dg.SkipReason)
    assert words in str(result.skip_message)
