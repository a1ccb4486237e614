"""What a row of the grid is, and how an original and its stand-in are compared over it."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
import numpy as np
import tiktoken

import embedbridge.langchain
import embedbridge.llama_index
from embedbridge import ConfigurationError
from embedbridge.testing.dialects.gemini import camel, reads_tasks, task_of
from support.signatures import signature

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "The Danube flows into the Black Sea."]
QUERY = "Who plans?"
DOCUMENTS_CALL, QUERY_CALL, TEXTS_GIVEN = "@documents", "@query", "@texts"
"""In a change: keywords of the call for documents, of that for a query, and other texts."""
UNREAD = {"encoding_format", "embedding_types", "embedding_type", "encoding_type", "num_batch"}
"""Fields that say only how numbers travel, and how much an engine works on at once."""
USUAL: dict[str, set[tuple[str, Any]]] = {
    "bedrock": {("truncate", "NONE")},
    "cohere": {("truncate", "END")},
    "jina": {("truncate", False), ("late_chunking", False)},
    "ollama": {("truncate", False), ("truncate", True)},
    "tei": {("truncate", False), ("truncation_direction", "Right")},
    "vertex": {("autoTruncate", True)},
    "voyage": {("truncation", True), ("output_dtype", "float")},
}
"""What an API does by default, and ours says in words; and that Ollama is asked to refuse what it would cut."""
WHOLE = {"gemini-embedding-001": 3072}
"""A width that says nothing, because it is the model's own."""
HEADERS = {"openai-organization", "x-team", "authorization", "api-key", "x-goog-api-key"}
MIXES = 6


@dataclass(frozen=True)
class Case:
    """One original: where it is, how both are made, and values of its keywords."""

    original: str
    base: dict[str, Any]
    grid: dict[str, list[Any]]
    ours: dict[str, Any] = field(default_factory=dict)
    """What only ours is told, to be led to the server."""
    idle: frozenset[str] = frozenset()
    """Keywords that are not in the grid, because they concern neither requests nor vectors."""
    theirs: Callable[[], dict[str, Any]] = dict
    """What only the original is told."""
    around: tuple[dict[str, Any], ...] = ()
    """Changes of more than one thing: `$NAME` is a variable of the environment, `@…` is of the calls."""
    about: str = ""
    """What the rows are about, where a class has more than one grid."""
    asks: str = ""
    """The original's method for a query, where its usual one has a fault."""
    since: str = ""
    """The release of the original's package that has what the rows are about first."""
    flat: bool = False
    """Whether only the texts are compared: not how they are packed into requests, nor how often one is paid for."""

    @property
    def name(self) -> str:
        """Of the class, and of its rows in the table."""
        return " ".join(filter(None, (self.original.partition(":")[2], self.about)))


def kinds(case: Case) -> tuple[Any, Any]:
    """The original and ours. ImportError where the original is not installed."""
    module, _, name = case.original.partition(":")
    face = embedbridge.langchain if module.startswith("langchain") else embedbridge.llama_index
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(importlib.import_module(module), name), getattr(face, name)


class Decoding(httpx2.HTTPTransport):
    """Sends texts in place of token ids, as a client of the original's own: so both send the same, if they do."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it with texts."""
        fields = json.loads(request.read())
        texts = [item if isinstance(item, str) else vocabulary().decode(item) for item in fields["input"]]
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        whole = {**fields, "input": texts}
        return super().handle_request(httpx2.Request(request.method, request.url, headers=headers, json=whole))


def decoding() -> httpx2.Client:
    """For the original's long texts."""
    return httpx2.Client(transport=Decoding())


@cache
def vocabulary() -> tiktoken.Encoding:
    """Of OpenAI's models."""
    return tiktoken.get_encoding("cl100k_base")


def client(*, tasks: bool = False) -> Any:
    """A client of the user's own, of the library that OpenAI's SDK runs on."""
    return httpx2.AsyncClient() if tasks else httpx2.Client()


