"""How far the pages of a report are filled."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from quintet.presentation.blocks import Report
from quintet.presentation.report import pages

_PIXELS_PER_INCH = 10.0
_MARGINS_CM = {"a4": (29.7, 2.0, 2.2), "16:9": (19.05, 1.6, 1.6)}


def filled(report: Report) -> list[float]:
    """Return for each page the share of its height, without margins, above its lowest row that is not white."""
    height, top, bottom = _MARGINS_CM[report.page]
    shares = []
    for picture in pages(report, _PIXELS_PER_INCH):
        pixels = _decoded(picture)
        rows = pixels.shape[0]
        first, last = round(rows * top / height), round(rows * (height - bottom) / height)
        drawn = np.flatnonzero((pixels[first : last - 1, :, :3] < 245).any(axis=(1, 2)))
        shares.append((drawn[-1] + 1) / (last - first) if len(drawn) else 0.0)
    return shares


def _decoded(png: bytes) -> np.ndarray:
    """Return the pixels of a PNG picture of 8 bits a channel without interlace, as typst writes it."""
    width, height, _, colours = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}[colours]
    packed, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    pixels = np.zeros((height + 1, (width + 1) * channels), dtype=np.int64)
    for row, (kind, line) in enumerate(zip(raw[:, 0], raw[:, 1:].astype(int), strict=True), 1):
        above = pixels[row - 1]
        if kind in (0, 2):
            pixels[row, channels:] = (line + (above[channels:] if kind == 2 else 0)) % 256
            continue
        for at in range(channels, (width + 1) * channels):
            left, up, corner = pixels[row, at - channels], above[at], above[at - channels]
            guess = {1: left, 3: (left + up) // 2, 4: _paeth(left, up, corner)}[int(kind)]
            pixels[row, at] = (line[at - channels] + guess) % 256
    return pixels[1:, channels:].reshape(height, width, channels)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda each: abs(estimate - each))
