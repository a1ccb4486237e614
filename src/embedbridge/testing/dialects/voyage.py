"""Voyage: OpenAI's wire with roles, and the endpoint whose chunks know of each other."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, as_list, need_model, need_texts, without
from .openai import listing

__all__ = ["Voyage", "VoyageContextualized"]

_MOST_CHUNKS = 16_000


class Voyage(Dialect):
    """`POST /voyage/v1/embeddings`, or `/v1/embeddings` with a model named `voyage-…`."""

    name: ClassVar[str] = "voyage"
    width: ClassVar[int] = 1024
    widths: ClassVar[Mapping[str, int]] = {"voyage-3-lite": 512, "voyage-code-2": 1536, "voyage-large-2": 1536}
    limits: ClassVar[Limits] = Limits(1000, 32_000, 120_000)

    def speaks(self, path: str) -> bool:
        return path in ("/v1/embeddings", "/embeddings")

    def parse(self, request: Request) -> None:
        items = as_list(request.payload.get("input"))
        if items is None:
            raise Refusal(400, "Argument 'input' must be a string or a list of strings")
        request.items = items

    def check(self, request: Request, limits: Limits) -> None:
        need_model(request)
        inputs = request.groups or request.items
        if not inputs:
            raise Refusal(400, "Argument 'input' cannot be empty")
        need_texts(request.items, "Input cannot contain empty strings or anything else than strings", empty=False)
        if limits.items is not None and len(inputs) > limits.items:
            raise Refusal(400, f"The batch size limit is {limits.items}. Your batch size is {len(inputs)}.")
        if request.payload.get("input_type") not in (None, "query", "document"):
            raise Refusal(400, "Argument 'input_type' must be one of 'query', 'document' or null")

    def truncates(self, request: Request) -> bool:
        return request.payload.get("truncation") is not False

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        return listing(request, answer, {"total_tokens": answer.tokens})

    def error(self, refusal: Refusal) -> dict[str, Any]:
        return {"detail": refusal.message}


class VoyageContextualized(Voyage):
    """`POST /v1/contextualizedembeddings`: documents as lists of chunks, answers alike; nothing is cut."""

    def speaks(self, path: str) -> bool:
        return path in ("/v1/contextualizedembeddings", "/contextualizedembeddings")

    def parse(self, request: Request) -> None:
        groups = request.payload.get("inputs")
        if not isinstance(groups, list) or not all(isinstance(group, list) and group for group in groups):
            raise Refusal(400, "Argument 'inputs' must be a list of non-empty lists of strings")
        request.groups, request.items = groups, list(itertools.chain.from_iterable(groups))

    def check(self, request: Request, limits: Limits) -> None:
        super().check(request, limits)
        if len(request.items) > _MOST_CHUNKS:
            raise Refusal(400, f"The total number of chunks must be at most {_MOST_CHUNKS}")

    def truncates(self, request: Request) -> bool:
        return False

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        reply = super().write(request, answer)
        entries = iter(reply.get("data", ()))
        documents = []
        for number, group in enumerate(request.groups):
            last = number == len(request.groups) - 1
            chunks = list(entries if last else itertools.islice(entries, len(group)))
            for place, chunk in enumerate(chunks):
                if "index" in chunk:
                    chunk["index"] = place
            documents.append({"object": "list", "data": chunks, "index": number})
        return without(reply | {"data": documents}, answer, data="data")