def changes(case: Case, same: Mapping[str, str], listed: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Nothing, each value by itself, and mixes of those that are answered as by the original.

    Args:
        case: whose grid.
        same: a second name of a keyword → its first.
        listed: what is answered otherwise.
    """
    yield {}
    known = signature(case.original)
    single = [{keyword: value} for keyword, values in case.grid.items() if keyword in known for value in values]
    yield from single
    yield from case.around
    chance = random.Random(case.original)
    plain = [change for change in single if not reasons(listed, change)]
    for _ in range(MIXES if len(plain) > 1 else 0):
        mixed = {
            same.get(key, key): (key, part)
            for one in chance.sample(plain, len(plain) // 2)
            for key, part in one.items()
        }
        yield dict(mixed.values())


def reasons(listed: Mapping[str, str], change: Mapping[str, Any]) -> list[str]:
    """The rows of a table that a change is in."""
    said = {name for keyword, value in change.items() for name in (keyword, f"{keyword}={value!r}")}
    return [row for row in listed if said.issuperset(row.split(" and "))]


def filled(value: Any, places: Mapping[str, str]) -> Any:
    """Places put where `{…}` stands."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(f"{{{name}}}", place)
        return value
    return {key: filled(part, places) for key, part in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Answer:
    """What came of one combination."""

    error: str
    requests: list[Any]
    vectors: list[Any]

    def told(self) -> str:
        """In a line."""
        return self.error or f"{[each.shape for each in self.vectors]} {str(self.requests)[:700]}"

    def equals(self, other: Answer) -> bool:
        """Requests and vectors; or both an error."""
        if self.error or other.error:
            return bool(self.error and other.error)
        pairs = zip(self.vectors, other.vectors, strict=True)
        alike = all(one.shape == two.shape and np.allclose(one, two, atol=2e-5) for one, two in pairs)
        return alike and self.requests == other.requests


def answer(make: Callable[..., Any], given: Mapping[str, Any], server: Any, *, asks: str = "", flat: bool) -> Answer:
    """Make an object, embed with it, and tell what was sent and what came."""
    server.reset()
    keywords = {name: value for name, value in given.items() if name[0] not in "@$"}
    texts = given.get(TEXTS_GIVEN, TEXTS)
    with warnings.catch_warnings(), environment(given):
        warnings.simplefilter("ignore")
        try:
            made = make(**keywords)
            documents = getattr(made, "embed_documents", None) or made.get_text_embedding_batch
            query = getattr(made, "embed_query", None) or made.get_query_embedding
            if asks:
                query = lambda text, **more: asyncio.run(getattr(made, asks)(text, **more))  # noqa: E731
            vectors = [documents(texts, **given.get(DOCUMENTS_CALL, {})), [query(QUERY, **given.get(QUERY_CALL, {}))]]
        except (ConfigurationError, Exception) as error:
            return Answer(f"{type(error).__name__}: {error}"[:160], [], [])
    asked = [one for one in server.requests if one.items and "tokenize" not in one.path]
    requests = {text for one in asked for text in one.items} if flat else map(told, asked)
    return Answer("", sorted(requests, key=repr), list(map(np.array, vectors)))


@contextmanager
def environment(given: Mapping[str, Any]) -> Iterator[None]:
    """Variables of a change."""
    before = dict(os.environ)
    os.environ.update({name[1:]: value for name, value in given.items() if name[0] == "$"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def told(one: Any) -> tuple[Any, ...]:
    """A request, without how numbers travel and what says nothing."""
    headers = {name.lower(): value for name, value in one.headers.items()}
    seen = {name: headers[name] for name in sorted(HEADERS & set(headers))}
    if one.dialect == "bedrock":  # a signature is of a moment
        del seen["authorization"]
    query = {name: value for name, value in one.query.items() if name != "$alt"}
    if one.dialect in {"gemini", "vertex"}:
        entries = one.payload.get("requests") or one.payload.get("instances") or [one.payload]
        texts = [entry_of(entry, one.model) for entry in entries]
        more = said(one.payload.get("parameters", {}), USUAL["vertex"])
        return one.path.replace(":embedContent", ":batchEmbedContents"), query, texts, more, seen
    fields = {name: value for name, value in one.payload.items() if name not in UNREAD}
    text = next(filter(None, (fields.pop(name, None) for name in ("input", "texts", "inputs"))), None)
    fields["texts"] = [text] if isinstance(text, str) else text
    path = "/v2/embed" if one.path == "/v1/embed" else one.path
    return path, query, said(fields, USUAL.get(one.dialect, set())), seen


def entry_of(entry: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A text of Google's, in JSON's spelling, without fields that the model does not look at."""
    fields = {camel(name): value for name, value in entry.items() if value not in (None, "") and name != "model"}
    task = task_of(fields.pop("taskType", None))
    if not reads_tasks(model):
        task = fields.pop("title", None) and ""
    content = fields.get("content", {})
    fields["content"] = content if isinstance(content, str) else [part.get("text") for part in content.get("parts", [])]
    if fields.get("outputDimensionality") == WHOLE.get(model):
        fields.pop("outputDimensionality", None)
    return fields | ({"taskType": task} if task else {})


def said(value: Any, usual: set[tuple[str, Any]]) -> Any:
    """Fields that say more than an API does by default, in order."""
    if not isinstance(value, dict):
        return value
    found = {name: said(value[name], usual) for name in sorted(value) if name not in UNREAD}
    return {
        name: part
        for name, part in found.items()
        if part not in (None, {}, []) and not (isinstance(part, str | bool) and (name, part) in usual)
    }


def shown(change: Mapping[str, Any]) -> str:
    """A change for a person."""
    return json.dumps(change, default=repr, ensure_ascii=False)[:300] if change else "nothing"
