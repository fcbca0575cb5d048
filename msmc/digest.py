"""Canonical JSON, and what stands for some: digests and seeds."""

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spare space: the same data, the same text."""
    return _ENCODER.encode(data)


def digest(*parts: Any) -> str:
    """64 hex digits that stand for some JSON data."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def seed_of(*parts: object) -> int:
    """A seed of 31 bits from what identifies a row, so that adding rows reshuffles none."""
    return int(digest(*parts)[:8], 16) >> 1
