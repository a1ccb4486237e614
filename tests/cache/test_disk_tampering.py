"""Somebody has changed the file: nothing of theirs runs, is read, is deleted or is obeyed (CVE-2025-69872)."""

import contextlib
import copy
import pickle
import sqlite3

import pytest

from cache.parts import database, hits_of, make_items, make_keys, one_warning, tamper, truth
from embedbridge.cache import CacheError, DiskCache
from embedbridge.cache._bytes_disk import BytesDisk


class Bomb:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace) -> None:
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


@pytest.fixture
def cache(tmp_path):
    """A closed cache of five entries."""
    cache = DiskCache(tmp_path / "c", size_limit=10**7, ttl=10**6)
    cache.put_many(make_items(5), label="a:b")
    cache.close()
    return cache


@pytest.fixture
def bomb(tmp_path):
    """A pickle, and the file that appears when it is opened."""
    trace = tmp_path / "trace"
    pickled = pickle.dumps(Bomb(trace))
    pickle.loads(pickled).close()  # noqa: S301 - it does work
    assert trace.exists()
    trace.unlink()
    return pickled, trace


def use(cache):
    """Everything that touches rows."""
    keys = make_keys(8)
    cache.get_many(keys)
    list(cache.rows())
    cache.stats()
    cache.put_many(make_items(8))
    cache.delete(keys[:1])
    cache.prune()
    found = hits_of(cache, keys)
    cache.clear()
    cache.close()
    return found


def test_a_planted_pickle_in_a_value_does_not_run(cache, bomb):
    pickled, trace = bomb
    tamper(cache.directory, "UPDATE Cache SET mode = 4, value = ? WHERE rowid < 3", values=(pickled,))
    with one_warning("not bytes"):
        found = hits_of(cache, make_keys(5))
        use(cache)
    assert found == {key: vector for key, vector in truth(5).items() if key not in make_keys(2)}
    assert not trace.exists()


def test_a_planted_pickle_in_a_key_does_not_run(cache, bomb):
    pickled, trace = bomb
    tamper(cache.directory, "UPDATE Cache SET raw = 0, key = ? WHERE rowid = 1", values=(pickled,))
    assert len(cache.get_many(make_keys(5))) == 4
    use(cache)
    assert not trace.exists()


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
def test_a_planted_file_name_is_neither_read_nor_deleted(cache, tmp_path, mode):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in (str(victim), "../../victim"):
        tamper(cache.directory, "UPDATE Cache SET mode = ?, filename = ?, value = NULL", values=(mode, name))
        cache = copy.copy(cache)  # each warns once
        with one_warning("not bytes"):
            assert not cache.get_many(make_keys(5))
        assert use(cache) == {key: vector for key, vector in truth(8).items() if key != make_keys(1)[0]}
        assert victim.read_bytes() == b"precious"
        cache.put_many(make_items(5))
        cache.close()


@pytest.mark.parametrize("value", ["text", None, 3, 2.5])
def test_a_value_or_key_that_is_not_bytes_is_a_miss(cache, value):
    tamper(cache.directory, "UPDATE Cache SET value = ? WHERE rowid = 1", values=(value,))
    tamper(cache.directory, "UPDATE Cache SET key = ? WHERE rowid = 2", values=(value,))
    with one_warning("not bytes"):
        assert set(cache.get_many(make_keys(5))) == set(make_keys(5)[2:])
        assert len(use(cache)) == 7


def test_tampered_settings_are_not_obeyed(cache):
    settings = {
        "disk_min_file_size": "x",
        "disk_bogus": 1,
        "_directory": "/nowhere",
        "get": 1,
        "_disk": 1,
        "_sql": 1,
        "eviction_policy": "none",
        "cull_limit": 1000,
        "size_limit": 1,
        "statistics": 1,
        "sqlite_synchronous": 0,
        "sqlite_journal_mode": "off",
        "sqlite_query_only": 1,
        "sqlite_mmap_size": 2**40,
        "sqlite_user_version = 7; --": 1,
    }
    for key, value in settings.items():
        tamper(cache.directory, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", values=(key, value))
    assert hits_of(cache, make_keys(5)) == truth(5)
    expected = {"synchronous": 1, "mmap_size": 0, "journal_mode": "wal", "query_only": 0, "user_version": 1}
    with cache._database.writing() as connection:
        assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in expected} == expected
    assert len(use(cache)) == 7


def test_a_planted_trigger_costs_misses_and_nothing_else(cache):
    tamper(cache.directory, "CREATE TRIGGER thief AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END")
    cache.put_many(make_items(3, start=5))
    assert not hits_of(cache, make_keys(8))


def test_one_vector_under_anothers_key_is_a_miss(cache):
    tamper(cache.directory, "UPDATE Cache SET value = (SELECT value FROM Cache WHERE rowid = 1)")
    assert hits_of(cache, make_keys(5)) == truth(1)


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "c" / "entries").mkdir(parents=True)
    database(tmp_path / "c").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        DiskCache(tmp_path / "c").put_many(make_items(1))
    assert victim.read_bytes() == b""


class TestDiskcacheItself:
    """Even diskcache's own methods find nothing to run, read or delete behind `BytesDisk`."""

    @pytest.fixture
    def plain(self, cache):
        import diskcache

        with diskcache.Cache(str(cache.directory / "entries"), disk=BytesDisk) as plain:
            yield plain

    def test_get_refuses_a_pickle(self, cache, bomb, plain):
        tamper(cache.directory, "UPDATE Cache SET mode = 4, value = ?", values=(bomb[0],))
        with pytest.raises(CacheError, match="not bytes"):
            plain.get(make_keys(1)[0])
        assert not bomb[1].exists()

    def test_iteration_refuses_a_pickle(self, cache, bomb, plain):
        tamper(cache.directory, "UPDATE Cache SET raw = 0, key = ? WHERE rowid = 1", values=(bomb[0],))
        with pytest.raises(CacheError, match="not bytes"):
            list(plain)
        assert not bomb[1].exists()

    def test_deleting_a_row_leaves_the_file_it_names(self, cache, tmp_path, plain):
        (tmp_path / "victim").write_bytes(b"precious")
        tamper(cache.directory, "UPDATE Cache SET filename = ?", values=(str(tmp_path / "victim"),))
        plain.delete(make_keys(1)[0])
        plain[make_keys(2)[1]] = b"overwritten"
        plain.clear()
        assert (tmp_path / "victim").read_bytes() == b"precious"

    @pytest.mark.parametrize("pair", [("text", b"v"), (b"k", "text"), (b"k", [1]), (1, b"v")])
    def test_only_bytes_are_stored(self, plain, pair):
        with pytest.raises(TypeError, match="bytes"):
            plain[pair[0]] = pair[1]


def test_the_file_holds_rows_of_bytes_only(cache):
    with contextlib.closing(sqlite3.connect(database(cache.directory))) as connection:
        kinds = connection.execute(
            "SELECT DISTINCT typeof(key), typeof(value), raw, mode, filename FROM Cache"
        ).fetchall()
    assert kinds == [("blob", "blob", 1, 1, None)]


def test_lengths_that_are_made_up_do_not_stop_the_statistics(cache):
    tamper(cache.directory, "UPDATE Cache SET size = ?", values=[2**63 - 1])
    assert cache.stats().entries == 5
