"""Cohere through its own SDK: what is asked, how the answer is read, what goes wrong, and a real asymmetric model."""

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InputTooLongError,
    InvalidResponseError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from embedbridge._core.types import Batch, Route
from embedbridge.catalogue import look_up
from embedbridge.errors import RequestFailed
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.cohere import CohereProvider
from embedbridge.testing import FaultServer, Limits, contains

KEY = "co-not-a-real-key"
V3, V4 = "embed-english-v3.0", "embed-v4.0"
TRIAL = "You are using a Trial key, which is limited to {} API calls / {}."


def cohere(server, model=V4, **options):
    return Embedder(f"cohere:{model}", **{"base_url": server.url, "api_key": KEY, "cache": False} | options)


def provider(server, model=V4, **options):
    config = ProviderConfig(model, look_up("cohere", model), SecretStr(KEY), server.url if server else None, **options)
    return CohereProvider(config)


def batch(*texts, input_type="document"):
    return Batch(texts, tuple(range(len(texts))), Route(input_type), 10)


def truth(server, *texts, model=V4, input_type="search_document", dims=None):
    return server.vectors(texts, dialect="cohere", model=model, input_type=input_type, dims=dims)


@pytest.fixture
def server_v3():
    with FaultServer(width=1024) as server:
        yield server


def test_a_request_says_what_the_api_needs_and_nothing_else(caller, server):
    vectors = caller.embed_documents(cohere(server), ["a", "b"])
    (request,) = server.requests
    assert request.path == "/v2/embed"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.payload == {
        "model": V4,
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["base64"],
        "truncate": "END",
    }
    np.testing.assert_array_equal(vectors, truth(server, "a", "b"))


@pytest.mark.parametrize(
    ("role", "input_type"),
    [
        ("query", "search_query"),
        ("document", "search_document"),
        ("classification", "classification"),
        ("clustering", "clustering"),
    ],
)
def test_every_role_travels_as_the_apis_own_input_type_and_never_as_a_prefix(caller, server, role, input_type):
    vectors = caller.embed(cohere(server), ["a"], input_type=role).vectors
    assert server.requests.bodies[0]["input_type"] == input_type
    np.testing.assert_array_equal(vectors, truth(server, "a", input_type=input_type))


def test_a_prefix_of_the_callers_is_refused():
    with pytest.raises(ConfigurationError, match="say it twice"):
        Embedder(f"cohere:{V4}", api_key=KEY, cache=False, query_prefix="query: ").embed_query("a")


def test_ninety_seven_texts_are_two_requests_and_keep_their_order(caller, server):
    texts = [f"text {i}" for i in range(97)]
    vectors = caller.embed_documents(cohere(server), texts)
    assert sorted(map(len, server.requests.items)) == [1, 96]
    np.testing.assert_array_equal(vectors, truth(server, *texts))
    assert not server.stats.again()


def test_version_4_is_sent_no_more_than_its_tokens_a_request(caller, server):
    caller.embed_documents(cohere(server), [f"{i} " + "x" * 50_000 for i in range(4)])
    assert [request.tokens <= 128_000 for request in server.requests] == [True, True]


def test_tokens_and_cost_are_what_the_api_billed(caller, server):
    report = caller.embed(cohere(server), ["four", "eight bytes and more"]).report
    assert (report.tokens, report.tokens_from) == (server.stats.tokens, "provider")
    assert report.cost == pytest.approx(server.stats.tokens * 0.12 / 1e6)


@pytest.mark.parametrize("fault", ["nousage", "badusage"])
def test_without_usage_tokens_are_estimated_and_marked_so(caller, server, fault):
    server.script(fault)
    result = caller.embed(cohere(server), ["a"])
    assert (result.report.tokens, result.report.tokens_from) == (1, "estimate")
    np.testing.assert_array_equal(result.vectors, truth(server, "a"))


# Dimensions.


def test_version_4_is_asked_for_fewer_dimensions(caller, server):
    vectors = caller.embed_documents(cohere(server, dimensions=256), ["a"])
    assert server.requests.bodies[0]["output_dimension"] == 256
    np.testing.assert_array_equal(vectors, truth(server, "a", dims=256))


@pytest.mark.parametrize("model", [V3, "our-own-v3.0"])
def test_version_3_has_one_width_and_another_is_refused_before_anything_is_sent(model):
    with pytest.raises(ConfigurationError, match="dimensions"):
        Embedder(f"cohere:{model}", api_key=KEY, cache=False, dimensions=256)


