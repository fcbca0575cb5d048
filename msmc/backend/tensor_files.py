"""Is a safetensors file whole? Its header says how long it must be, so half a download is seen before anything reads it."""

import json
import struct
from pathlib import Path
from typing import Any

LONGEST = 100_000_000
"""Bytes of a header; the format allows no more."""


def fault(path: Path) -> str:
    """What is wrong with a safetensors file, in words behind its name; nothing when it is whole. Reads the header alone."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        if start.startswith(b"version "):
            return "is a git-lfs pointer, not the weights"
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not size:
            return "is empty"
        if not 2 <= length <= LONGEST:
            return "is no safetensors file"
        header = stream.read(length)
    if len(header) < length:
        # the first byte of a header tells half a file from another format
        return f"is cut: {size:,} bytes of more than {8 + length:,}" if header[:1] == b"{" else "is no safetensors file"
    try:
        tensors = json.loads(header)
        ends = [_end(tensor) for name, tensor in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return "is no safetensors file"
    whole = 8 + length + max(ends, default=0)
    return "" if size == whole else f"is cut: {size:,} of {whole:,} bytes" if size < whole else "is longer than it says"


def _end(tensor: dict[str, Any]) -> int:
    return int(tensor["data_offsets"][1])
