"""The SQL of single dbt models, for tests that run them on tables of their own without dbt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import jinja2

MODELS = Path(__file__).parents[1] / "dbt_project" / "models"

_SOURCE_SCHEMAS = {"frames": "staging"}  # by source where it is not the schema's name


def compiled(name: str, relations: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the SQL of a model that uses no macro. relations: what stands in for models, by their name."""
    template = _template(name)

    def ref(model: str) -> str:
        if model in relations:
            return relations[model]
        file, text = _model(model)
        if "materialized='ephemeral'" in text:
            return f"({compiled(model, relations)})"
        return f"{file.relative_to(MODELS).parts[0]}.{model}"

    def source(schema: str, table: str) -> str:
        return f"{_SOURCE_SCHEMAS.get(schema, schema)}.{table}"

    return template.render(ref=ref, source=source, config=lambda **_: "")


@cache
def _model(name: str) -> tuple[Path, str]:
    """Return the file of a model and its text."""
    [path] = MODELS.rglob(f"{name}.sql")
    return path, path.read_text("utf-8")


@cache
def _template(name: str) -> jinja2.Template:
    return jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined).from_string(_model(name)[1])