def test_a_model_that_nobody_has_described_is_asked_for_fewer_dimensions(caller, server):
    vectors = caller.embed_documents(cohere(server, "embed-v9.0", dimensions=64), ["a"])
    np.testing.assert_array_equal(vectors, truth(server, "a", model="embed-v9.0", dims=64))


def test_vectors_of_another_width_than_was_asked_for_are_found_out(caller, server):
    server.script("dims:n=128")
    with pytest.raises(InvalidResponseError, match="128 dimensions, 256 expected"):
        caller.embed(cohere(server, dimensions=256, max_retries=0), ["a"])


# Texts that are too long.


@pytest.mark.parametrize(("policy", "truncate"), [("truncate", "END"), ("error", "NONE"), ("mean", "NONE")])
def test_the_server_is_told_what_to_do_with_a_text_that_is_too_long(caller, server, policy, truncate):
    caller.embed_documents(cohere(server, too_long=policy), ["a"])
    assert server.requests.bodies[0]["truncate"] == truncate


def test_texts_that_the_server_may_still_read_are_left_whole(caller, server_v3):
    text = "word " * 440  # 2,200 bytes: 440 tokens to a real tokenizer, over 512 at four bytes each
    caller.embed_documents(cohere(server_v3, V3), [text])
    assert server_v3.requests.items == [[text]]


def test_a_text_that_reaches_the_limit_is_reported_as_cut_by_the_server(caller, server_v3):
    report = caller.embed(cohere(server_v3, V3), ["short", "x" * 2100]).report
    assert [(cut.index, cut.kept) for cut in report.cut] == [(1, -1)]


def test_short_texts_are_not_reported_as_cut(caller, server_v3):
    assert caller.embed(cohere(server_v3, V3), ["short", "x" * 1600]).report.cut == ()


def test_a_text_that_is_too_long_for_certain_is_refused_before_anything_is_sent(caller, server_v3):
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(cohere(server_v3, V3, too_long="error"), ["a", "x" * 4000])
    assert (caught.value.index, caught.value.limit) == (1, 512)
    assert server_v3.stats.calls == 0


def test_a_text_that_the_server_refuses_is_named_and_the_others_are_paid_for_once(caller):
    with FaultServer(width=1024, limits={"cohere": Limits(96, 512, None)}) as server:
        texts = [f"text {i}" for i in range(7)] + ["x" * 2400]
        with pytest.raises(InputTooLongError) as caught:
            caller.embed(cohere(server, V3, too_long="error"), texts)
        assert caught.value.index == 7
        assert caught.value.completed == tuple(range(7))
        assert server.stats.billed == dict.fromkeys(texts[:7], 1)


def test_a_mean_is_made_of_pieces_that_fit(caller, server_v3):
    text = "".join(f"{i:05d}" for i in range(1000))
    report = caller.embed(cohere(server_v3, V3, too_long="mean"), [text]).report
    pieces = [piece for items in server_v3.requests.items for piece in items]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 2 * 512
    assert [cut.index for cut in report.cut] == [0]


# Answers of servers that only look like Cohere.


@pytest.mark.parametrize("embeddings", [[[1.0, 2.0]], {"float": [[1.0, 2.0]]}, {"base64": None, "float": [[1.0, 2.0]]}])
def test_numbers_are_read_where_base64_was_asked_for(embeddings):
    assert provider(None).read(batch("a"), {"embeddings": embeddings}).items == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html:status=200", "not_json"),
        ("truncate", "not_json"),
        ("badutf8", "not_json"),
        ("nodata", "no_data"),
        ("error200", "error"),
        ("badgzip", "encoding"),
        ("redirect", "redirect"),
        ("reset", "connection"),
        ("reset:at=mid", "connection"),
        ("close:at=mid", "connection"),
        ("hang", "timeout"),
        ("drip:bytes=1;s=0.02", "timeout"),
    ],
)
def test_a_broken_exchange_is_one_named_failure_after_one_request(caller, server, fault, kind):
    server.script(fault)
    with pytest.raises(RequestFailed) as caught:
        caller.call(provider(server), "ask", batch("a secret text"), timeout=0.5 if kind == "timeout" else 10)
    assert caught.value.kind == kind
    assert server.stats.calls == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 501, 502, 503, 504, 529])
def test_the_sdk_itself_never_asks_again(caller, server, status):
    server.script(f"{status}:retry-after=1")
    with pytest.raises(RequestFailed) as caught:
        caller.call(provider(server), "ask", batch("a"), timeout=5)
    assert (caught.value.status, caught.value.retry_after) == (status, 1.0)
    assert server.stats.calls == 1


