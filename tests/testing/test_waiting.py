"""`no_waiting` removes the pauses that no server asks for, and only those, and only within its block."""

from __future__ import annotations

import pytest

from embedbridge import Embedder, ProviderUnavailableError, events
from embedbridge.testing import FaultServer, no_waiting


@pytest.fixture
def failing():
    """A server that fails, and a function that makes an embedder for it, with the list of its pauses."""
    with FaultServer() as server:

        def embedder():
            pauses = []
            told = [lambda event: pauses.append(event.pause) if isinstance(event, events.RequestRetried) else None]
            url, options = f"{server.url}/v1", {"cache": False, "observers": told, "max_retries": 4}
            return Embedder("openai:m", base_url=url, api_key="sk-test", **options), pauses

        yield server, embedder


def test_every_embedder_tries_again_at_once_also_one_that_was_used_before(caller, failing):
    server, make = failing
    embedder, pauses = make()
    caller.embed_documents(embedder, ["before"])
    server.script(*["503"] * 9)
    with no_waiting(), pytest.raises(ProviderUnavailableError):
        caller.embed_documents(embedder, ["a"])
    assert len(pauses) == 4
    assert max(pauses) <= 0.001


def test_what_a_server_asks_for_is_waited_for_all_the_same(caller, failing):
    server, make = failing
    embedder, pauses = make()
    server.script("429:retry-after-ms=120")
    with no_waiting():
        caller.embed_documents(embedder, ["a"])
    assert pauses == [0.12]


def test_pauses_are_as_before_when_the_block_ends_also_by_an_error(caller, failing):
    server, make = failing
    with pytest.raises(ZeroDivisionError), no_waiting():
        1 / 0  # noqa: B018
    embedder, pauses = make()
    server.script("503")
    caller.embed_documents(embedder, ["a"])
    assert pauses[0] >= 0.25
