"""Between files and signals: `decode` reads any common file, `encode` writes six formats."""

from __future__ import annotations

from pipeline.decoding import LONGEST_S, SHORTEST_S, decode, decode_blocks, find_title
from pipeline.encoding import FORMATS, LOSSLESS, encode, find_ffmpeg
from pipeline.fingerprint import fingerprint

__all__ = [
    "FORMATS",
    "LONGEST_S",
    "LOSSLESS",
    "SHORTEST_S",
    "decode",
    "decode_blocks",
    "encode",
    "find_ffmpeg",
    "find_title",
    "fingerprint",
]
