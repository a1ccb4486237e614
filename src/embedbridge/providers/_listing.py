"""The list of vectors in an answer of a server that copies OpenAI's API, wherever and however it has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from embedbridge._core.types import Batch, Reply

LISTS = ("data", "embeddings", "embedding", "vectors", "results", "result", "output", "response", "predictions")
"""Names of what holds the vectors, or a list of them; the first that is there counts."""
FORMATS = ("float", "float32", "base64")
"""Names of the lists in an object that has one for each number format that was asked for."""
VECTORS = ("embedding", "embeddings", "vector", "values", *FORMATS)
"""Names of a vector in its entry of the list."""
USAGE = ("total_tokens", "prompt_tokens", "input_tokens", "tokens")
MOST_USAGE = 1 << 31
"""Tokens; more than any request has, so a larger number in an answer is ignored."""
DEEPEST = 4
"""Objects inside each other that are looked into."""


def listing(payload: Mapping[str, Any]) -> Reply:
    """The vectors, their numbering, what was billed, and the model. Raises KeyError when there is no list."""
    entries: Any = payload.get("data")
    try:
        vectors = [entry["embedding"] for entry in entries]
    except (KeyError, TypeError):
        vectors = []
    packed = [each for each in vectors if isinstance(each, str) and not each.startswith("[")]  # else it is JSON
    listed = [each for each in vectors if isinstance(each, list) and len(each) > 1]  # else perhaps a list in a list
    if not vectors or len(packed) + len(listed) < len(vectors):  # written less usually
        entries = _entries(payload)
        vectors = [_vector_or_none(entry) for entry in entries]
        if entries and all(vector is None for vector in vectors):
            vectors = [_vector(entry) for entry in entries]
    numbering = [entry.get("index", entry.get("text_index")) if isinstance(entry, dict) else None for entry in entries]
    billed = (tokens_of(payload, "usage", name) for name in USAGE)
    return Reply(vectors, numbering, next(filter(None, billed), None), payload.get("model"))


def cut_by_usage(batch: Batch, tokens: int | None, limit: int | None) -> dict[int, int]:
    """`Reply.cut` where a server cuts without a word: texts that reach `limit` at the batch's own bytes per token.

    A judgement: the answer names no text. {} where the limit or the tokens that were billed are not known.
    """
    if limit is None or tokens is None:
        return {}
    sizes = [len(text.encode()) for text in batch.texts]
    return {at: -1 for at, size in enumerate(sizes) if size * tokens >= limit * sum(sizes)}


def tokens_of(payload: Mapping[str, Any], *names: str) -> int | None:
    """The number at a path of `names` in an answer; None where it is missing or not a count."""
    found: Any = payload
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 11:
        found = int(found)
    usable = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < MOST_USAGE
    return int(found) if usable else None


def _entries(found: Any, depth: int = DEEPEST) -> list[Any]:
    """The list with an entry for each vector."""
    if isinstance(found, dict) and found and depth:
        if all(name.isdigit() for name in found):  # an object in place of a list
            return [{"index": name, "embedding": _vector_or_none(entry)} for name, entry in found.items()]
        return _entries(_list_in(found), depth - 1)
    if not isinstance(found, list):
        raise KeyError
    return [found] if found and isinstance(found[0], int | float) else found


def _list_in(found: Mapping[str, Any]) -> Any:
    """What is under a usual name; else what the one object inside has. Raises KeyError for neither."""
    inside = [part for part in found.values() if isinstance(part, dict)]
    if len(inside) == 1 and not any(name in found for name in (*LISTS, *FORMATS)):
        return inside[0]
    return _first(found, (*LISTS, *FORMATS))


def _vector(entry: Any, depth: int = DEEPEST) -> Any:
    """What stands for a vector in an entry, also as the only one of a list: the core checks whether it is one."""
    if isinstance(entry, str) and entry.startswith("["):  # which no base64 does
        with suppress(ValueError, RecursionError):
            return json.loads(entry)
    if isinstance(entry, dict) and depth:
        return _vector(_first(entry, VECTORS), depth - 1)
    alone = isinstance(entry, list) and len(entry) == 1 and isinstance(entry[0], list | str)
    return entry[0] if alone else entry


def _vector_or_none(entry: Any) -> Any:
    """The same; None where an entry has something else, such as an error: the others can be used."""
    try:
        return _vector(entry)
    except KeyError:
        return None


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first that is there of these; null counts as there only where nothing else is. Raises KeyError for none."""
    there = [found[name] for name in names if name in found]
    if not there:
        raise KeyError
    return next((each for each in there if each is not None), None)