def test_a_passing_fault_is_healed_and_nothing_is_paid_twice(caller, server):
    server.script("429:retry-after=0.05", "503:retry-after=0.05", "500:retry-after=0.05")
    result = caller.embed(cohere(server), ["a", "b"])
    np.testing.assert_array_equal(result.vectors, truth(server, "a", "b"))
    assert result.report.retries == 3
    assert server.stats.billed == {"a": 1, "b": 1}


@pytest.mark.parametrize("fault", ["drop:where=start", "nan", "zero", "ragged", "nullvalue", "nodata", "truncate"])
def test_an_unsound_answer_is_asked_for_once_more(caller, server, fault):
    server.script(fault)
    result = caller.embed(cohere(server), ["a", "b"])
    np.testing.assert_array_equal(result.vectors, truth(server, "a", "b"))
    assert server.stats.billed == {"a": 2, "b": 2}
    assert result.report.paid_again == 2


def test_a_refused_text_is_named_and_the_others_are_paid_for_once(caller, server):
    texts = [f"text {i}" for i in range(20)] + ["poison"]
    server.on(contains("poison"), "400:message=invalid request: bad text")
    with pytest.raises(ValueError, match="bad text") as caught:
        caller.embed(cohere(server), texts)
    assert caught.value.index == 20
    assert server.stats.billed == dict.fromkeys(texts[:20], 1)


# The account.


def test_the_months_calls_used_up_is_a_quota_and_not_waited_for(caller, server):
    server.on(lambda _: True, f"429:message={TRIAL.format(1000, 'month')}")
    with pytest.raises(QuotaExceededError):
        caller.embed(cohere(server), ["a"])
    assert server.stats.calls == 1


def test_the_minutes_calls_used_up_are_waited_for(caller, server):
    server.script(f"429:retry-after=0.05;message={TRIAL.format(40, 'minute')}")
    assert caller.embed(cohere(server), ["a"]).report.retries == 1


def test_a_wrong_key_ends_the_call_at_once_and_is_not_shown(caller):
    with FaultServer(api_keys=["another"]) as server:
        with pytest.raises(AuthenticationError) as caught:
            caller.embed(cohere(server), ["a secret text"])
        assert server.stats.calls == 1
    assert KEY not in repr(caught.value)
    assert "secret text" not in repr(caught.value)


def test_an_unknown_model_ends_the_call_at_once(caller, server):
    server.script("404:message=model 'embed-v4.0' not found, make sure the correct model ID was used")
    with pytest.raises(ConfigurationError, match="not found"):
        caller.embed(cohere(server), ["a"])
    assert server.stats.calls == 1


def test_a_server_that_is_not_there_is_unavailable(caller, server):
    server.stop()
    with pytest.raises(ProviderUnavailableError):
        caller.embed(cohere(server, max_retries=0), ["a"])


# The address and the key.


def test_a_missing_key_is_named_at_construction():
    with pytest.raises(ConfigurationError, match="CO_API_KEY or COHERE_API_KEY"):
        Embedder(f"cohere:{V4}", cache=False)


@pytest.mark.parametrize("variable", ["CO_API_KEY", "COHERE_API_KEY"])
def test_key_and_address_come_from_the_environment_whenever_they_are_set(caller, server, monkeypatch, variable):
    import cohere as _  # noqa: F401 - the SDK has read its environment by now

    monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("CO_API_URL", server.url)
    caller.embed(Embedder(f"cohere:{V4}", cache=False), ["a"])
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_vendors_own_address_is_no_other_space():
    named, unnamed = (
        CohereProvider(ProviderConfig(V4, None, SecretStr(KEY), url)) for url in ("https://api.cohere.com", None)
    )
    assert named.identity == unnamed.identity


def test_a_closed_embedder_opens_again(mode, caller, server):
    embedder = cohere(server)
    caller.embed(embedder, ["a"])
    caller.call(embedder, "close")
    caller.embed(embedder, ["b"])
    assert (server.stats.calls, server.stats.connections) == (2, 2), mode


# A real model.


def test_a_real_models_queries_and_documents_arrive_as_its_own_engine_gives_them(caller, e5_server):
    texts = ["How tall is Mont Blanc?", "Mont Blanc is 4,806 metres tall.", "Ein Satz auf Deutsch."]
    embedder = cohere(e5_server, "multilingual-e5-small")
    for role, is_query in (("query", True), ("document", False)):
        own = np.asarray(e5_server.engine.encode(texts, is_query=is_query), np.float32)
        vectors = caller.embed(embedder, texts, input_type=role).vectors
        np.testing.assert_allclose(vectors, own, atol=1e-6)
    query, document = (caller.embed(embedder, texts[:1], input_type=role).vectors[0] for role in ("query", "document"))
    assert query @ document < 0.99
