"""Files as answers: complete before the first byte is sent, so that an answer with status 200 is never cut off."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from starlette.responses import Response, StreamingResponse

_CHUNK_BYTES = 256 * 1024
_MOST_BYTES_IN_MEMORY = 4 * 1024 * 1024


def answer_complete(chunks: Iterable[bytes], media_type: str, headers: Mapping[str, str]) -> Response:
    """Return an answer with the chunks and their total length.

    All chunks are read before this returns, into memory or a temporary file. An error among them is raised here, where
    it still becomes a problem, and a slow client holds no cursor.
    """
    file = tempfile.SpooledTemporaryFile(_MOST_BYTES_IN_MEMORY)  # noqa: SIM115  # closed after the last byte is sent
    try:
        file.writelines(chunks)
    except BaseException:
        file.close()
        raise
    return _answer(file, file.tell(), media_type, headers)


def answer_file(path: Path, media_type: str, headers: Mapping[str, str]) -> Response:
    """Return an answer with the content that the file has now; replacing it meanwhile changes nothing.

    Raises FileNotFoundError.
    """
    file = path.open("rb")
    return _answer(file, os.fstat(file.fileno()).st_size, media_type, headers)


def _answer(file: IO[bytes], size: int, media_type: str, headers: Mapping[str, str]) -> Response:
    file.seek(0)
    return StreamingResponse(_chunks(file), media_type=media_type, headers={**headers, "content-length": str(size)})


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
