"""RedisCache against a real Valkey: sound, slow, dead, full, read-only and closed to us."""

import contextlib
import copy
import pickle
import socket
import threading
import time

import numpy as np
import pytest

from cache.parts import hits_of, make_items, make_keys, make_vectors, one_warning, truth
from embedbridge.cache import CacheError, GuardedStore, RedisCache, TieredCache, open_cache
from embedbridge.cache.redis import PREFIX
from support.waiting import until

SECRET = "s3cr3t-pa55w0rd"


@pytest.fixture
def cache(valkey):
    cache = RedisCache(valkey.url)
    yield cache
    with contextlib.suppress(CacheError):
        cache.close()


THREE_TIMEOUTS = 3  # of a quarter of a second each: a job is held up for less than a second


def job(store, batches=20, size=10):
    """Read and write as an embedder does; returns how many vectors it found again."""
    found = 0
    for start in range(0, batches * size, size):
        keys = make_keys(size, start)
        store.read(keys, 16)
        store.write(keys, make_vectors(size, start=start), [1] * size, [1] * size)
        hits = store.read(keys, 16)
        assert np.array_equal(hits.vectors, make_vectors(size, start=start)[hits.rows]) or not len(hits.rows)
        found += len(hits.rows)
    store.close()
    return found


def test_what_was_stored_is_found_also_by_another_client(cache, valkey):
    cache.put_many(make_items(300), label="a:b")
    with contextlib.closing(RedisCache(valkey.url)) as other:
        assert hits_of(other, make_keys(301)) == truth(300)
        assert other.stats().entries == 300
        assert (other.stats().hits, other.stats().misses) == (300, 1)


def test_every_key_carries_the_packages_name_and_the_schemas_number(cache, valkey):
    cache.put_many(make_items(2))
    with contextlib.closing(valkey.client()) as client:
        assert sorted(client.keys()) == sorted(b"embedbridge:1:" + key for key in make_keys(2))


def test_clear_leaves_other_peoples_keys_alone(cache, valkey):
    cache.put_many(make_items(2500))
    with contextlib.closing(valkey.client()) as client:
        client.set("theirs", "1")
        cache.clear()
        assert client.keys() == [b"theirs"]


def test_entries_end_after_their_time_to_live(valkey):
    with contextlib.closing(RedisCache(valkey.url, ttl=0.2)) as cache:
        cache.put_many(make_items(1))
        assert cache.get_many(make_keys(1))
        time.sleep(0.3)
        assert not cache.get_many(make_keys(1))


def test_a_key_of_another_type_is_a_miss_and_is_replaced(cache, valkey):
    with contextlib.closing(valkey.client()) as client:
        client.lpush(PREFIX + make_keys(1)[0], "list")
    assert not cache.get_many(make_keys(1))
    cache.put_many(make_items(1))
    assert hits_of(cache, make_keys(1)) == truth(1)


@pytest.mark.parametrize("value", [b"", b"short", b'{"embedding": [0.1, 0.2]}', b"\0" * 88])
def test_a_value_that_is_not_ours_is_a_miss(cache, valkey, value):
    keys = make_keys(2)
    cache.put_many(make_items(2))
    with contextlib.closing(valkey.client()) as client:
        client.set(PREFIX + keys[0], value)
    assert GuardedStore(cache).read(keys).rows.tolist() == [1]


def test_a_poisoned_value_is_a_miss(cache, valkey):
    """Another's vector under this key: whole in itself, and wrong here."""
    keys, items = make_keys(2), make_items(2)
    with contextlib.closing(valkey.client()) as client:
        client.set(PREFIX + keys[0], items[keys[1]])
    assert not len(GuardedStore(cache).read(keys[:1]).rows)


def test_a_frozen_server_costs_less_than_a_second_a_job_and_one_warning(valkey):
    def connections():
        with contextlib.closing(valkey.client()) as client:
            return client.info("stats")["total_connections_received"]

    store, before = GuardedStore(RedisCache(valkey.url)), connections()
    with valkey.frozen(), one_warning("Timeout"):
        job(store)
    assert store.faults <= THREE_TIMEOUTS
    assert connections() - before - 1 <= store.faults, "nothing was tried twice"


