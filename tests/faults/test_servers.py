"""Servers that copy OpenAI's API, as the test server's quirks play them: one line of code, right vectors, exact bill.

Real engines are tried elsewhere: llama.cpp, vLLM's and TEI's wire by their published wording only.
"""

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.one_flow
NIM = {"role_body": {"query": {"input_type": "query"}, "document": {"input_type": "passage"}}}
JINA = {"role_body": {"query": {"task": "retrieval.query"}, "document": {"task": "retrieval.passage"}}}
SERVERS = {
    "gemini": ({"request_items": 100}, ""),
    "nim": (NIM, "passage"),
    "jina": (JINA, "retrieval.passage"),
    "mistral": ({"dimensions_field": "output_dimension"}, ""),
    "dashscope": ({"request_items": 10}, ""),
    "tei": ({}, ""),
    "vllm": ({}, ""),
    "llamacpp": ({}, ""),
    "openrouter": ({}, ""),
    "cloudflare": ({}, ""),
    "litellm": ({}, ""),
}
TEXTS = [f"text number {number}" for number in range(250)]


@pytest.mark.parametrize("quirk", SERVERS)
def test_250_texts_are_right_and_paid_once(quirk, caller):
    options, role = SERVERS[quirk]
    with FaultServer(quirks=[quirk], width=64) as server:
        embedder = Embedder(
            "openai:some-model", base_url=f"{server.url}/v1", api_key="k-test", cache=False, provider_options=options
        )
        result = caller.embed(embedder, TEXTS)
        np.testing.assert_array_equal(
            result.vectors, server.vectors(TEXTS, model="some-model", input_type=role, dims=64)
        )
        assert dict(server.stats.billed) == dict.fromkeys(TEXTS, 1)
        assert (result.report.tokens, result.report.retries) == (server.stats.tokens, 0)


@pytest.mark.parametrize("quirk", SERVERS)
def test_a_wait_that_is_named_in_the_servers_own_way_is_waited_out_and_nothing_is_paid_twice(quirk, caller):
    options, _ = SERVERS[quirk]
    with FaultServer(quirks=[quirk], width=64) as server:
        server.script("429:retry-after=0.2;message=Rate limit reached")
        embedder = Embedder(
            "openai:some-model", base_url=f"{server.url}/v1", api_key="k-test", cache=False, provider_options=options
        )
        report = caller.embed(embedder, TEXTS[:5]).report
        assert (report.retries, server.stats.served) == (1, 1)
        assert dict(server.stats.billed) == dict.fromkeys(TEXTS[:5], 1)
