"""Google's Gemini API: `POST /v1beta/models/NAME:batchEmbedContents`, and `:embedContent`, which takes one text."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from embedbridge.testing._refusals import google_refusal
from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, without, written

__all__ = ["Gemini"]

TASKS = (
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
"""In the order of their numbers, which some clients send."""
_FIELDS = {"model", "content", "taskType", "title", "outputDimensionality"}
_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(batchEmbedContents|embedContent)")
_SHORTENED = 0.5
"""Length of vectors that the API narrows without bringing them to unit length."""


class Gemini(Dialect):
    """Cuts long texts without a word, counts nothing, and takes several parts of a content for one text.

    gemini-embedding-001 reads task types and titles, gemini-embedding-2 ignores both.
    """

    name: ClassVar[str] = "gemini"
    width: ClassVar[int] = 3072
    limits: ClassVar[Limits] = Limits(100, 8192, None, body_bytes=4 << 20)
    text_limits: ClassVar[Mapping[str, int]] = {"gemini-embedding-001": 2048}

    def speaks(self, path: str) -> bool:
        return _PATH.fullmatch(path) is not None

    def parse(self, request: Request) -> None:
        name, method = found.groups() if (found := _PATH.search(request.path)) else ("", "")
        request.called = name
        entries = request.payload.get("requests") if method == "batchEmbedContents" else [request.payload]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Refusal(400, "Invalid value at 'requests'")
        self.take(request, [{camel(name): value for name, value in entry.items()} for entry in entries])

    def take(self, request: Request, entries: list[dict[str, Any]]) -> None:
        """Fill in the texts of entries as the model reads them, and their roles.

        Args:
            request: gets them.
            entries: of its JSON, one for each text.

        Raises:
            Refusal: an entry has an unknown field.
        """
        for at, entry in enumerate(entries):
            if unknown := entry.keys() - _FIELDS:
                found = f"Invalid JSON payload received. Unknown name \"{min(unknown)}\" at 'requests[{at}]'"
                raise Refusal(400, f"{found}: Cannot find field.")
            request.items.append(titled(entry, text_of(entry.get("content")), reads=reads_tasks(request.model)))
            task = task_of(entry.get("taskType"))
            request.roles.append(task if reads_tasks(request.model) else "")

    def check(self, request: Request, limits: Limits) -> None:
        entries = request.payload.get("requests") or [{"model": request.model} | request.payload]
        if any(str(entry.get("model", "")).removeprefix("models/") != request.model for entry in entries):
            raise Refusal(400, "* BatchEmbedContentsRequest.requests[0].model: unexpected model name format")
        if limits.items is not None and len(request.items) > limits.items:
            most = f"at most {limits.items} requests can be in one batch"
            raise Refusal(400, f"* BatchEmbedContentsRequest.requests: {most}\n")
        if not request.items or "" in request.items:
            raise Refusal(400, "* BatchEmbedContentsRequest.requests[0].content: contents is not specified")

    def dims(self, request: Request, width: int) -> int:
        entry = (request.payload.get("requests") or [request.payload])[0]
        return asked_width(entry.get("outputDimensionality") or entry.get("output_dimensionality"), width)

    def truncates(self, request: Request) -> bool:
        return True

    def text_limit(self, request: Request, limits: Limits) -> int | None:
        known = (self.text_limits.get(request.model), limits.tokens_per_item)
        return min((limit for limit in known if limit is not None), default=None)

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        vectors = [{"values": values} for values in written(self.narrowed(request, answer.vectors), packed=False)]
        if request.path.endswith(":embedContent"):
            return without({"embedding": vectors[0] if vectors else {}}, answer, data="embedding")
        return without({"embeddings": vectors}, answer, data="embeddings")

    def narrowed(self, request: Request, vectors: list[Any]) -> list[Any]:
        """Give vectors the length that narrowed ones have.

        Args:
            request: says how many dimensions are asked for.
            vectors: of unit length.

        Returns:
            The vectors as the API sends them.
        """
        if request.dims == self.model_width(request.model) or not reads_tasks(request.model):
            return vectors
        return [vector * np.float32(_SHORTENED) if isinstance(vector, np.ndarray) else vector for vector in vectors]

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        if refusal.message.startswith("Incorrect API key"):
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            said = "API key not valid. Please pass a valid API key."
            return 400, {}, {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT", "details": [info]}}
        return google_refusal(refusal, (refusal.status, refusal.headers, None))

    def error(self, refusal: Refusal) -> Any:
        return self.refuse(refusal)[2]


def camel(name: str) -> str:
    """A field's name as JSON has it; protocol buffers take both spellings."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def reads_tasks(model: str) -> bool:
    """Whether a model is told roles and titles by fields."""
    return not model.startswith("gemini-embedding-2")


def task_of(given: Any) -> str:
    """A task type by its name or number; "" for none. Raises `Refusal` for one that there is not."""
    if isinstance(given, int) and 0 <= given < len(TASKS):
        given = TASKS[given]
    if given not in (None, *TASKS):
        raise Refusal(400, f"Invalid value at 'requests[0].task_type' (TaskType), \"{given}\"")
    return "" if given in (None, TASKS[0]) else str(given)


def text_of(content: Any) -> str:
    """All parts of a content, as one text. Raises `Refusal` for anything but text."""
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [part.get("text") for part in parts or [] if isinstance(part, dict)]
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(texts):
        raise Refusal(400, "Invalid value at 'content.parts[0].text' (TYPE_STRING)")
    return "\n".join(strings)


def titled(entry: Mapping[str, Any], text: str, *, reads: bool) -> str:
    """A text with its title, as it is written for models that read it so: titles of both kinds give one vector."""
    return f"title: {entry['title']} | text: {text}" if reads and entry.get("title") else text


def asked_width(asked: Any, width: int) -> int:
    """Numbers in a vector. Raises `Refusal` for more than the model has."""
    if asked is not None and not 1 <= asked <= width:
        raise Refusal(400, f"outputDimensionality must be between 1 and {width}, was {asked}")
    return int(asked or width)
