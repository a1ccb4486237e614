"""The key of a vector in the cache: a hash over everything that decides the vector."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from .types import Identity

SCHEMA = "embedbridge-key-1"
"""Its number rises when the rules below change, so that no version reads entries made by other rules."""


def key_base(identity: Identity, *, wire_type: str | None, truncation: str, prefix: str = "") -> bytes:
    """The part of a key that is not the text. Each part follows its length, so no two lists give the same bytes."""
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
    """A base with one more part."""
    encoded = part.encode()
    return base + len(encoded).to_bytes(8, "little") + encoded


def make_keys(base: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """Keys of texts as sent, in UTF-8: BLAKE2b-256 of `base` and the text, which comes last and so needs no length."""
    seed = blake2b(base, digest_size=32)
    keys = []
    for text in texts:
        digest = seed.copy()
        digest.update(text)
        keys.append(digest.digest())
    return keys
