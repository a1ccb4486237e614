"""Refusals and answers of servers as they are: what a call does, what it costs, and what it says, over real sockets."""

from __future__ import annotations

import base64
import copy
import json
import pickle

import numpy as np
import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from embedbridge._core.model_names import ModelNames, Named
from embedbridge.cache import MemoryCache
from embedbridge.errors import EmbeddingError
from embedbridge.testing import contains
from support.faults import body

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]

MODEL = "text-embedding-3-small"
PLAN = "You exceeded your current quota, please check your plan and billing details."


def always(_):
    return True


def texts(count):
    return [f"text {at:03} here" for at in range(count)]


def open_embedder(server, model=MODEL, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": MemoryCache()}
    return Embedder(f"openai:{model}", **usual | options)


def embed(caller, server, given, **options):
    """The vectors are right, and each text was billed once."""
    result = caller.embed(open_embedder(server, **options), given)
    assert np.array_equal(result.vectors, server.vectors(given, model=MODEL))
    assert server.stats.billed == dict.fromkeys(given, 1)
    return result


def fails(caller, kind, server, given, *, embedder=None, **options):
    with pytest.raises(EmbeddingError) as caught:
        caller.embed(embedder or open_embedder(server, **options), given)
    assert type(caught.value) is kind, caught.value
    return caught.value


@pytest.mark.parametrize("fault", ["omitindex", "shuffle+omitindex:i=2", "oneindex", "noindex"])
def test_a_numbering_that_can_only_mean_one_thing_is_read(caller, server, fault):
    """W1: and nothing is paid twice."""
    server.on(always, fault)
    embed(caller, server, texts(5))
    assert server.stats.calls == 1


SHAPES = {
    "a list": lambda rows: [{"index": at, "embedding": row} for at, row in enumerate(rows)],
    "an object in place of the list": lambda rows: {
        "data": {str(at): {"embedding": row} for at, row in enumerate(rows)}
    },
    "bare vectors": lambda rows: {"embeddings": rows},
    "one more list around each": lambda rows: {
        "data": [{"index": at, "embedding": [row]} for at, row in enumerate(rows)]
    },
    "another object around": lambda rows: {"success": True, "result": {"data": rows}},
    "by format": lambda rows: {
        "data": [{"index": str(at), "embedding": {"float": row}} for at, row in enumerate(rows)]
    },
    "Vertex": lambda rows: {"predictions": [{"embeddings": {"values": row}} for row in rows]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_vectors_are_read_wherever_an_answer_has_them(caller, server, shape):
    """W1: in one request."""
    given = texts(3)
    expected = server.vectors(given, model=MODEL)
    server.on(always, body(200, shape(expected.tolist())))
    result = caller.embed(open_embedder(server), given)
    assert np.array_equal(result.vectors, expected)
    assert (result.report.requests, result.report.retries, server.stats.calls) == (1, 0, 1)


@pytest.mark.parametrize("tail", [b"\n{}\n", b"<!-- from cache -->", b"\x00", b"\r\n\r\n"])
def test_what_follows_a_whole_answer_does_not_harm_it(caller, server, tail):
    """W12: nor does a mark before it that says in which order bytes come."""
    given = texts(2)
    expected = server.vectors(given, model=MODEL)
    answer = json.dumps(
        {"data": [{"index": at, "embedding": row.tolist()} for at, row in enumerate(expected)]}
    ).encode()
    whole = base64.urlsafe_b64encode(b"\xef\xbb\xbf" + answer + tail).decode()
    server.on(always, f"body:json={whole}")
    assert np.array_equal(caller.embed(open_embedder(server), given).vectors, expected)
    assert server.stats.calls == 1


@pytest.mark.parametrize("coding", ["identity", "utf-8", "none", "aws-chunked"])
def test_a_coding_that_is_none_is_none(caller, server, coding):
    """W12: some gateways write a character set there."""
    server.on(always, f"header:content-encoding={coding}")
    embed(caller, server, texts(2))
    assert server.stats.calls == 1


@pytest.mark.parametrize("status", [424, 499, 520, 529])
def test_what_stands_in_between_or_behind_may_fail_for_a_while(caller, server, status):
    """W7: a model behind TEI or Azure, a proxy that gave up, Cloudflare before a server that starts."""
    server.script(f"{status}:message=upstream", f"html:status={status}")
    embed(caller, server, texts(3))
    assert server.stats.calls == 3


@pytest.mark.parametrize("status", [404, 424, 503])
def test_a_model_that_is_being_loaded_is_waited_for(caller, server, status):
    """W2: whatever the status; the wait is the one that is named."""
    server.script(body(status, {"error": "Model BAAI/bge-m3 is currently loading", "estimated_time": 0.2}))
    embed(caller, server, texts(3))
    first, second = server.requests
    assert second.at - first.at >= 0.2


QUOTAS = [
    [{"error": {"code": 429, "message": PLAN, "details": [{"retryDelay": "0.2s"}]}}],
    {"error": {"code": 429, "message": f"{PLAN} Please retry in 0.2s.", "status": "RESOURCE_EXHAUSTED"}},
    {"error": {"message": PLAN, "code": "insufficient_quota", "retry_after": 0.2}},
]


@pytest.mark.parametrize("answer", QUOTAS, ids=["list", "words", "field"])
def test_a_wait_that_a_body_names_is_kept(caller, server, answer):
    """W2: a quota per minute passes."""
    server.script(body(429, answer))
    embed(caller, server, texts(3))
    first, second = server.requests
    assert second.at - first.at >= 0.2


def test_a_quota_per_day_is_not_waited_for(caller, server):
    """W2: though the body names a short wait."""
    violation = {"violations": [{"quotaId": "EmbedContentRequestsPerDayPerProject"}]}
    server.on(always, body(429, {"error": {"message": PLAN, "details": [violation, {"retryDelay": "1s"}]}}))
    fails(caller, QuotaExceededError, server, texts(3))
    assert server.stats.calls == 1


def test_a_text_that_is_a_server_error_every_time_costs_no_other_text(caller, server):
    """W3: 19 of 20 are kept, and a second run asks for the one."""
    embedder = open_embedder(server)
    server.on(contains("text 007"), "500:message=failed to encode response")
    error = fails(caller, ProviderUnavailableError, server, texts(20), embedder=embedder)
    assert (error.failed_indices, len(error.completed)) == ((7,), 19)
    assert "text 7:" in str(error)
    assert server.stats.calls <= 6 + 3 + 10
    assert server.stats.billed == dict.fromkeys(set(texts(20)) - {"text 007 here"}, 1)


def test_a_server_that_is_down_is_asked_little_more_than_its_retries(caller, server):
    server.on(always, "500")
    fails(caller, ProviderUnavailableError, server, texts(20))
    assert server.stats.calls <= 6 + 3 * 2


FIELDS = [
    (
        422,
        {"detail": [{"loc": ["body", "encoding_format"], "msg": "Input should be 'float'", "type": "literal_error"}]},
    ),
    (400, {"error": {"message": "not taken", "param": "encoding_format", "type": "invalid_request_error"}}),
    (400, {"object": "error", "message": "[{'loc': ('body', 'encoding_format'), 'msg': 'no'}]", "code": 400}),
]


@pytest.mark.parametrize(("status", "answer"), FIELDS, ids=["loc", "param", "repr"])
def test_a_field_that_a_server_does_not_take_is_named_after_one_request(caller, server, status, answer):
    """W6: with what to write."""
    server.on(always, body(status, answer))
    error = fails(caller, ConfigurationError, server, texts(10))
    assert "provider_options={'encoding_format': 'float'}" in str(error)
    assert server.stats.calls == 1


def test_a_request_that_is_refused_for_any_text_is_told_as_that(caller, server):
    """W6: three texts alone refused in the same words."""
    server.on(always, "400:message=Bad request")
    error = fails(caller, ConfigurationError, server, texts(100))
    assert "3 texts were each refused in the same words" in str(error)
    assert server.stats.calls == 1 + 3


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried to allocate 20.00 MiB", "std::bad_alloc"])
def test_a_batch_that_does_not_fit_into_the_servers_memory_is_halved_at_once(caller, server, said):
    """W7: nothing is lost."""
    server.on(lambda request: len(request.items) > 8, body(500, {"detail": said}))
    embed(caller, server, texts(16))
    assert server.stats.calls == 1 + 2


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": 429, "message": "slow", "metadata": {"retry_after": 0.2}}},
        [{"error": {"code": 429, "message": "try again in 200ms"}}],
        {"errors": [{"status": 429, "message": "try again in 0.2 seconds"}]},
        {"object": "error", "code": 503, "message": "try again in 0.2s"},
    ],
    ids=["openrouter", "list", "errors", "object"],
)
def test_an_error_inside_a_successful_answer_is_what_its_code_says(caller, server, answer):
    """W8: it is waited for, as often as with the status itself."""
    server.script(body(200, answer), body(200, answer))
    embed(caller, server, texts(3))
    assert server.stats.calls == 3
    assert server.requests[1].at - server.requests[0].at >= 0.2


@pytest.mark.parametrize(("code", "kind"), [(401, AuthenticationError), (402, QuotaExceededError)])
def test_an_error_inside_a_successful_answer_may_end_the_call(caller, server, code, kind):
    """W8: after one request."""
    server.on(always, body(200, {"success": False, "errors": [{"code": code, "message": "no"}]}))
    fails(caller, kind, server, texts(3))
    assert server.stats.calls == 1


def test_a_text_that_a_moderation_refuses_with_403_costs_no_other_text(caller, server):
    """W10: by its words, in the first request already."""
    server.on(
        contains("text 003"), body(403, {"error": {"message": "Input was flagged", "code": "moderation_blocked"}})
    )
    error = fails(caller, InvalidInputError, server, texts(10))
    assert error.failed_indices == (3,)
    assert server.stats.billed == dict.fromkeys(set(texts(10)) - {"text 003 here"}, 1)


def test_a_text_that_a_firewall_refuses_with_403_after_successes_costs_no_other_text(caller, server):
    """W10: whatever it says."""
    server.on(contains("text 008"), "html:status=403")
    error = fails(caller, InvalidInputError, server, texts(10), batch_size=5, concurrency=1)
    assert error.failed_indices == (8,)
    assert server.stats.billed == dict.fromkeys(set(texts(10)) - {"text 008 here"}, 1)


def test_a_quota_that_a_403_tells_of_is_waited_for(caller, server):
    """W10: it is replenished."""
    server.script("403:message=Quota exceeded, replenished soon;retry-after=0.2")
    embed(caller, server, texts(3))
    assert server.stats.calls == 2


# R10: whose vectors they are.


def test_vectors_of_a_foreign_model_are_told_of_once_and_not_stored(caller, server):
    """R10: they are returned; a second call asks again."""
    embedder = open_embedder(server)
    server.on(always, "othermodel:name=BAAI/bge-m3")
    with pytest.warns(UserWarning, match=r"another model .*'BAAI/bge-m3'.*accept_model"):
        assert len(caller.embed(embedder, texts(3)).vectors) == 3
    caller.embed(embedder, texts(3))  # a second warning would be an error
    assert server.stats.again() == dict.fromkeys(texts(3), 2)


def test_the_mean_of_a_foreign_models_vectors_is_not_stored_either(caller, server):
    """R10: under `too_long="mean"` the pieces of a text are asked for."""
    embedder = open_embedder(server, too_long="mean")
    server.on(always, "othermodel:name=BAAI/bge-m3")
    with pytest.warns(UserWarning, match="accept_model"):
        caller.embed(embedder, ["a b c d e f " * 2500])
    before = server.stats.calls
    caller.embed(embedder, ["a b c d e f " * 2500])
    assert server.stats.calls > before


@pytest.mark.parametrize("accepted", ["BAAI/bge-m3", ["other", "BAAI/bge-m3"], True])
def test_a_foreign_name_that_the_user_accepts_is_ours(caller, server, accepted):
    """R10: and is stored."""
    embedder = open_embedder(server, provider_options={"accept_model": accepted})
    server.on(always, "othermodel:name=BAAI/bge-m3")
    for _ in range(2):
        caller.embed(embedder, texts(3))
    assert server.stats.calls == 1


@pytest.mark.parametrize("wrong", [3, "", [""], {"a": 1}, False])
def test_what_is_no_name_cannot_be_accepted(server, wrong):
    with pytest.raises(ConfigurationError, match="accept_model"):
        open_embedder(server, provider_options={"accept_model": wrong})


@pytest.mark.parametrize(
    ("asked", "named", "verdict"),
    [
        (MODEL, MODEL, Named.OURS),
        (MODEL, f"openai/{MODEL}", Named.OURS),
        (MODEL, f"{MODEL}-2024-01-25", Named.OURS),
        ("nomic-embed-text", "nomic-embed-text:latest", Named.OURS),
        ("nomic-embed-text", "/models/nomic-embed-text-v1.5.Q8_0.gguf", Named.OURS),
        ("databricks-gte-large-en", "GTE-large-en", Named.OURS),
        (MODEL, None, Named.OURS),
        (MODEL, "", Named.OURS),
        (MODEL, "BAAI/bge-m3", Named.FOREIGN),
        ("bge-m3", "bge-m30", Named.FOREIGN),
        (MODEL, "text-embedding-3-large", Named.SIBLING),
    ],
)
def test_names_are_one_models_by_an_exact_rule(asked, named, verdict):
    """R10: equal but for case, path, date, tag and format."""
    names = ModelNames((asked,), frozenset({"text-embedding-3-large"}))
    assert names.judge(named) is verdict


def test_a_vector_of_zeros_is_a_fault_unless_the_user_knows_better(caller, server):
    """W12: a static model gives it for a text without a known word."""
    server.on(contains("text 001"), "zero:i=1")
    assert fails(caller, InvalidResponseError, server, texts(3)).failed_indices == (1,)
    server.stats.billed.clear()
    embedder = open_embedder(server, provider_options={"accept_zeros": True}, normalize=False)
    assert not caller.embed(embedder, texts(3)).vectors[1].any()


# U6: errors from another process.


def test_an_error_keeps_its_places_through_pickles_copies_and_proxies():
    """U6: Ray's errors are of a class made of its own and ours, and find our attributes by `__getattr__`."""
    ray = pytest.importorskip("ray.exceptions")
    error = InvalidInputError("bad", index=3)
    error.completed, error.provider, error.model = (0, 1), "openai", "m"
    remote = ray.RayTaskError("work", "traceback", error).as_instanceof_cause()
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error)), remote):  # noqa: S301 - our own
        assert isinstance(twin, InvalidInputError)
        told = (twin.failed_indices, twin.completed, twin.provider, twin.model, twin.index)
        assert told == ((3,), (0, 1), "openai", "m", 3)
    assert EmbeddingError("x").failed_indices == ()
