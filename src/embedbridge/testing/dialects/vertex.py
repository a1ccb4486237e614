"""Google's Vertex AI: `POST /v1beta1/…/publishers/google/models/NAME:predict`, and `:embedContent`.

The path has `projects/P/locations/L` in its middle, unless a key alone says who asks.
"""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge.testing._refusals import google_refusal
from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request
from embedbridge.testing.vectors import count_tokens

from .base import need_texts, without, written
from .gemini import Gemini, asked_width, camel, reads_tasks, task_of, text_of, titled

__all__ = ["Vertex"]

_PATH = re.compile(
    r"/v1(?:beta1)?/(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/([^/:]+):(predict|embedContent)"
)


class Vertex(Gemini):
    """Counts the tokens of each text, and says what it has cut. `:embedContent` is for gemini-embedding-2 alone."""

    name: ClassVar[str] = "vertex"
    widths: ClassVar[Mapping[str, int]] = {"text-embedding-005": 768, "text-multilingual-embedding-002": 768}
    limits: ClassVar[Limits] = Limits(250, 8192, 20_000)
    text_limits: ClassVar[Mapping[str, int]] = dict.fromkeys((*widths, "gemini-embedding-001"), 2048)

    def speaks(self, path: str) -> bool:
        return _PATH.fullmatch(path) is not None

    def parse(self, request: Request) -> None:
        request.called, method = found.groups() if (found := _PATH.search(request.path)) else ("", "")
        reads = reads_tasks(request.called)
        if (method == "predict") != reads:
            raise Refusal(400, f"{request.called} is not supported by {method}")
        if not reads:
            request.items, request.roles = [text_of(request.payload.get("content"))], [""]
            return
        entries = request.payload.get("instances")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Refusal(400, "Invalid value at 'instances'")
        need_texts((entry.get("content") for entry in entries), "The text content is empty.", empty=False)
        for entry in entries:
            given = {camel(name): value for name, value in entry.items()}
            request.items.append(titled(given, given["content"], reads=True))
            request.roles.append(task_of(given.get("taskType")))

    def check(self, request: Request, limits: Limits) -> None:
        n = len(request.items)
        if limits.items is not None and n > limits.items:
            said = f"{limits.items} instance(s) is allowed per prediction. Actual: {n}"
            if limits.items == 1:
                said = (
                    "Unable to submit request because it included too many instances. Reduce the number of instances "
                    f"and try again: batchSize must be 1 but the entered value was {n}. Update the batchSize value."
                )
            raise Refusal(400, said)
        need_texts(request.items, "The text content is empty.", empty=False)

    def settings(self, request: Request) -> Mapping[str, Any]:
        """What a request says of all its texts.

        Args:
            request: as it was received.

        Returns:
            Values by field.
        """
        return request.payload.get("parameters") or request.payload.get("embedContentConfig") or {}

    def dims(self, request: Request, width: int) -> int:
        return asked_width(self.settings(request).get("outputDimensionality"), width)

    def truncates(self, request: Request) -> bool:
        return self.settings(request).get("autoTruncate") is not False

    def too_long(self, limit: int, tokens: int) -> Refusal:
        return Refusal(
            400,
            f"Unable to submit request because the input token count is {tokens} but the model supports up to {limit}. "
            "Reduce the input token count and try again.",
        )

    too_much = too_long

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        vectors = written(self.narrowed(request, answer.vectors), packed=False)
        told = [
            {"truncated": read != item, "token_count": self._told(answer, count_tokens(read, request.bytes_per_token))}
            for item, read in zip(request.items, request.read, strict=True)
        ]
        if not reads_tasks(request.model):
            usage = {"promptTokenCount": self._told(answer, request.tokens)}
            reply = {"embedding": {"values": vectors[0]} if vectors else {}, "usageMetadata": usage, **told[0]}
            del reply["token_count"]
            return without(reply, answer, usage="usageMetadata", data="embedding")
        usage_of = [{} if "usage" in answer.missing else {"statistics": each} for each in told]
        usage_of += [{}] * (len(vectors) - len(told))
        found = [{"embeddings": {"values": vector, **usage}} for vector, usage in zip(vectors, usage_of, strict=False)]
        return without({"predictions": found}, answer, data="predictions")

    def _told(self, answer: Answer, tokens: int) -> Any:
        """A number of tokens, unless a fault puts something else in its place."""
        return tokens if isinstance(answer.tokens, int) else answer.tokens

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        return google_refusal(refusal, (refusal.status, refusal.headers, None))