def test_a_server_that_freezes_in_the_middle_costs_less_than_a_second(valkey):
    store = GuardedStore(RedisCache(valkey.url))
    job(store)
    with valkey.frozen(), one_warning():
        job(store)
    assert store.faults <= THREE_TIMEOUTS


def test_a_dead_server_costs_next_to_nothing_and_one_warning(start_valkey):
    server = start_valkey()
    store = GuardedStore(RedisCache(server.url))
    job(store)
    server.kill()
    with one_warning("Connection"):
        job(store)
    assert store.faults <= THREE_TIMEOUTS


def test_a_full_server_serves_what_it_has(start_valkey):
    server = start_valkey(maxmemory="3mb", **{"maxmemory-policy": "noeviction"})
    store = GuardedStore(RedisCache(server.url))
    with one_warning("OutOfMemory|OOM"):
        found = job(store, batches=10, size=2000)
    assert found > 2000
    assert store.read(make_keys(100)).rows.tolist() == list(range(100))


def test_a_read_only_replica_serves_what_it_has(start_valkey):
    leader = start_valkey(**{"repl-diskless-sync-delay": "0"})
    with contextlib.closing(RedisCache(leader.url)) as cache:
        cache.put_many(make_items(10))
    replica = start_valkey(replicaof=leader.address.split("/")[0].replace(":", " "))
    with contextlib.closing(RedisCache(replica.url)) as cache:
        until(lambda: len(cache.get_many(make_keys(10))) == 10)
        store = GuardedStore(cache)
        with one_warning("ReadOnly"):
            store.write(make_keys(5, 10), make_vectors(5, start=10), [1] * 5, [1] * 5)
        assert len(store.read(make_keys(10)).rows) == 10


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_one_warning_without_the_password(start_valkey, password):
    server = start_valkey(password=SECRET)
    url = f"redis://:{password}@{server.address}" if password else f"redis://{server.address}"
    store = GuardedStore(RedisCache(url))
    with one_warning("Authentication"):
        job(store)
    assert store.faults <= THREE_TIMEOUTS
    assert SECRET not in store.alarm.last
    assert "wrong" not in store.alarm.last.replace("WRONGPASS", "")


@pytest.mark.parametrize("url", ["redis://:{}@{}", "redis://default:{}@{}", "redis://{1}?password={0}"])
def test_the_password_opens_the_server_and_is_shown_nowhere(start_valkey, url):
    server = start_valkey(password=SECRET)
    with contextlib.closing(RedisCache(url.format(SECRET, server.address))) as cache:
        cache.put_many(make_items(3))
        assert hits_of(cache, make_keys(3)) == truth(3)
        shown = [
            repr(cache),
            str(cache),
            f"{cache}",
            repr(TieredCache([cache])),
            cache.url,
            str(pickle.dumps(cache)),
            str(vars(cache)),
        ]
        assert not [text for text in shown if SECRET in text]
        assert hits_of(copy.deepcopy(cache), make_keys(3)) == truth(3)
        server.kill()
        with pytest.raises(CacheError) as caught:
            cache.get_many(make_keys(3))
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__


def test_the_password_can_come_from_the_environment_also_for_a_pickled_cache(start_valkey, monkeypatch):
    server = start_valkey(password=SECRET)
    pickled = pickle.dumps(RedisCache(f"redis://:{SECRET}@{server.address}", ttl=60))
    monkeypatch.setenv("EMBEDBRIDGE_REDIS_PASSWORD", SECRET)
    with contextlib.closing(pickle.loads(pickled)) as cache:  # noqa: S301 - our own bytes
        cache.put_many(make_items(1))
        assert cache.ttl == 60
        assert hits_of(cache, make_keys(1)) == truth(1)


