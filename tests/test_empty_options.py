"""An empty string, as of an environment variable that is not set, is no path, no address and no option."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder
from embedbridge.cache import DiskCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.options import EmbedderOptions
from embedbridge.providers import provider_class
from support.cases import each

URL = "http://127.0.0.1:9/v1"
MODELS = {
    "openai": {"base_url": URL, "api_key": "sk-x"},
    "azure": {"base_url": URL, "api_key": "sk-x"},
    "voyage": {"api_key": "sk-x"},
    "cohere": {"api_key": "sk-x"},
    "ollama": {},
    "nvidia": {"api_key": "sk-x"},
    "jina": {"api_key": "sk-x"},
    "tei": {},
    "sentence-transformers": {},
    "fake": {},
}
SAME_AS_UNSET = {"organization", "project", "api_version"}
"""Of what only says for whom a request is or in which version, as the SDK's variables, of which empty ones are none."""


@pytest.fixture(autouse=True)
def _no_version_in_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")


def made(provider, **options):
    return Embedder(f"{provider}:some-model", **{"cache": False, **MODELS[provider], **options})


@each("empty", ["", "  ", SecretStr("")])
@each("provider", MODELS)
def test_w16_no_option_of_a_provider_takes_an_empty_string_for_a_value(provider, empty):
    """W16: whatever the provider declares; of a few it is the same as leaving them out."""
    names = set(provider_class(provider).options_type.model_fields)
    for name in names - SAME_AS_UNSET:
        with pytest.raises(ConfigurationError, match=f"{name}: it is an empty string.* leave it out"):
            made(provider, provider_options={name: empty})


@pytest.mark.parametrize("name", sorted(SAME_AS_UNSET))
def test_w16_an_empty_organization_project_or_version_is_the_environments(name):
    """W16: as of OpenAI's SDK, whose variables are then looked at."""
    assert made("azure", provider_options={name: ""}).space == made("azure", provider_options={name: None}).space


@pytest.mark.parametrize("empty", ["", "  "])
def test_w16_no_option_of_all_providers_takes_an_empty_string_for_a_value(empty):
    """W16: but for a prefix that is none; of a key only the provider knows whose it would be instead."""
    taken = set()
    for name in EmbedderOptions.model_fields:
        try:
            EmbedderOptions(**{name: empty})
        except ConfigurationError as error:
            assert str(error).startswith(f"{name}: ")  # noqa: PT017 - many are tried
        else:
            taken.add(name)
    assert taken == {"api_key", "query_prefix", "document_prefix", "rate_limiter"}
    with pytest.raises(ConfigurationError, match="rate_limiter"):  # an object, which an embedder looks at
        made("openai", rate_limiter=empty)
    for name in ("base_url", "cache", "reduction"):
        with pytest.raises(ConfigurationError, match=f"{name}: it is an empty string"):
            made("openai", **{name: empty})


@pytest.mark.parametrize("empty", ["", "  ", SecretStr("\n")], ids=["nothing", "blanks", "secret"])
@pytest.mark.parametrize("provider", MODELS)
def test_w16_an_empty_key_is_not_silently_the_environments(provider, empty, monkeypatch):
    """For every provider, and at every door."""
    variables = provider_class(provider).key_variables
    for variable in variables:
        monkeypatch.setenv(variable, "sk-of-the-environment")
    with pytest.raises(ConfigurationError, match=r"^api_key: it is an empty string") as caught:
        made(provider, api_key=empty)
    assert all(variable in str(caught.value) for variable in variables)
    with pytest.raises(ConfigurationError, match=r"^api_key: it is an empty string"):
        BridgeEmbeddings(model=f"{provider}:some-model", **{"cache": False, **MODELS[provider], "api_key": empty})
    kept = EmbedderOptions(model=f"{provider}:some-model", **MODELS[provider])
    with pytest.raises(ConfigurationError, match=r"^api_key: it is an empty string"):
        Embedder.from_options(kept.model_copy(update={"api_key": empty}))


@pytest.mark.parametrize("cert", ["", ("", None), ("a.pem", ""), ["", "b.pem"], Path("missing.pem")])
def test_w16_a_certificate_is_named(cert):
    """W16: also its key."""
    with pytest.raises(ConfigurationError, match="cert: "):
        made("openai", provider_options={"cert": cert})


@pytest.mark.parametrize("verify", ["", ".", Path(), "./"])
def test_w16_certificates_that_lie_about_in_the_working_directory_are_not_trusted(verify, tmp_path, monkeypatch):
    """W16: `Path("")` is the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="verify: "):
        made("openai", provider_options={"verify": verify})


@pytest.mark.parametrize("cache", ["", " ", [""], ["memory", ""], ("memory", ["", "memory"])])
def test_w16_no_cache_is_named_by_nothing(cache):
    """W16: not within a list either."""
    with pytest.raises(ConfigurationError, match="cache: it is an empty string"):
        made("openai", cache=cache)
    with pytest.raises(ConfigurationError, match="empty string"):
        DiskCache("")
