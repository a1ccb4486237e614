"""A disk cache whose file, disk or neighbour is at fault: never an error for a caller, never a wrong vector."""

import contextlib
import os
import random
import shutil
import sqlite3
import threading
import time
import warnings

import numpy as np
import pytest

from cache.parts import (
    WIDTH,
    database,
    make_items,
    make_keys,
    make_vectors,
    one_warning,
    read_only,
    small_disk,
    start_python,
    tamper,
    write_lock,
)
from embedbridge.cache import CacheError, DiskCache, GuardedStore
from embedbridge.cache import _files as files
from embedbridge.errors import CacheWarning


def store_at(directory, **options):
    return GuardedStore(DiskCache(directory, **options), label="fake:16")


def write(store, count, start=0):
    store.write(make_keys(count, start), make_vectors(count, start=start), [7] * count, [-1] * count)


def read(store, count, start=0):
    """Rows that hit; every one of them has to be right."""
    hits = store.read(make_keys(count, start), WIDTH)
    assert np.array_equal(hits.vectors, make_vectors(count, start=start)[hits.rows].reshape(-1, WIDTH)) or not len(
        hits.rows
    )
    return len(hits.rows)


@pytest.fixture
def full(tmp_path):
    """The directory of a closed cache of 1,000 entries."""
    store = store_at(tmp_path / "c")
    write(store, 1000)
    store.close()
    return tmp_path / "c"


