"""Azure's deployments of OpenAI's models: addresses, versions, and keys or tokens."""

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder
from embedbridge._core.types import Limits
from embedbridge.providers.azure import AzureProvider
from embedbridge.providers.base import ProviderConfig

KEY = "azure-not-a-real-key"
TOKEN = "entra-not-a-real-token"
VERSION = "2024-10-21"
RESOURCE = "https://name.openai.azure.com"
SMALL = "text-embedding-3-small"


def azure(server, model=SMALL, key=KEY, provider="azure", **options):
    own = {"azure_endpoint": server.url, "api_version": VERSION} | options
    return Embedder(f"{provider}:{model}", api_key=key, cache=False, provider_options=own)


def provider(model=SMALL, key=KEY, url=None, **options):
    return AzureProvider(
        ProviderConfig(
            model, api_key=SecretStr(key) if key else None, base_url=url, options={"api_version": VERSION} | options
        )
    )


@pytest.mark.parametrize("name", ["azure", "openai"])
def test_a_request_names_deployment_and_version_and_bears_the_key(caller, server, name):
    vectors = caller.embed_documents(azure(server, provider=name), ["a", "b"])
    (request,) = server.requests
    assert request.path == f"/openai/deployments/{SMALL}/embeddings"
    assert request.query == {"api-version": VERSION}
    assert request.headers["api-key"] == KEY
    np.testing.assert_array_equal(vectors, server.vectors(["a", "b"]))


def test_a_deployment_may_have_a_name_of_its_own(caller, server):
    caller.embed_documents(azure(server, azure_deployment="mine"), ["a"])
    assert server.requests[0].path == "/openai/deployments/mine/embeddings"
    apart = provider(azure_endpoint=RESOURCE, azure_deployment="mine").identity
    assert apart.details == (f'api-version="{VERSION}"', 'deployment="mine"')


def test_a_token_takes_the_keys_place(caller, server):
    caller.embed_documents(azure(server, key=None, azure_ad_token=TOKEN), ["a"])
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "api-key" not in server.requests[0].headers


def test_a_function_is_asked_for_a_token_each_time(caller, server):
    tokens = iter(["first-token", "second-token"])
    embedder = azure(server, key=None, azure_ad_token_provider=lambda: next(tokens))
    caller.embed_documents(embedder, ["a"])
    caller.embed_documents(embedder, ["b"])
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer first-token",
        "Bearer second-token",
    ]


def test_a_token_is_no_more_shown_than_a_key(caller, server):
    server.script(f"401:message=bad token {TOKEN}")
    with pytest.raises(Exception, match="bad token <key>"):
        caller.embed_documents(azure(server, key=None, azure_ad_token_provider=lambda: TOKEN), ["a"])


def test_everything_can_come_from_the_environment(caller, server, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    caller.embed_documents(Embedder(f"azure:{SMALL}", cache=False), ["a"])
    (request,) = server.requests
    assert (request.headers["api-key"], request.query["api-version"]) == ("key-of-the-environment", "2025-01-01")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "token-of-the-environment")
    caller.embed_documents(Embedder(f"azure:{SMALL}", cache=False), ["a"])
    assert server.requests[1].headers["authorization"] == "Bearer token-of-the-environment"


def test_what_is_missing_is_named_at_construction():
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        provider()
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_API_KEY"):
        provider(azure_endpoint=RESOURCE, key=None)
    with pytest.raises(ConfigurationError, match="OPENAI_API_VERSION"):
        provider(azure_endpoint=RESOURCE, api_version=None)


def test_two_credentials_are_one_too_many():
    with pytest.raises(ConfigurationError, match="api_key, azure_ad_token, not several") as caught:
        provider(azure_endpoint=RESOURCE, azure_ad_token=TOKEN)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("address", [RESOURCE, f"{RESOURCE}/", f"{RESOURCE}/openai", f"{RESOURCE}/openai/"])
def test_the_resources_address_is_taken_in_any_of_its_forms(address):
    assert provider(azure_endpoint=address).identity.endpoint == RESOURCE
    assert provider(url=address).identity.endpoint == RESOURCE


def test_an_address_of_something_else_is_refused():
    with pytest.raises(ConfigurationError, match="the resource's address alone"):
        provider(azure_endpoint=f"{RESOURCE}/openai/deployments/x/embeddings?api-version=1")


def test_every_deployment_has_the_limits_of_openais_models():
    assert provider("anything", azure_endpoint=RESOURCE).limits == Limits(items=2048, tokens=300_000, text_tokens=8191)


def test_narrower_vectors_are_not_cut_from_another_deployments(caller, server, tmp_path):
    """OpenAI's wide vectors in the cache answer for narrow ones, but only where the same deployment made them."""
    options = {"api_key": KEY, "cache": tmp_path / "cache"}
    for deployment, dimensions in ((None, None), ("mine", 256), (None, 256)):
        own = {"azure_endpoint": server.url, "api_version": VERSION, "azure_deployment": deployment}
        caller.embed(Embedder(f"azure:{SMALL}", dimensions=dimensions, provider_options=own, **options), ["a"])
    assert [request.path.split("/")[3] for request in server.requests] == [SMALL, "mine"]
