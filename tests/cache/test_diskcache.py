"""The file is diskcache's: it opens ours, and we open its own, and those that earlier releases wrote."""

from __future__ import annotations

import contextlib
import gzip
import re
import sqlite3
import warnings
from pathlib import Path

import diskcache
import pytest

from cache.parts import check_integrity, database, hits_of, make_items, make_keys, one_warning, tamper, truth
from embedbridge.cache import DiskCache, LabelStats
from embedbridge.cache._schema import SETTINGS

BEFORE = gzip.decompress((Path(__file__).parent / "written_before.db.gz").read_bytes())
"""Twenty entries, three hits, and the dimensions of a model, of a release whose files had diskcache's triggers."""
EXTRAS = {("index", "Cache_tag_size"), ("table", "Tally")}


def schema_of(directory: Path, *kinds: str) -> dict[tuple[str, str], str]:
    """Statement by kind and name, as SQLite keeps it, less what does not matter."""
    with contextlib.closing(sqlite3.connect(database(directory))) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(kind, name): re.sub(r"\s*([(),])\s*|\s+", r"\1 ", sql) for kind, name, sql in rows if kind in kinds}


def settings_of(directory: Path) -> dict[str, object]:
    with contextlib.closing(sqlite3.connect(database(directory))) as connection:
        return dict(connection.execute("SELECT key, value FROM Settings"))


def diskcaches_own(directory: Path, items: dict[bytes, bytes]) -> None:
    """A file that diskcache makes where `DiskCache(directory)` has its own."""
    with diskcache.Cache(str(database(directory).parent)) as plain:
        for key, value in items.items():
            plain[key] = value


@pytest.fixture
def written_before(tmp_path: Path) -> Path:
    """The directory of a cache of an earlier release."""
    database(tmp_path).parent.mkdir()
    database(tmp_path).write_bytes(BEFORE)
    return tmp_path


def test_tables_indexes_and_settings_are_those_that_diskcache_makes(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with contextlib.closing(DiskCache(ours)) as cache:
        cache.put_many(make_items(3))
    with diskcache.Cache(str(database(theirs).parent), **SETTINGS):
        pass
    made, expected = schema_of(ours, "table", "index"), schema_of(theirs, "table", "index")
    assert {name: sql for name, sql in made.items() if name not in EXTRAS} == expected
    assert made.keys() - expected.keys() == EXTRAS
    assert settings_of(ours) == settings_of(theirs)
    assert not schema_of(ours, "trigger"), "what only diskcache counts by"
    assert '"' not in "".join(made.values()), "an SQLite built with SQLITE_DQS=0 refuses strings in double quotes"


def test_diskcache_opens_our_file_and_goes_on_with_it(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3), label="fake:16")
    cache.close()
    with diskcache.Cache(str(database(tmp_path).parent)) as plain:
        assert {key: plain[key] for key in plain} == make_items(3)
        assert (plain.cull_limit, plain.statistics, len(plain)) == (0, 0, 0)
        plain[make_keys(4)[3]] = make_items(4)[make_keys(4)[3]]
        del plain[make_keys(1)[0]]
    assert hits_of(cache, make_keys(4)) == truth(3, start=1)
    cache.put_many(make_items(1))
    assert hits_of(cache, make_keys(4)) == truth(4)
    assert not schema_of(tmp_path, "trigger")
    assert {name: settings_of(tmp_path)[name] for name in SETTINGS} == SETTINGS


def test_as_diskcache_counts_and_checks_what_is_there_while_both_write(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3))
    with cache.as_diskcache() as plain:
        cache.put_many(make_items(2, start=3))
        plain[make_keys(6)[5]] = make_items(6)[make_keys(6)[5]]
        assert len(plain) == 6
        assert not plain.check()
        assert {key: plain[key] for key in plain} == make_items(6)
    cache.close()
    assert cache.stats().entries == 6
    assert settings_of(tmp_path)["count"] == 0