def set_aside(directory):
    return [file for file in database(directory).parent.glob("*.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]


def zero_header(file):
    with file.open("r+b") as stream:
        stream.write(bytes(100))


def zero_first_page(file):
    with file.open("r+b") as stream:
        stream.write(bytes(2**15))


def write_text(file):
    file.write_text("this is not a database\n" * 1000)


def other_database(file):
    file.unlink()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")


def other_layout(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE Cache RENAME COLUMN raw TO cooked")


@pytest.mark.parametrize("harm", [zero_header, zero_first_page, write_text, other_database, other_layout])
def test_a_file_that_is_no_cache_is_set_aside_with_one_warning_and_the_job_ends_well(full, harm):
    harm(database(full))
    harmed = database(full).read_bytes()
    with one_warning(r"damaged.*cache\.db\.corrupt-"):
        store = store_at(full)
        assert read(store, 1000) == 0
        write(store, 1000)
        assert read(store, 1000) == 1000
        store.close()
    (aside,) = set_aside(full)
    assert aside.read_bytes() == harmed or harm is other_layout
    assert read(store_at(full), 1000) == 1000


def test_a_file_without_the_index_over_keys_is_set_aside_and_its_entries_are_taken_over(full):
    tamper(full, "DROP INDEX Cache_key_raw")
    with one_warning("no such index"):
        store = store_at(full)
        assert read(store, 1000) == 1000
        write(store, 10, start=1000)
    assert read(store, 1010) == 1010
    assert len(set_aside(full)) == 1


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_cut_short_is_set_aside_and_what_is_left_of_it_is_taken_over(full, share):
    with contextlib.closing(store_at(full)) as store:
        write(store, 4000, start=1000)
    size = database(full).stat().st_size
    os.truncate(database(full), int(size * share))
    with one_warning():
        store = store_at(full)
        assert 2500 * share < read(store, 5000) < 5000
        write(store, 5000)
        assert read(store, 5000) == 5000
    assert len(set_aside(full)) == 1


@pytest.mark.parametrize("harm", ["empty", "no tables", "garbage log"])
def test_a_file_that_was_emptied_is_filled_again(full, harm):
    if harm == "empty":
        os.truncate(database(full), 0)
    elif harm == "no tables":
        tamper(full, "DROP TABLE Cache", "DROP TABLE Settings", "DROP TABLE Tally")
    else:
        database(full).with_name("cache.db-wal").write_bytes(random.Random(0).randbytes(100_000))
    store = store_at(full)
    assert read(store, 1000) == (1000 if harm == "garbage log" else 0)
    write(store, 1000)
    assert read(store, 1000) == 1000
    assert store.faults == 0


@pytest.mark.parametrize("seed", range(12))
def test_twenty_turned_bits_give_no_wrong_vector_and_only_what_they_hit_is_asked_for_again(tmp_path, seed):
    count, width = 400, 1024
    keys, vectors = make_keys(count), make_vectors(count, width)
    store = store_at(tmp_path)
    store.write(keys, vectors, [1] * count, [1] * count)
    store.close()
    rng, data = random.Random(seed), bytearray(database(tmp_path).read_bytes())
    for _ in range(20):
        data[rng.randrange(2**15, len(data))] ^= 1 << rng.randrange(8)
    database(tmp_path).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        store, bought = store_at(tmp_path), 0
        for _ in range(
            3
        ):  # a row that is sound by the index and damaged in the table is lost when the file is replaced
            hits = store.read(keys, width)
            assert np.array_equal(hits.vectors, vectors[hits.rows])
            missing = np.setdiff1d(np.arange(count), hits.rows)
            for row in missing:
                store.write([keys[row]], vectors[[row]], [1], [1])
            bought += len(missing)
        assert len(store.read(keys, width).rows) == count
    assert bought <= 30


def test_damaged_values_are_counted(full):
    tamper(full, "UPDATE Cache SET value = CAST(x'00' || substr(value, 2) AS BLOB) WHERE rowid <= 5")
    store = store_at(full)
    assert read(store, 1000) == 995
    assert store.damaged == 5


@pytest.mark.parametrize("seed", range(10))
def test_a_power_cut_in_the_log_keeps_a_beginning_of_what_was_committed(tmp_path, seed):
    store = store_at(tmp_path / "c")
    for start in range(0, 200, 20):
        write(store, 20, start=start)
    shutil.copytree(tmp_path / "c", tmp_path / "d")
    log, rng = database(tmp_path / "d").with_name("cache.db-wal"), random.Random(seed)
    (log.with_name("cache.db-shm")).unlink()
    size = log.stat().st_size
    kind, at = rng.choice(["cut", "zero", "noise"]), rng.randrange(size)
    with log.open("r+b") as stream:
        if kind == "cut":
            stream.truncate(at)
        else:
            stream.seek(at)
            stream.write(bytes(size - at) if kind == "zero" else rng.randbytes(size - at))
    after = store_at(tmp_path / "d")
    there = [read(after, 20, start) for start in range(0, 200, 20)]
    assert there == sorted(there, reverse=True), "a beginning, without holes"
    assert set(there) <= {0, 20}, "whole batches"
    assert after.faults == 0
    with contextlib.closing(sqlite3.connect(database(tmp_path / "d"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def limited(store, pages):
    """A disk that is full: SQLite gives the same error, in the same place, when a file may not grow."""
    with store.cache._database.writing() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_disk_that_fills_half_way_costs_one_warning_and_what_was_stored_is_read(tmp_path):
    store = store_at(tmp_path)
    write(store, 300)
    limited(store, 1)
    with one_warning("full"):
        for start in range(300, 900, 100):
            write(store, 100, start=start)
        assert read(store, 300) == 300
        assert read(store, 600, start=300) == 600, "what could not be written waits in memory"
        limited(store, 2**30)
        store.close()
    assert read(store_at(tmp_path), 900) == 900, "and is written at the end, once there is room"


def test_a_full_disk_is_tried_once_and_then_left_alone(tmp_path):
    store = store_at(tmp_path)
    write(store, 300)
    limited(store, 1)
    with one_warning():
        for start in range(300, 900, 10):
            write(store, 10, start=start)
    assert store.faults == 1


def test_what_waits_for_room_is_bounded(tmp_path):
    store = store_at(tmp_path)
    write(store, 1)
    limited(store, 1)
    vectors = np.ones((1000, 8192), np.float32)
    with one_warning():
        for start in range(0, 5000, 1000):
            store.write(make_keys(1000, start), vectors, [1] * 1000, [1] * 1000)
    assert store.backlog.size() <= 64 * 2**20


@pytest.fixture
def two_megabytes(tmp_path):
    """A file system that is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place, 2):
        yield place


def fill(directory):
    with contextlib.suppress(OSError), (directory / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def test_a_real_disk_that_fills_half_way(two_megabytes):
    store = store_at(two_megabytes)
    with one_warning("full|space"):
        for start in range(0, 20_000, 2000):
            write(store, 2000, start=start)
    assert read(store, 2000) == 2000
    store.close()
    again = store_at(two_megabytes)
    assert read(again, 2000) == 2000
    again.close()


def test_a_real_disk_that_is_full_from_the_start(two_megabytes):
    fill(two_megabytes)
    store = store_at(two_megabytes / "c")
    with one_warning():
        assert read(store, 10) == 0
        write(store, 10)
        assert read(store, 10) == 10, "from memory"
        store.close()


def test_a_disk_that_is_full_still_serves_an_old_cache(two_megabytes):
    store = store_at(two_megabytes)
    write(store, 500)
    store.close()
    fill(two_megabytes)
    again = store_at(two_megabytes)
    assert read(again, 500) == 500
    assert again.faults == 0


def test_a_read_only_directory_serves_hits_without_a_warning(full):
    with read_only(full):
        store = store_at(full)
        assert read(store, 1000) == 1000
        assert store.faults == 0
        store.close()


def test_a_read_only_directory_with_a_log_beside_the_file_serves_what_is_in_the_log(full, tmp_path):
    store = store_at(full)
    write(store, 50, start=1000)
    shutil.copytree(full, tmp_path / "copy")  # as a process leaves it that was killed
    store.close()
    with read_only(tmp_path / "copy"):
        assert read(store_at(tmp_path / "copy"), 1050) == 1050


def test_writing_to_a_read_only_directory_costs_one_warning_and_goes_on_when_it_can_be_written_again(full):
    with read_only(full):
        store = store_at(full)
        with one_warning("cannot be written"):
            write(store, 10, start=1000)
            write(store, 10, start=1010)
        assert read(store, 1020) == 1020
    store.close()
    assert read(store_at(full), 1020) == 1020


def test_a_read_only_directory_without_a_cache_is_no_cache_with_one_warning(tmp_path):
    (tmp_path / "c").mkdir()
    with read_only(tmp_path / "c"):
        store = store_at(tmp_path / "c")
        with one_warning():
            assert read(store, 10) == 0
            write(store, 10)
            store.close()


def test_a_path_that_is_a_file_is_no_cache_with_one_warning(tmp_path):
    (tmp_path / "c").write_text("mine")
    store = store_at(tmp_path / "c")
    with one_warning():
        assert read(store, 10) == 0
        write(store, 10)
        store.close()
    assert (tmp_path / "c").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_the_place_of_the_database_is_no_cache_with_one_warning(tmp_path):
    """R6: SQLite would wait for somebody to write into it."""
    database(tmp_path).parent.mkdir(mode=0o700)
    os.mkfifo(database(tmp_path))
    store = store_at(tmp_path)
    with one_warning("no regular file"):
        assert read(store, 10) == 0
        write(store, 10)
        store.close()


def test_a_lock_held_for_a_moment_is_waited_for(full):
    store = store_at(full)
    with write_lock(full) as lock:
        thread = threading.Thread(target=write, args=(store, 100, 1000))
        thread.start()
        time.sleep(0.5)
        assert read(store, 1000) == 1000, "a reader never waits for a writer"
        lock.execute("ROLLBACK")
        thread.join()
    assert read(store, 1100) == 1100
    assert store.faults == 0


@pytest.mark.slow
def test_a_lock_held_for_long_is_waited_for_once_and_nothing_is_lost(full):
    store = store_at(full)
    with write_lock(full), one_warning("locked"):
        for number in range(1000, 1100, 10):
            write(store, 10, start=number)
        assert store.faults == 1
        assert read(store, 1100) == 1100
    store.close()
    assert read(store_at(full), 1100) == 1100


@pytest.mark.parametrize("alone", [False, True])
def test_threads_in_line_for_a_lock_of_another_process_wait_for_it_together(full, monkeypatch, alone):
    monkeypatch.setattr("embedbridge.cache._connection.WRITE_WAIT", 1.0)
    store = store_at(full)
    with write_lock(full, alone=alone), one_warning("locked"):
        threads = [threading.Thread(target=write, args=(store, 10, start)) for start in range(1000, 1080, 10)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begun < 4.0, "once, not eight times"
    store.close()
    assert read(store_at(full), 1080) == 1080


def test_opening_while_another_holds_the_lock_neither_waits_nor_fails(full):
    with write_lock(full):
        store = store_at(full)
        assert read(store, 1000) == 1000
    assert store.faults == 0


def test_a_cache_of_a_later_version_is_left_exactly_as_it_is(full):
    tamper(full, "PRAGMA user_version = 2")
    before = database(full).read_bytes()
    store = store_at(full)
    with one_warning("later version"):
        assert read(store, 1000) == 0
        write(store, 10)
        store.close()
    assert database(full).read_bytes() == before
    assert not set_aside(full)


def test_a_value_of_a_later_version_is_a_miss(full):
    tamper(
        full, "UPDATE Cache SET value = CAST(substr(value, 1, 2) || x'02' || substr(value, 4) AS BLOB) WHERE rowid = 1"
    )
    assert read(store_at(full), 1000) == 999


def test_without_a_guard_the_fault_is_an_error_that_says_what_is_wrong(full):
    cache = DiskCache(full)
    with read_only(full), pytest.raises(CacheError, match="cannot be written to"):
        cache.put_many(make_items(1))


def test_an_interrupt_passes_through_and_leaves_the_cache_usable(full):
    store = store_at(full)
    cache = store.cache

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedbridge.cache._table.add_counts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(store, 10, start=1000)
    assert cache.stats().entries == 1000, "rolled back"
    write(store, 10, start=1000)
    assert read(store, 1010) == 1010


def test_the_job_goes_on_when_the_file_is_damaged_while_it_is_open(full):
    with one_warning():
        store = store_at(full)
        assert read(store, 1000) == 1000
        data = bytearray(database(full).read_bytes())
        data[2**15 :] = random.Random(1).randbytes(len(data) - 2**15)
        with database(full).open("r+b") as stream:
            stream.write(data)
        read(store, 1000)
        write(store, 1000)
        write(store, 1000)
        assert read(store, 1000) == 1000


def test_a_thread_that_is_late_to_find_the_damage_leaves_the_new_file_alone(full):
    store, error = store_at(full), sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with pytest.raises(sqlite3.DatabaseError), store.cache._database.writing():
        raise error
    with one_warning("damaged"):
        store.cache._database.replace(error)
        write(store, 10, start=1000)
        store.cache._database.replace(error)
    assert read(store, 1010) == 1010
    assert len(set_aside(full)) == 1


def test_logs_are_set_aside_with_their_file_so_that_they_are_not_played_into_a_new_one(tmp_path):
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"cache.db{ending}").write_text(ending)
    aside = files.set_aside(tmp_path / "cache.db")
    assert sorted(tmp_path.iterdir()) == sorted(aside.with_name(aside.name + ending) for ending in ("", "-wal", "-shm"))
    assert aside.with_name(aside.name + "-wal").read_text() == "-wal"


KILLED = """
import sys
from cache.parts import make_items
from embedbridge.cache import DiskCache
cache, number = DiskCache(sys.argv[1]), int(sys.argv[2])
while True:
    cache.put_many(make_items(20, start=number))
    number += 20
    print(number, flush=True)
"""


def kill_once(directory, number, seconds):
    """Write from `number` on until killed; returns the first number that was not acknowledged."""
    with start_python(KILLED, directory, number) as process:
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read().split()
        return int((rest or [first])[-1])


@pytest.mark.parametrize("times", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path, times):
    number, rng = 0, random.Random(times)
    for _ in range(times):
        number = kill_once(tmp_path, number, rng.uniform(0, 0.3))
        with contextlib.closing(sqlite3.connect(database(tmp_path))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = store_at(tmp_path)
    assert read(store, number) == number
    assert store.faults == 0
    assert store.cache.stats().entries - number in {0, 20}, "batches are there whole or not at all"
