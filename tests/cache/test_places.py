"""Which caches are one: embedders over them ask for a text once, also when they ask at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from embedbridge import Embedder
from embedbridge.cache import MemoryCache


def link(folder):
    folder.mkdir()
    other = folder.with_name("link")
    other.symlink_to(folder)
    return other


MEMORY = MemoryCache()
ONE = {
    "a directory": lambda folder, _: (folder, str(folder)),
    "a directory and a link to it": lambda folder, _: (folder, link(folder)),
    "an object": lambda _, __: (MEMORY, MEMORY),
    "a server": lambda _, server: (server.url, server.url),
    "a server by the names of two": lambda _, server: (server.url, server.url.replace("valkey://", "redis://")),
    "tiers": lambda folder, server: (["memory", folder, server.url], ["memory", folder, server.url]),
    "tiers and the farthest of them": lambda folder, _: (["memory", folder], folder),
}
APART = {
    "two directories": lambda folder, _: (folder, folder / "other"),
    "two memories": lambda _, __: ("memory", "memory"),
    "two databases": lambda _, server: (server.url, server.url[:-1] + "1"),
    "no cache": lambda _, __: (False, False),
}


def asked_at_once(pair, tmp_path, valkey):
    """How many texts were sent when two embedders wanted the same five."""
    embedders = [
        Embedder("fake:8", cache=cache, provider_options={"latency": 0.5}) for cache in pair(tmp_path / "c", valkey)
    ]
    texts = [f"text {number}" for number in range(5)]
    with ThreadPoolExecutor() as pool:
        reports = [result.report for result in pool.map(lambda embedder: embedder.embed(texts), embedders)]
    for embedder in embedders:
        embedder.close()
    return sum(report.misses for report in reports)


@pytest.mark.parametrize("pair", ONE.values(), ids=ONE)
def test_embedders_over_one_cache_send_a_text_once(pair, tmp_path, valkey):
    assert asked_at_once(pair, tmp_path, valkey) == 5


@pytest.mark.parametrize("pair", APART.values(), ids=APART)
def test_embedders_over_two_caches_share_nothing(pair, tmp_path, valkey):
    assert asked_at_once(pair, tmp_path, valkey) == 10
