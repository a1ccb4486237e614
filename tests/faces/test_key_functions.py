"""A function in place of a key, as for tokens of Microsoft Entra: asked for each request, and by the right client."""

from __future__ import annotations

import asyncio

import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.langchain import AzureOpenAIEmbeddings, OpenAIEmbeddings
from embedbridge.llama_index import OpenAIEmbedding
from embedbridge.providers.hosted import MOST_SENT

SECRET = "sk-of-a-function"


def keys_sent(server):
    found = [one.headers["authorization"] for one in server.requests]
    server.reset()
    return found


def made(server, give, **keywords):
    place = {"base_url": f"{server.url}/v1", "model": "text-embedding-3-small"}
    return OpenAIEmbeddings(**place, api_key=give, max_retries=0, cache=False, **keywords)


async def later():
    await asyncio.sleep(0)
    return SECRET


def test_a_function_is_asked_for_a_key_before_each_request(server):
    keys = iter("abc")
    ours = made(server, lambda: f"sk-{next(keys)}")
    ours.embed_documents(["a"])
    ours.embed_query("b")
    asyncio.run(ours.aembed_query("c"))
    assert keys_sent(server) == ["Bearer sk-a", "Bearer sk-b", "Bearer sk-c"]
    assert callable(ours.openai_api_key)
    assert "openai_api_key" not in ours.model_dump()


def test_an_async_function_serves_async_calls_and_long_requests_too(server):
    ours = made(server, later)
    asyncio.run(ours.aembed_documents(["a" * 4000] * (MOST_SENT // 4000 + 1)))
    assert set(keys_sent(server)) == {f"Bearer {SECRET}"}
    with pytest.raises(ConfigurationError, match="is asynchronous: use the async methods"):
        ours.embed_query("a")
    assert keys_sent(server) == []


def test_an_async_function_gives_azures_tokens_for_long_requests_too(server):
    place = {"model": "text-embedding-3-small", "azure_endpoint": server.url, "check_embedding_ctx_length": False}
    ours = AzureOpenAIEmbeddings(**place, azure_ad_async_token_provider=later, cache=False)
    asyncio.run(ours.aembed_documents(["a" * 4000] * (MOST_SENT // 4000 + 1)))
    assert set(keys_sent(server)) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("give", "told"),
    [
        (lambda: None, "gave NoneType"),
        (lambda: f"{SECRET}\n", "gave a text that no key can be"),
        (lambda: {}[SECRET], r"failed \(KeyError\)"),
    ],
)
def test_a_function_without_a_key_is_told_of_and_nothing_is_sent(server, give, told):
    ours = made(server, give)
    for call in (lambda: ours.embed_query("a"), lambda: asyncio.run(ours.aembed_query("a"))):
        with pytest.raises(ConfigurationError, match=told) as caught:
            call()
        assert SECRET not in str(caught.value)
    assert list(server.requests) == []


def test_a_key_of_a_function_is_no_more_shown_than_another(server):
    server.script(f"401:message=bad key {SECRET}")
    with pytest.raises(Exception, match="bad key <key>"):
        made(server, lambda: SECRET).embed_query("a")


def test_a_function_is_asked_for_copies_and_for_no_other_server(server):
    ours = made(server, lambda: SECRET)
    assert len(ours.model_copy(update={"dimensions": 8}).embed_query("a")) == 8
    assert len(ours.embed_query("a", dimensions=7)) == 7
    assert keys_sent(server) == [f"Bearer {SECRET}"] * 2
    with pytest.raises(ConfigurationError, match="api_key was given for another server"):
        ours.model_copy(update={"base_url": "https://other.test/v1"})


def test_two_credentials_are_one_too_many():
    own = {"api_key_provider": lambda: SECRET}
    with pytest.raises(ConfigurationError, match="api_key_provider and api_key are two credentials"):
        Embedder("openai:m", api_key="sk-x", provider_options=own)
    with pytest.raises(ConfigurationError, match="header 'Authorization'"):
        Embedder("openai:m", provider_options=own | {"default_headers": {"Authorization": "Bearer x"}})
    with pytest.raises(ConfigurationError, match="password in base_url are two credentials"):
        Embedder("openai:m", base_url="https://a:b@other.test/v1", provider_options=own)


def test_where_the_original_takes_no_function_ours_says_what_to_write(server):
    with pytest.raises(ConfigurationError, match="azure_ad_token_provider"):
        AzureOpenAIEmbeddings(model="m", azure_endpoint=server.url, api_key=lambda: SECRET)
    with pytest.raises(ConfigurationError, match="api_key"):
        OpenAIEmbedding(api_key=lambda: SECRET)
