"""Mistral over its own wire: what is asked, what is refused, and how `openai:` at its address goes on."""

import json

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.one_flow

KEY = "mistral-key-nobody-may-see"


def mistral(server, model="mistral-embed", **options):
    usual = {"base_url": f"{server.url}/mistral", "api_key": KEY, "cache": False}
    return Embedder(f"mistral:{model}", **usual | options)


def test_a_request_says_what_the_api_needs_and_nothing_else(caller, server):
    result = caller.embed(mistral(server), ["a", "b"])
    (request,) = server.requests
    assert request.path == "/mistral/v1/embeddings"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.payload == {"model": "mistral-embed", "input": ["a", "b"], "encoding_format": "base64"}
    np.testing.assert_array_equal(result.vectors, server.vectors(["a", "b"], dialect="mistral", model="mistral-embed"))
    assert (result.report.tokens, result.report.tokens_from) == (2, "provider")
    assert result.report.cost == pytest.approx(2 * 0.10e-6)


def test_a_role_changes_nothing_and_is_paid_for_once(caller, server, tmp_path):
    embedder = mistral(server, cache=tmp_path)
    caller.embed(embedder, ["a"], input_type="document")
    assert caller.embed(embedder, ["a"], input_type="query").report.hits == 1


def test_narrower_and_rounded_vectors_are_asked_for_by_the_apis_own_names(caller, server):
    own = {"output_dtype": "int8"}
    plain = mistral(server, "codestral-embed", dimensions=256)
    rounded = mistral(server, "codestral-embed", dimensions=256, provider_options=own)
    vectors = caller.embed(rounded, ["a"]).vectors
    expected = {"model": "codestral-embed", "input": ["a"], "output_dtype": "int8", "output_dimension": 256}
    assert server.requests[0].payload == expected
    truth = server.vector("a", dialect="mistral", model="codestral-embed", dims=256)
    np.testing.assert_array_equal(vectors[0], np.rint(truth * 127))
    assert plain.space.fingerprint != rounded.space.fingerprint
    assert caller.embed(plain, ["a"]).vectors[0] == pytest.approx(truth)


def test_codestral_gives_1536_numbers_and_up_to_3072_if_it_is_asked_for_more(caller, server):
    for model in ("codestral-embed", "codestral-embed-2505"):
        for dimensions, given in ((None, 1536), (1, 1), (256, 256), (1536, 1536), (3072, 3072)):
            vectors = caller.embed(mistral(server, model, dimensions=dimensions), ["a"]).vectors
            truth = server.vector("a", dialect="mistral", model=model, dims=given)
            np.testing.assert_array_equal(vectors[0], truth)
    with pytest.raises(ConfigurationError, match="3072"):
        mistral(server, "codestral-embed", dimensions=3073)


def test_no_request_has_more_than_256_texts_or_16000_tokens(caller, server):
    caller.embed(mistral(server), [f"text {i}" for i in range(257)])
    assert sorted(map(len, server.requests.items)) == [1, 256]
    server.reset()
    caller.embed(mistral(server), [f"{i} {'word ' * 1500}" for i in range(20)])  # 1876 tokens each
    assert server.stats.statuses.keys() == {200}
    assert server.stats.calls > 2


def test_what_would_be_taken_without_effect_is_refused(server):
    cases = {
        "dimensions": {"dimensions": 256},
        "output_dtype": {"provider_options": {"output_dtype": "ubinary"}},
        "use dimensions=": {"provider_options": {"body": {"output_dimension": 3}}},
        "use provider_options={'output_dtype'": {"provider_options": {"body": {"output_dtype": "int8"}}},
        "holds the api key": {"provider_options": {"body": {"metadata": KEY}}},
    }
    for match, options in cases.items():
        with pytest.raises(ConfigurationError, match=match) as caught:
            mistral(server, **options)
        assert KEY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="MISTRAL_API_KEY"):
        Embedder("mistral:mistral-embed")


def test_both_ways_to_write_its_address_are_one(server):
    host, whole = (mistral(server, base_url=f"{server.url}/mistral{end}") for end in ("", "/v1/"))
    assert host.space.fingerprint == whole.space.fingerprint
    assert whole.embed_query("a").shape == host.embed_query("a").shape == (1024,)
    official = Embedder("mistral:mistral-embed", api_key=KEY, base_url="https://api.mistral.ai")
    assert official.space.fingerprint == Embedder("mistral:mistral-embed", api_key=KEY).space.fingerprint


def test_openai_at_mistrals_address_sends_what_it_sent(caller):
    with FaultServer(quirks=["mistral"]) as server:
        own = {"dimensions_field": "output_dimension"}
        options = {"base_url": f"{server.url}/v1", "api_key": KEY, "cache": False, "provider_options": own}
        caller.embed(Embedder("openai:codestral-embed", dimensions=256, **options), ["a"])
        assert json.loads(server.requests[0].body) == {
            "model": "codestral-embed",
            "input": ["a"],
            "encoding_format": "base64",
            "output_dimension": 256,
        }
    hosted = Embedder("openai:codestral-embed", base_url="https://api.mistral.ai/v1", api_key=KEY, dimensions=256)
    assert hosted._parts.provider.limits.items == 256
