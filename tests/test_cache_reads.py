"""The cache is read once for a text that it does not have, and again only where another call has had the text."""

from __future__ import annotations

import threading
import time

from embedbridge import Embedder
from embedbridge.testing import Latency
from support.own_cache import Own
from support.waiting import until


class Slow(Own):
    """Answers what it had when it was asked, but late: once something has been stored, where a request is under way."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def get_many(self, keys):
        found = super().get_many(keys)
        while self.server.stats.calls and not self.kept:
            time.sleep(0.01)
        time.sleep(0.05)
        return found


def make(server, cache):
    server.latency = Latency(0.5)
    options = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": cache}
    return Embedder("openai:text-embedding-3-small", **options)


def embed_beside_another(caller, server, cache, other, texts):
    """The report of a call that looks its texts up while another call's request is under way, and goes on after it."""
    embedder = make(server, cache)
    thread = threading.Thread(target=embedder.embed, args=([other],))
    thread.start()
    until(lambda: server.stats.calls)
    report = caller.embed(embedder, texts).report
    thread.join()
    return report


def test_a_text_that_is_missed_is_looked_up_once_although_others_store_meanwhile(caller, server):
    """Under its key, and under that of former releases."""
    cache = Slow(server)
    assert embed_beside_another(caller, server, cache, "of another call", ["a", "b"]).misses == 2
    assert server.stats.billed == {"of another call": 1, "a": 1, "b": 1}
    assert (len(cache.read), set(cache.read.values())) == (6, {1})


def test_a_text_that_another_call_has_stored_meanwhile_is_looked_up_again(caller, server):
    cache = Slow(server)
    assert embed_beside_another(caller, server, cache, "a", ["a", "b"]).misses == 1
    assert server.stats.billed == {"a": 1, "b": 1}
    assert sorted(cache.read.values()) == [1, 1, 2, 3]  # that of "a" by both calls, and once it was stored


def test_a_text_that_another_call_had_and_gave_up_is_looked_up_again(caller, server):
    cache = Own()
    server.script("400", "ok")
    first, second = caller.at_once(make(server, cache), [["the same"], ["the same"]])
    assert {type(first).__name__, type(second).__name__} == {"InvalidInputError", "EmbeddingResult"}
    assert max(cache.read.values()) == 3  # once by the first call, twice by the second
    assert server.stats.billed == {"the same": 1}
