"""Where there is no API, no trust, no proxy, or a connection that breaks each time: what is said, and what it costs."""

from __future__ import annotations

import socket

import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InvalidResponseError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from embedbridge._core.retry import as_error
from embedbridge.cache import MemoryCache
from embedbridge.errors import RequestFailed
from embedbridge.providers._refusal import read_refusal
from embedbridge.testing import FaultServer, contains

pytestmark = pytest.mark.usefixtures("_short_pauses")

MODEL = "text-embedding-3-small"
WHERE = {
    "openai": r"check base_url \(an OpenAI-compatible address usually ends in /v1\) and model",
    "azure": "check base_url .*the deployment and api_version",
    "voyage": r"check base_url \(it ends in /v1\) and model",
    "cohere": r"check base_url \(the host alone, without /v1 or /v2\) and model",
    "ollama": "check base_url",
    "nvidia": r"check base_url \(it ends in /v1\) and model",
    "jina": r"check base_url \(it ends in /v1\) and model",
    "tei": r"check base_url \(the server's own address, without /v1 or /embed\)",
}
PATHS = {"openai": "/v1", "voyage": "/voyage/v1", "nvidia": "/nvidia/v1", "jina": "/jina/v1", "tei": "/tei"}
MODELS = {"jina": "jina-embeddings-v3"}
"""Of a provider that warns of models that it does not know."""
TEXTS = [f"text {at:03} here" for at in range(8)]


def open_embedder(server, provider="openai", model=MODEL, **options):
    usual = {
        "base_url": server.url + PATHS.get(provider, ""),
        "api_key": "sk-test-0123456789",
        "cache": MemoryCache(),
        "max_retries": 2,
    }
    own = {"api_version": "2024-10-21"} if provider == "azure" else {}
    own |= options.pop("provider_options", {})
    return Embedder(f"{provider}:{model}", **usual | options, provider_options=own)


@pytest.mark.one_flow
@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("provider", WHERE)
def test_where_there_is_no_api_it_is_said_what_to_look_at(caller, server, provider, status):
    server.on(lambda _: True, f"{status}:message=no")
    with pytest.raises(ConfigurationError, match=WHERE[provider]):
        caller.embed(open_embedder(server, provider, MODELS.get(provider, MODEL)), TEXTS)
    assert server.stats.calls == 1


def test_a_page_for_a_browser_is_told_as_one_of_another_address(caller, server):
    server.on(lambda _: True, "html:status=200")
    with pytest.raises(InvalidResponseError, match=WHERE["openai"]):
        caller.embed(open_embedder(server), TEXTS)
    assert server.stats.calls == 2


def test_a_certificate_of_ones_own_is_to_be_named_in_verify(caller):
    with FaultServer(tls=True) as server, pytest.raises(ProviderUnavailableError, match=r"self-signed.*in verify"):
        caller.embed(open_embedder(server), TEXTS)


@pytest.mark.parametrize("provider", ["openai", "ollama"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached_is_not_taken_for_the_server(caller, server, provider, scheme):
    """W16: and its password is not told."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = {"proxy": f"http://ada:hunter2@127.0.0.1:{port}"}
    url = f"{scheme}://127.0.0.1:9/v1"
    with pytest.raises(ProviderUnavailableError, match="the proxy cannot be reached") as caught:
        caller.embed(open_embedder(server, provider, base_url=url, api_key="k1", provider_options=proxy), TEXTS)
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


# Connections that break.


def test_a_text_at_which_the_connection_breaks_each_time_is_found(caller, server):
    """W3: as one at which the server fails."""
    server.on(contains("text 005"), "close")
    with pytest.raises(ProviderUnavailableError) as caught:
        caller.embed(open_embedder(server), TEXTS)
    assert caught.value.failed_indices == (5,)
    assert server.stats.billed == dict.fromkeys([*TEXTS[:5], *TEXTS[6:]], 1)
    assert server.stats.calls <= 9


def test_where_every_connection_breaks_one_search_is_paid_for(caller, server):
    """W3."""
    server.on(lambda _: True, "close")
    with pytest.raises(ProviderUnavailableError):
        caller.embed(open_embedder(server, batch_size=4, concurrency=1), [f"text {at} here" for at in range(64)])
    assert server.stats.calls <= 3 + 3 * 2


# What passes.


@pytest.mark.parametrize("status", [421, 423, 499])
def test_what_is_locked_or_misdirected_once_is_asked_again(caller, server, status):
    server.script(f"{status}")
    assert caller.embed(open_embedder(server), TEXTS).report.retries == 1
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_a_key_that_was_accepted_before_is_tried_once_more(caller, server):
    server.on(contains("text 005"), "401", times=1)
    assert caller.embed(open_embedder(server, batch_size=1, concurrency=1), TEXTS).report.retries == 1
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_a_key_that_was_never_accepted_is_not_tried_again(caller, server):
    server.on(lambda _: True, "401")
    with pytest.raises(AuthenticationError):
        caller.embed(open_embedder(server, batch_size=1, concurrency=1), TEXTS)
    assert server.stats.calls == 1


def test_a_quota_of_the_day_is_told_as_that():
    """W2."""
    violation = {"quotaId": "EmbedContentRequestsPerDayPerUserPerProjectPerModel-FreeTier"}
    details = [{"violations": [violation]}, {"retryDelay": "36s"}]
    told = read_refusal(429, {}, {"error": {"code": 429, "message": "You exceeded your quota", "details": details}})
    assert isinstance(error := as_error(told, "w"), QuotaExceededError)
    assert "the quota of the day is used up" in str(error)
    assert "credit" in str(as_error(RequestFailed("no", status=402), "w"))
