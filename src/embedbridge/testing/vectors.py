"""The test server's tokens and vectors, as pure functions of the text."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from embedbridge._core.types import Vectors
from embedbridge.errors import InvalidInputError

__all__ = ["BYTES_PER_TOKEN", "Item", "count_tokens", "truncate", "vector_for"]

Item: TypeAlias = str | Sequence[int]
"""What a client may ask a vector for: a text, or one text as token ids."""

BYTES_PER_TOKEN = 4
"""UTF-8 bytes that the server bills as one token by default."""


def count_tokens(item: Item, bytes_per_token: int = BYTES_PER_TOKEN) -> int:
    """Tokens as the server bills them.

    Args:
        item: a text, or token ids.
        bytes_per_token: UTF-8 bytes that are one token.

    Returns:
        Bytes by that number, rounded up; of token ids, their number.

    Raises:
        InvalidInputError: an argument is of another kind.
    """
    _check(item)
    if type(bytes_per_token) is not int or bytes_per_token < 1:
        raise InvalidInputError(f"bytes_per_token: write a whole number above 0, not {bytes_per_token!r}")
    if isinstance(item, str):
        return max(1, -(-len(item.encode("utf-8", "surrogatepass")) // bytes_per_token))
    return len(item)


def truncate(item: Item, tokens: int, *, keep_end: bool = False) -> Item:
    """What a server that truncates silently reads of an item.

    Args:
        item: a text, or token ids.
        tokens: how many are read.
        keep_end: read the last ones, and not the first.

    Returns:
        The item, or a part of it.
    """
    if count_tokens(item) <= tokens:
        return item
    if not isinstance(item, str):
        return item[-tokens:] if keep_end else item[:tokens]
    raw, size = item.encode("utf-8", "surrogatepass"), tokens * BYTES_PER_TOKEN
    return (raw[-size:] if keep_end else raw[:size]).decode("utf-8", "ignore")


def vector_for(
    item: Item,
    *,
    model: str = "text-embedding-3-small",
    input_type: str = "",
    dims: int = 1536,
    context: Sequence[str] = (),
) -> Vectors:
    """The vector the server gives for an item, shape `(dims,)`, unit length, read-only.

    Fewer `dims` are a cut and a renormalisation of more, as with a Matryoshka model.

    Args:
        item: a text or a list of token ids.
        model: the model's name as requested.
        input_type: the request's own name for the role ("search_query"), or "" where it has none.
        dims: numbers in the vector.
        context: all chunks of the item's document, for contextualized embeddings.

    Returns:
        Shape `(dims,)`, float32, unit length, read-only.

    Raises:
        InvalidInputError: an argument is of another kind.
    """
    _check(item)
    if not isinstance(model, str) or not isinstance(input_type, str):
        raise InvalidInputError("model and input_type are texts")
    if type(dims) is not int or dims < 1:
        raise InvalidInputError(f"dims: write a whole number above 0, not {dims!r}")
    if not isinstance(context, list | tuple) or not all(isinstance(chunk, str) for chunk in context):
        raise InvalidInputError(f"context: give a list of texts, not a {type(context).__name__}")
    text = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else json.dumps(list(item)).encode()
    parts = [model.encode(), input_type.encode(), text]
    if context:
        parts.append(json.dumps(list(context)).encode())
    return _vector(b"\0".join(parts), dims)


def _check(item: object) -> None:
    """Raise `InvalidInputError` for what is no item."""
    ids = isinstance(item, list | tuple) and all(type(each) is int for each in item)
    if not ids and not isinstance(item, str):
        raise InvalidInputError(f"an item is a text, or a list of token ids, and a {type(item).__name__} is neither")


@functools.lru_cache(maxsize=4096)
def _vector(seed: bytes, dims: int) -> Vectors:
    """A unit vector from a hash. The sum of squares is exact in float64, so every platform gets the same bytes."""
    numbers = np.frombuffer(hashlib.shake_128(seed).digest(2 * dims), "<i2").astype(np.float64)
    numbers[numbers == 0] = 1  # never all zero
    vector = (numbers / math.sqrt(numbers @ numbers)).astype(np.float32)
    vector.setflags(write=False)
    return vector
