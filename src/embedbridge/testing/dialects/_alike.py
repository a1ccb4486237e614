"""What several dialects read of a request and write of an answer alike."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np

from embedbridge.testing.answer import Answer
from embedbridge.testing.request import Refusal, Request


def as_list(raw: Any) -> list[Any] | None:
    """Items of an `input` field: a bare string or one list of token ids is one item.

    Args:
        raw: the field's value.

    Returns:
        None for anything else.
    """
    if isinstance(raw, str) or (isinstance(raw, list) and raw and all(type(part) is int for part in raw)):
        return [raw]
    return raw if isinstance(raw, list) else None


def need_model(request: Request) -> None:
    """Refuse a request that names no model.

    Args:
        request: as it was received.

    Raises:
        Refusal: it names none.
    """
    if not request.model:
        raise Refusal(400, "you must provide a model parameter")


def need_texts(items: Iterable[Any], message: str, *, empty: bool) -> None:
    """Refuse anything but strings.

    Args:
        items: of a request.
        message: of the refusal.
        empty: let empty strings through.

    Raises:
        Refusal: an item is no string, or empty.
    """
    if any(not isinstance(item, str) or (item == "" and not empty) for item in items):
        raise Refusal(400, message)


def written(vectors: list[Any], *, packed: bool) -> list[Any]:
    """Vectors as JSON holds them.

    Args:
        vectors: arrays, or what a fault has made of them.
        packed: base64 of float32 is wanted, and is given where every value is a number.

    Returns:
        Lists of numbers, or texts.
    """
    if packed and not any(isinstance(vector, list) for vector in vectors):
        return [vector if vector is None else base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    return [vector.tolist() if isinstance(vector, np.ndarray) else vector for vector in vectors]


def without(reply: dict[str, Any], answer: Answer, **names: str) -> dict[str, Any]:
    """Leave out the parts of a reply that a fault names.

    Args:
        reply: the whole JSON.
        answer: with its faults.
        **names: what `usage` and `data` are called here.

    Returns:
        The rest of it.
    """
    gone = {name for part, name in names.items() if part in answer.missing}
    return {name: part for name, part in reply.items() if name not in gone}
