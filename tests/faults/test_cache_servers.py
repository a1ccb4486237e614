"""A Redis that is away, slow, full, closed to us or full of something else: the job goes on, and pays once."""

import contextlib

import pytest

from cache.conftest import Server
from cache.parts import one_warning
from embedbridge.cache import DiskCache, RedisCache, TieredCache
from embedbridge.cache.redis import PREFIX
from support.waiting import until

from . import case
from .apis import OPENAI
from .client import about, corpus

pytestmark = [pytest.mark.one_flow, pytest.mark.parametrize("api", [OPENAI], ids=str)]

PASSWORD = "s3cr3t-pa55w0rd"


@pytest.fixture
def start():
    """Starts a server of the test's own."""
    with contextlib.ExitStack() as servers:

        def start(**config):
            server = Server(**config)
            servers.callback(server.stop)
            return server

        yield start


@contextlib.contextmanager
def down(start):
    server = start()
    server.kill()
    yield server.url


@contextlib.contextmanager
def frozen(start):
    server = start()
    with server.frozen():
        yield server.url


@contextlib.contextmanager
def full(start):
    yield start(maxmemory="1", **{"maxmemory-policy": "noeviction"}).url


@contextlib.contextmanager
def read_only(start):
    leader = start(**{"repl-diskless-sync-delay": "0"})
    replica = start(replicaof=leader.address.split("/")[0].replace(":", " "))
    with contextlib.closing(replica.client()) as client:
        until(lambda: client.info("replication")["master_link_status"] == "up")
    yield replica.url


@contextlib.contextmanager
def wrong_password(start):
    yield f"redis://:wrong@{start(password=PASSWORD).address}"


@case(53)
@pytest.mark.parametrize("trouble", [down, frozen, full, read_only, wrong_password])
def test_a_server_in_trouble_costs_one_warning_and_the_cache_on_disk_is_used(client, server, start, trouble):
    """Row 53: it is asked three times at most, of a quarter of a second each, whatever the number of batches."""
    with trouble(start) as url:
        cache = TieredCache([DiskCache(client.folder), RedisCache(url)])
        with one_warning():
            for _ in range(2):
                client.embed(corpus(100, "trouble"), cache=cache, batch_size=5, concurrency=1)
            assert server.stats.billed == client.once(corpus(100, "trouble"))
            assert cache.alarm.faults <= 3
            cache.close()
    assert client.pays_for(corpus(100, "trouble")) == 0


@pytest.fixture
def cache(valkey):
    """A sound server, to which a machine that does other things too leaves time."""
    with contextlib.closing(RedisCache(valkey.url, timeout=30)) as cache:
        yield cache


@case(53, 54)
def test_keys_of_another_type_are_misses_and_are_replaced(client, cache):
    """Row 53, row 54."""
    assert client.pays_for(corpus(20), cache=cache) == 20
    for key in cache._connected().keys(PREFIX + b"*")[:5]:
        cache._connected().delete(key)
        cache._connected().lpush(key, "a list")
    assert client.pays_for(corpus(20), cache=cache) == 5
    assert client.pays_for(corpus(20), cache=cache) == 0


@case(54)
def test_values_that_are_foreign_short_or_anothers_are_paid_for_again(client, cache):
    """Row 54: a vector under another's key is whole in itself, and wrong there."""
    client.embed(corpus(20), cache=cache)
    keys = cache._connected().keys(PREFIX + b"*")
    good = cache._connected().get(keys[-1])
    for value in (b"", b"short", b'{"embedding": [0.1, 0.2]}', bytes(len(good)), good[:-8], good):
        with about(value[:40]):
            cache._connected().set(keys[0], value)
            assert client.pays_for(corpus(20), cache=cache) == 1
