"""Answers that are no plain JSON with float32: events, lines, wrappers, other number formats, errors as pages."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InvalidResponseError,
    ProviderUnavailableError,
    RateLimitTimeoutError,
)
from embedbridge.errors import EmbeddingError
from embedbridge.testing import FaultServer

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]

LISTED, UNLISTED = "text-embedding-3-small", "some-model"


def always(_):
    return True


def open_embedder(server, model=LISTED, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": False}
    return Embedder(f"openai:{model}", **usual | options)


def sent(content, status=200):
    """These bytes as a body."""
    return f"body:status={status};json={base64.urlsafe_b64encode(content).decode()}"


def texts(count):
    return [f"text {at:03} here" for at in range(count)]


def entries(rows):
    return [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]


def whole(rows):
    return json.dumps({"object": "list", "data": entries(rows), "usage": {"total_tokens": 9}})


def lines(parts):
    return "\n".join(map(json.dumps, parts)) + "\n"


def events(parts):
    return "".join(f"data: {part if isinstance(part, str) else json.dumps(part)}\n\n" for part in parts)


SENT = {
    "one event": lambda rows: events([whole(rows), "[DONE]"]),
    "one event, named": lambda rows: f": alive\r\n\r\nevent: message\r\nid: 1\r\ndata: {whole(rows)}\r\n\r\n",
    "an event of several lines": lambda rows: "".join(
        f"data: {line}\n" for line in json.dumps({"data": entries(rows)}, indent=1).splitlines()
    ),
    "an event for each vector": lambda rows: events([*entries(rows), "[DONE]"]),
    "an event with a list for each vector": lambda rows: events([{"data": [entry]} for entry in entries(rows)]),
    "a state before the answer": lambda rows: events([{"state": "queued"}, whole(rows)]),
    "a line for each vector": lambda rows: lines(entries(rows)),
    "a line with a list for each vector": lambda rows: lines({"data": [entry]} for entry in entries(rows)),
    "a line before the answer": lambda rows: lines([{"state": "queued"}]) + whole(rows),
    "a mark of the byte order": lambda rows: f"\ufeff{whole(rows)}",
    "a string": lambda rows: json.dumps(whole(rows)),
    "a function's answer": lambda rows: json.dumps({"statusCode": 200, "headers": {}, "body": whole(rows)}),
    "a function's answer as an object": lambda rows: json.dumps({"statusCode": 200, "body": {"data": entries(rows)}}),
    "result": lambda rows: json.dumps({"result": {"data": entries(rows)}}),
    "Cloudflare": lambda rows: json.dumps(
        {"result": {"shape": [len(rows), len(rows[0])], "data": rows}, "success": True, "errors": [], "messages": []}
    ),
    "embeddings": lambda rows: json.dumps({"embeddings": rows}),
    "by format": lambda rows: json.dumps({"embeddings": {"float": rows}, "id": "1"}),
    "an object of another name": lambda rows: json.dumps({"payload": {"data": entries(rows)}, "took": 3}),
    "vectors as JSON in strings": lambda rows: json.dumps({"data": entries(map(json.dumps, rows))}),
}


@pytest.mark.parametrize("send", SENT.values(), ids=SENT)
@pytest.mark.parametrize("count", [1, 3])
def test_vectors_are_read_however_the_answer_is_sent(caller, server, send, count):
    """W1, W12: in one request."""
    given = texts(count)
    expected = server.vectors(given, model=LISTED)
    server.on(always, sent(send(expected.tolist()).encode()))
    result = caller.embed(open_embedder(server), given)
    assert np.array_equal(result.vectors, expected)
    assert server.stats.calls == 1


UNSOUND = {
    "each part numbered from 0": lambda rows: lines({"data": entries([row])} for row in rows),
    "an event is missing": lambda rows: events(entries(rows)[:-1]),
    "cut in the middle": lambda rows: whole(rows)[:-200],
    "a list of another meaning": lambda rows: json.dumps({"scores": rows}),
}


@pytest.mark.parametrize("send", UNSOUND.values(), ids=UNSOUND)
def test_an_answer_that_may_mean_something_else_is_refused(caller, server, send):
    """W1: by a named error, and nothing is returned."""
    given = texts(3)
    server.on(always, sent(send(server.vectors(given, model=LISTED).tolist()).encode()))
    with pytest.raises(InvalidResponseError):
        caller.embed(open_embedder(server), given)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_for_what_is_no_number_are_read_and_named(caller, server, word):
    """W12: the other vectors are kept."""
    given = texts(3)
    rows = server.vectors(given, model=LISTED).tolist()
    rows[1][0] = "here"
    server.on(always, sent(whole(rows).replace('"here"', word).encode()))
    with pytest.raises(InvalidResponseError, match="text 1: the vector is not finite") as caught:
        caller.embed(open_embedder(server), given)
    assert (caught.value.failed_indices, caught.value.completed) == ((1,), (0, 2))


# Number formats.


def packed(rows):
    return json.dumps({"data": entries(base64.b64encode(row.tobytes()).decode() for row in rows)}).encode()


@pytest.mark.parametrize("model", [LISTED, UNLISTED])
@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_numbers_are_read_whichever_byte_comes_first(caller, server, kind, model):
    """W12: exactly, whether the width is known or not."""
    given = texts(3)
    expected = server.vectors(given, model=model).astype(kind)
    server.on(always, sent(packed(expected)))
    result = caller.embed(open_embedder(server, model, normalize=False), given)
    assert np.array_equal(result.vectors, expected.astype(np.float32))
    assert server.stats.calls == 1


def test_a_server_that_writes_the_first_byte_first_is_read(caller):
    """W12: as the fault server speaks it."""
    with FaultServer(quirks=["big-endian"]) as server:
        given = texts(5)
        assert np.array_equal(caller.embed(open_embedder(server), given).vectors, server.vectors(given, model=LISTED))
        assert server.stats.billed == dict.fromkeys(given, 1)


def bell(count, width=1536):
    """Vectors whose numbers are spread as those of models are."""
    rows = np.random.default_rng(7).normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_signed_bytes_are_read(caller, server):
    """W12: as numbers, where the width is known."""
    rows = np.round(bell(3) / np.abs(bell(3)).max() * 127).astype("i1")
    server.on(always, sent(packed(rows)))
    result = caller.embed(open_embedder(server, normalize=False), texts(3))
    assert np.array_equal(result.vectors, rows.astype(np.float32))


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<f2"])
def test_whole_numbers_are_read_in_their_own_format_or_refused(caller, server, kind):
    """Of eight bytes each, they are no numbers of two; where they may be either, it is said what to pass."""
    rows = np.random.default_rng(0).integers(-127, 128, (3, 768)).astype(kind)
    server.on(always, sent(packed(rows)))
    result = caller.embed(open_embedder(server, UNLISTED, normalize=False), texts(3))
    assert np.array_equal(result.vectors, rows.astype(np.float32))
    assert server.stats.calls == 1
    signs = np.sign(rows + np.array(0.5, dtype=kind))
    with FaultServer() as other:
        other.on(always, sent(packed(signs.astype("<f2"))))
        for options, told in (({}, "pass dimensions="), ({"dimensions": 768}, "float16 or bfloat16")):
            with pytest.raises(InvalidResponseError, match=f"{told}.*encoding_format"):
                caller.embed(open_embedder(other, UNLISTED, normalize=False, **options), texts(3))


LOSSY = {
    "unsigned bytes": np.round((bell(3) / np.abs(bell(3)).max() + 1) * 127.5).astype("u1"),
    "bits": np.packbits(bell(3) > 0, axis=1),
}


@pytest.mark.parametrize(
    ("model", "told"), [(LISTED, "bytes that may be unsigned|one bit"), (UNLISTED, "width is not")]
)
@pytest.mark.parametrize("rows", LOSSY.values(), ids=LOSSY)
def test_bytes_whose_zero_is_not_known_and_bits_are_refused(caller, server, rows, model, told):
    """W12: by an error that says what they are, and what to write."""
    server.on(always, sent(packed(rows)))
    with pytest.raises(InvalidResponseError, match=told) as caught:
        caller.embed(open_embedder(server, model), texts(3))
    assert caught.value.kind == ("width" if model == LISTED else "value")
    assert "encoding_format" in str(caught.value)


# Errors that are pages, plain words, lists and events.

ERRORS = {
    "a page": (
        502,
        b"<html><style>b</style><h1>502 Bad Gateway</h1></html>",
        ProviderUnavailableError,
        "no words that",
    ),
    "words": (429, b"rate limit exceeded, retry in 0.1s", RateLimitTimeoutError, "rate limit exceeded"),
    "a list": (400, b'["dimensions is not supported"]', ConfigurationError, "leave dimensions out"),
    "a string": (401, b'"invalid api key"', AuthenticationError, "invalid api key"),
    "an event": (
        400,
        b'data: {"error": {"message": "the model x does not exist", "code": "model_not_found"}}\n\n',
        ConfigurationError,
        "model_not_found",
    ),
    "an event with status 200": (
        200,
        b'data: {"error": {"message": "invalid api key", "code": 401}}\n\ndata: [DONE]\n\n',
        AuthenticationError,
        "invalid api key",
    ),
    "XML": (
        403,
        b"<?xml version='1.0'?><Error><Text>Access Denied</Text></Error>",
        AuthenticationError,
        "check api_key",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_understood_however_it_is_sent(caller, server, name):
    """W8, W12: of a page nothing is shown."""
    status, content, kind, told = ERRORS[name]
    server.on(always, sent(content, status))
    with pytest.raises(EmbeddingError, match=told) as caught:
        caller.embed(open_embedder(server, max_retries=1), texts(1))
    assert type(caught.value) is kind