def test_a_file_that_diskcache_made_with_bytes_is_read_and_written_on(tmp_path):
    diskcaches_own(tmp_path, make_items(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = DiskCache(tmp_path)
        assert hits_of(cache, make_keys(6)) == truth(5)
        cache.put_many(make_items(700), label="a:b")
        cache.close()
    assert hits_of(cache, make_keys(700)) == truth(700)
    assert cache.stats().labels == {"a:b": LabelStats(700, 700 * 88)}
    assert settings_of(tmp_path)["size_limit"] == 2**30, "its settings are its owner's"
    check_integrity(tmp_path)
    with diskcache.Cache(str(database(tmp_path).parent)) as plain:
        assert plain[make_keys(1)[0]] == make_items(1)[make_keys(1)[0]]


def page_size_of(directory: Path) -> int:
    with contextlib.closing(sqlite3.connect(database(directory))) as connection:
        ((size,),) = connection.execute("PRAGMA page_size")
        return int(size)


def test_a_new_file_wastes_little_of_its_pages_and_an_older_one_goes_on_with_its_own(tmp_path, written_before):
    with contextlib.closing(DiskCache(tmp_path / "new")) as cache:
        cache.put_many(make_items(1000, width=1536))
    for directory, options in ((tmp_path / "small", {"size_limit": 2**22}), (written_before, {})):
        with contextlib.closing(DiskCache(directory, **options)) as cache:
            cache.put_many(make_items(100, start=20))
    diskcaches_own(tmp_path / "theirs", make_items(3))
    with contextlib.closing(DiskCache(tmp_path / "theirs")) as cache:
        cache.put_many(make_items(100, start=20))
    sizes = [page_size_of(directory) for directory in (tmp_path / "new", tmp_path / "small", written_before)]
    assert sizes == [2**15, 2**13, int.from_bytes(BEFORE[16:18])]
    assert page_size_of(tmp_path / "theirs") == 2**12
    assert database(tmp_path / "new").stat().st_size < 1.2 * 1000 * 1536 * 4
    for directory in (tmp_path / "new", tmp_path / "small", written_before, tmp_path / "theirs"):
        check_integrity(directory)


def test_what_else_diskcache_stores_is_not_used(tmp_path):
    keys = make_keys(5)
    diskcaches_own(tmp_path, make_items(2) | {keys[2]: [1, 2], keys[3]: "text", keys[4]: bytes(2**16)})
    with one_warning("not bytes"):
        assert hits_of(DiskCache(tmp_path), keys) == truth(2)


def test_another_programs_file_is_not_taken_for_diskcaches(tmp_path):
    for number, change in enumerate(("DROP INDEX Cache_key_raw", "CREATE TABLE x (y)", "PRAGMA application_id = 7")):
        directory = tmp_path / str(number)
        diskcaches_own(directory, make_items(2))
        tamper(directory, change)
        with one_warning("damaged"):
            DiskCache(directory).get_many(make_keys(2))
        assert len(list(database(directory).parent.glob("cache.db.corrupt-*"))) == 1


def test_a_cache_of_an_earlier_release_is_read_and_written_on(written_before):
    cache = DiskCache(written_before)
    assert hits_of(cache, make_keys(21)) == truth(20)
    assert cache.hold_width(bytes(32), None, label="fake:16") == 16
    cache.put_many(make_items(10, start=15), label="fake:16")
    cache.close()
    stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses, stats.labels["fake:16"].hits) == (25, 23, 1, 3)
    assert hits_of(cache, make_keys(25)) == truth(25)
    assert not schema_of(written_before, "trigger"), "they double the cost of a write"
    check_integrity(written_before)


def test_a_cache_of_an_earlier_release_is_read_while_another_process_holds_its_lock(written_before):
    with contextlib.closing(sqlite3.connect(database(written_before), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        cache = DiskCache(written_before)
        assert hits_of(cache, make_keys(20)) == truth(20)
    cache.put_many(make_items(1, start=20))
    assert hits_of(cache, make_keys(21)) == truth(21)