def test_a_password_with_special_characters(start_valkey):
    from urllib.parse import quote

    server = start_valkey(password="p@ss:w/rd%41")  # noqa: S106
    with contextlib.closing(RedisCache(f"redis://:{quote('p@ss:w/rd%41', safe='')}@{server.address}")) as cache:
        cache.put_many(make_items(1))
        assert hits_of(cache, make_keys(1)) == truth(1)


def test_local_work_goes_on_while_the_server_is_frozen(valkey, tmp_path):
    store = GuardedStore(open_cache(["memory", tmp_path, valkey.url]))
    with valkey.frozen(), one_warning():
        assert job(store) == 200
    assert store.faults <= THREE_TIMEOUTS
    assert hits_of(open_cache(tmp_path), make_keys(200)) == truth(200)


def test_what_could_not_be_written_is_written_once_the_server_is_back(valkey):
    store = GuardedStore(RedisCache(valkey.url))
    with valkey.frozen(), one_warning():
        store.write(make_keys(10), make_vectors(10), [1] * 10, [1] * 10)
        assert len(store.read(make_keys(10)).rows) == 10, "from memory"
    store.close()
    with contextlib.closing(RedisCache(valkey.url)) as cache:
        assert hits_of(cache, make_keys(10)) == truth(10)


def test_a_new_connection_is_made_after_the_server_was_restarted(start_valkey):
    first = start_valkey()
    port = first.address.split(":")[1].split("/")[0]
    with contextlib.closing(RedisCache(first.url)) as cache:
        cache.put_many(make_items(1))
        first.kill()
        with pytest.raises(CacheError):
            cache.get_many(make_keys(1))
        start_valkey(port=int(port))
        cache.put_many(make_items(1))
        assert hits_of(cache, make_keys(1)) == truth(1)


@contextlib.contextmanager
def slowed(server, pause):
    """A way to the server on which answers come one byte at a time, `pause` seconds apart."""
    host, port = server.address.split("/")[0].split(":")
    ways = []

    def carry(source, target, size):
        with contextlib.suppress(OSError):
            while data := source.recv(size):
                target.sendall(data)
                if size == 1:
                    time.sleep(pause)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                onward = socket.create_connection((host, int(port)))
                ways.extend([client, onward])
                for source, target, size in ((client, onward, 2**16), (onward, client, 1)):
                    threads.append(threading.Thread(target=carry, args=(source, target, size)))
                    threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for way in ways:
                with contextlib.suppress(OSError):
                    way.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for way in ways:
                way.close()


def test_a_server_that_drips_its_answers_is_given_up(cache, valkey):
    """No piece is late, and the whole answer would take an hour."""
    cache.put_many(make_items(100))
    with slowed(valkey, 0.02) as url:
        store = GuardedStore(RedisCache(url, timeout=0.1))
        begun = time.monotonic()
        with one_warning("Timeout"):
            job(store, size=100)
        assert store.faults <= THREE_TIMEOUTS
        assert time.monotonic() - begun < 10


def test_a_connection_that_lay_idle_longer_than_an_answer_may_take_is_used_again(start_valkey):
    server = start_valkey()  # of its own: to the shared one, what another test could not write is written later
    with (
        contextlib.closing(RedisCache(server.url, timeout=0.05)) as cache,
        contextlib.closing(server.client()) as client,
    ):
        cache.put_many(make_items(1))
        before = client.info("stats")["total_connections_received"]
        time.sleep(0.5)
        assert hits_of(cache, make_keys(1)) == truth(1)
        assert client.info("stats")["total_connections_received"] == before


def test_a_fault_shows_neither_a_key_nor_a_vector(start_valkey):
    server = start_valkey(maxmemory="3mb", **{"maxmemory-policy": "noeviction"})
    with contextlib.closing(RedisCache(server.url)) as cache, pytest.raises(CacheError) as caught:
        cache.put_many(make_items(20_000))
    assert "OutOfMemory" in str(caught.value)
    assert "SET" not in str(caught.value)
    assert str(caught.value).isprintable()
