"""The name of a vector in the cache: a hash over everything that decides it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from .types import Identity

SCHEMA = "embedbridge-key-1"
"""Raised whenever the rules below change, so that no new version reads an old meaning."""


def key_base(identity: Identity, *, wire_type: str | None, truncation: str, prefix: str = "") -> bytes:
    """Everything but the text, each part behind its own length so that no two lists of parts look alike."""
    parts = (
        SCHEMA,
        identity.provider,
        identity.endpoint,
        identity.model,
        identity.revision,
        "" if wire_type is None else f"={wire_type}",
        truncation,
        prefix,
        *identity.details,
    )
    base = len(parts).to_bytes(8, "little")
    for part in parts:
        base = extend_base(base, part)
    return base


def extend_base(base: bytes, part: str) -> bytes:
    """One part more."""
    encoded = part.encode()
    return base + len(encoded).to_bytes(8, "little") + encoded


def make_keys(base: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """BLAKE2b-256 of `base` and each text as sent; the text comes last, so it needs no length of its own."""
    seed = blake2b(base, digest_size=32)
    keys = []
    for text in texts:
        digest = seed.copy()
        digest.update(text)
        keys.append(digest.digest())
    return keys
