"""The key of a vector in the cache: a hash over everything that decides the vector of this text, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from .tokens import TooLong
from .types import Identity

if TYPE_CHECKING:
    from .job import Job
    from .shared import Shared

SCHEMA = "embedbridge-key-2"
"""Its number rises when the rules below change, so that no version reads entries made by other rules by accident."""
FORMER_SCHEMA = "embedbridge-key-1"
"""Of releases before; its entries are still read."""
NEVER_REFUSED = 64
"""Bytes of a text that no model finds too long."""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What stands in the keys of one embedder's texts in one role, besides the text."""

    base: bytes
    """Of texts that the model reads whole."""
    long: bytes
    """Of texts that may be longer than the model reads: limit and policy decide their vectors too."""
    refused: bytes
    """Of texts that the server has refused for their length, and got shorter, though they seemed short enough."""
    former: bytes | None = None
    """Of all texts, as releases before made them; None where those left out what decides here."""


def key_rules(
    identity: Identity,
    *,
    wire_type: str | None,
    policy: TooLong,
    limit: int | None,
    prefix: str = "",
    prefix_apart: bool = False,
    former: Sequence[str] | None = None,
) -> KeyRules:
    """The rules of one role.

    Args:
        identity: of the provider.
        wire_type: the request's own input type.
        policy: what becomes of texts that are too long.
        limit: tokens that the model reads of a text; None: not known.
        prefix: of the role. It stands in the text, so a key names it only where the model treats it differently
            (`prefix_apart`), and for long texts under `mean`, of which every piece gets it.
        prefix_apart: whether the model treats the prefix differently from the text.
        former: the identity's details as keys of schema 1 name them; None where those left something out.
    """
    means = prefix if policy == "mean" else ""
    role, cut = "" if wire_type is None else f"={wire_type}", f"{policy}:{limit or 'server'}"
    places = (identity.provider, identity.endpoint, identity.model, identity.revision)
    whole = (SCHEMA, *places, role, prefix if prefix_apart else "", *identity.details)
    return KeyRules(
        join(whole),
        join((*whole, "long", *identity.long_details, cut, means)),
        join((*whole, "refused", policy, means)),
        None
        if former is None
        else join((FORMER_SCHEMA, *places, role, cut, prefix if prefix_apart else means, *former)),
    )


def width_key(identity: Identity) -> bytes:
    """Under which a cache holds the dimensions of a model's vectors, of all roles and texts."""
    places = (identity.provider, identity.endpoint, identity.model, identity.revision)
    return blake2b(join(("embedbridge-width-1", *places, *identity.details)), digest_size=32).digest()


def join(parts: Sequence[str]) -> bytes:
    """Each part after its length, and their number before all, so that no two lists give the same bytes."""
    return extend_base(len(parts).to_bytes(8, "little"), *parts)


def extend_base(base: bytes, *parts: str) -> bytes:
    """A base with more parts, for texts that no base without them is used for."""
    for part in parts:
        encoded = part.encode()
        base += len(encoded).to_bytes(8, "little") + encoded
    return base


def make_keys(base: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """Keys of texts as sent, in UTF-8: BLAKE2b-256 of `base` and the text, which comes last and so needs no length."""
    return [make_key(base, text) for text in texts]


def make_key(base: bytes, text: bytes) -> bytes:
    """`make_keys` of one text."""
    digest = _seed(base).copy()
    digest.update(text)
    return digest.digest()


@lru_cache(maxsize=64)
def _seed(base: bytes) -> blake2b:
    return blake2b(base, digest_size=32)


def keys_of(shared: Shared, rules: KeyRules, encoded: Sequence[bytes]) -> list[bytes]:
    """Cache keys of texts. Where we cut a text, its key names the tokenizer, which decides where."""
    keys = make_keys(rules.base, encoded)
    return _rename_long(shared, keys, rules.long, encoded, shared.may_be_cut)


def former_keys_of(shared: Shared, rules: KeyRules, encoded: Sequence[bytes]) -> list[bytes]:
    """Keys under which releases before stored the vectors of texts; none where those would not be ours."""
    if rules.former is None:
        return []
    keys = make_keys(rules.former, encoded)
    return _rename_long(shared, keys, rules.former, encoded, lambda text: shared.may_cut(text.decode(), len(text)))


def stored_keys(job: Job, rows: Sequence[int]) -> list[bytes]:
    """Where the vectors of rows are stored: a cut text's never under the key of the whole text."""
    keys = [job.keys[row] for row in rows]
    short = [at for at, row in enumerate(rows) if row in job.cuts and not job.shared.may_be_cut(job.encoded([row])[0])]
    if short:
        refused = make_keys(job.role.rules.refused, job.encoded([rows[at] for at in short]))
        for at, key in zip(short, refused, strict=True):
            keys[at] = key
    return keys


def narrowable(job: Job, rows: Sequence[int]) -> list[int]:
    """The rows whose vectors may be cut from wider ones: the mean of cut vectors is not the cut of their mean."""
    means, shared = job.shared.policy == "mean", job.shared
    return [row for row in rows if not (means and shared.may_cut(job.texts[row], job.sizes[row]))]


def awaited_keys(job: Job, rows: Sequence[int]) -> dict[bytes, int]:
    """The keys under which vectors of rows may be on their way, their own and those of wider ones → the row."""
    found, rules = {job.keys[row]: row for row in rows}, job.role.full_width_rules
    if rules is not None and job.shared.full_width is not None:
        known = narrowable(job, rows)
        found |= zip(keys_of(job.shared, rules, job.encoded(known)), known, strict=True)
    return found


def _rename_long(
    shared: Shared,
    keys: list[bytes],
    base: bytes,
    encoded: Sequence[bytes],
    may_be_cut: Callable[[bytes], bool],
) -> list[bytes]:
    """The keys, with those of long texts made anew, of another base."""
    rows = [row for row, text in enumerate(encoded) if may_be_cut(text)]
    if rows:
        named = base if shared.limits.model_truncates else extend_base(base, shared.counter().name)
        for row, key in zip(rows, make_keys(named, [encoded[row] for row in rows]), strict=True):
            keys[row] = key
    return keys
