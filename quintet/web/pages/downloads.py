"""Downloads of pages: the CSV behind a figure, files that a run wrote into the folder of reports, and addresses."""

from __future__ import annotations

import csv
import io
import mimetypes
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from starlette.responses import Response

from quintet.presentation.design import Column, as_text
from quintet.web.file_answers import answer_file
from quintet.web.problems import ProblemError


def csv_answer(name: str, frame: pd.DataFrame, columns: Sequence[Column]) -> Response:
    """Return a figure's table as CSV with its column names; no spreadsheet reads its texts as formulas."""
    shown = frame.reindex(columns=[column.name for column in columns])
    texts = [column.name for column in columns if not column.is_figure]
    shown[texts] = shown[texts].map(lambda value: as_text(value) if isinstance(value, str) else value)
    text = io.StringIO(newline="")
    shown.to_csv(text, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    disposition = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue().encode(), media_type="text/csv; charset=utf-8", headers=disposition)


def report_file(folder: Path, name: str, names: Collection[str]) -> Response:
    """Return a file of `names` from the folder of reports. Raises ProblemError 404."""
    if name not in names:
        raise ProblemError(404, f"there is no file {name}; there are {', '.join(names)}")
    headers = {"cache-control": "private, no-cache", "content-disposition": f'attachment; filename="{name}"'}
    try:
        return answer_file(folder / name, mimetypes.guess_type(name)[0] or "application/octet-stream", headers)
    except FileNotFoundError:
        raise ProblemError(404, f"{name} is not written yet; `make run` writes it") from None


def with_query(path: str, query: Sequence[tuple[str, Any]]) -> str:
    """Return the path with the query, if there is one."""
    return f"{path}?{urlencode(query)}" if query else path
