"""Keywords that several originals have: how a text is truncated on the server, and the numbers of an answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from embedbridge.errors import ConfigurationError

__all__ = ["check_float", "too_long"]

POLICIES = {"END": "truncate", "NONE": "error", True: "truncate", False: "error", None: None}


def too_long(keyword: str, truncation: Any) -> str | None:
    """Our option for `truncate` or `truncation`. Raises `ConfigurationError` for what cannot be had."""
    if not isinstance(truncation, bool | str | None) or truncation not in POLICIES:
        raise ConfigurationError(
            f"{keyword}={truncation!r}: a text is cut at its end or not at all; write 'END' (True) or 'NONE' (False)"
        )
    return POLICIES[truncation]


def check_float(keyword: str, kinds: Collection[str] | str | None) -> None:
    """Raise `ConfigurationError` for other kinds of numbers than float."""
    if kinds is not None and ([kinds] if isinstance(kinds, str) else list(kinds)) != ["float"]:
        raise ConfigurationError(f"{keyword}: vectors are of float32; for smaller ones see embedbridge.quantization")
