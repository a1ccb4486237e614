"""What a disk cache keeps, for how long, and how much of it."""

import contextlib
import copy
import os
import pickle
import shutil
import sqlite3
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cache.parts import database, hits_of, make_items, make_keys, one_warning, tamper, truth
from embedbridge.cache import DiskCache, GuardedStore, LabelStats, _database
from support.waiting import until

DAY = 86_400.0


class Clock:
    """The clock on the wall, which may jump."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def space(directory):
    """Bytes on disk."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def test_what_was_stored_is_found_also_by_the_next_process(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(700), label="fake:16")
    assert hits_of(cache, make_keys(701)) == truth(700)
    cache.close()
    assert hits_of(DiskCache(tmp_path / "c"), make_keys(701)) == truth(700)


def test_nothing_but_the_database_is_left_after_close(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(10))
    cache.close()
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["cache.db"]


def test_a_closed_cache_opens_again_when_it_is_used(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(1))
    cache.close()
    cache.close()
    assert hits_of(cache, make_keys(1)) == truth(1)


def test_storing_again_replaces(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(5), label="one:model")
    cache.put_many({key: make_items(5, width=8)[key] for key in make_keys(2)}, label="other:model")
    assert hits_of(cache, make_keys(2)) == truth(2, width=8)
    assert cache.stats().entries == 5
    assert cache.stats().labels == {"one:model": LabelStats(3, 3 * 88), "other:model": LabelStats(2, 2 * 56)}


def test_vectors_of_any_size_stay_inside_the_database(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3, width=16_384))
    assert hits_of(cache, make_keys(3)) == truth(3, width=16_384)
    cache.close()
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["cache.db"]


def test_statistics_are_kept_over_runs_and_by_model(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(10), label="openai:a")
    cache.put_many(make_items(5, start=10), label="cohere:b")
    cache.get_many(make_keys(20))
    cache.record_savings("openai:a", hits=10, tokens=70)
    assert (cache.stats().hits, cache.stats().misses) == (15, 5), "what is not yet written counts too"
    cache.close()
    again = DiskCache(tmp_path)  # kept, because one that is forgotten is closed, which takes a file away
    stats = again.stats()
    assert (stats.entries, stats.hits, stats.misses) == (15, 15, 5)
    assert stats.labels == {"openai:a": LabelStats(10, 880, 10, 70), "cohere:b": LabelStats(5, 440)}
    assert stats.bytes == database(tmp_path).stat().st_size + sum(
        file.stat().st_size for file in database(tmp_path).parent.glob("*-wal")
    )


@pytest.mark.parametrize("written_each", [50, 10_000])
def test_each_count_is_taken_once_while_threads_count_and_write_at_once(tmp_path, written_each):
    cache = DiskCache(tmp_path)

    def ask(number):
        cache.get_many(make_keys(1, start=number))
        if number % written_each == 0:
            cache.put_many(make_items(1, start=10_000 + number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4000)))
    assert (cache.stats().hits, cache.stats().misses) == (0, 4000)


def test_statistics_of_a_cache_that_is_never_closed_are_written_when_it_is_forgotten(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(1))
    cache.get_many(make_keys(3))
    del cache
    until(lambda: (DiskCache(tmp_path).stats().hits, DiskCache(tmp_path).stats().misses) == (1, 2))


@pytest.mark.parametrize("attempt", range(3))
def test_whoever_lets_go_of_a_cache_does_not_wait_for_its_end(tmp_path, attempt):  # noqa: ARG001
    """U11: while another reads, moving the log into the file takes a quarter of a second."""
    cache, closed = DiskCache(tmp_path), DiskCache(tmp_path)
    cache.put_many(make_items(10))
    with contextlib.closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM Cache").fetchone()
        cache.put_many(make_items(20))
        closed.put_many(make_items(30))
        begun = time.monotonic()
        closed.close()
        waited = time.monotonic() - begun
        begun = time.monotonic()
        del cache
        assert time.monotonic() - begun < waited / 2
    assert len(DiskCache(tmp_path).get_many(make_keys(30))) == 30


def test_reading_writes_nothing(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(100))
    before = {file: file.stat().st_mtime_ns for file in database(tmp_path).parent.iterdir() if "shm" not in file.name}
    for _ in range(20):
        cache.get_many(make_keys(100))
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_clear_forgets_entries_and_counts_and_gives_the_space_back(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(2000, width=256), label="a:b")
    cache.get_many(make_keys(2))
    cache.put_many(make_items(1, start=2000))
    cache.get_many(make_keys(2))
    cache.clear()
    assert not cache.get_many(make_keys(2000))
    cache.close()
    assert space(tmp_path) < 500_000
    assert cache.stats().entries == cache.stats().hits == 0


def test_clear_can_forget_one_model(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(600), label="a:b")
    cache.put_many(make_items(5, start=600), label="c:d")
    cache.clear("a:b")
    assert hits_of(cache, make_keys(605)) == truth(5, start=600)


@pytest.mark.parametrize("clone", [lambda cache: pickle.loads(pickle.dumps(cache)), copy.deepcopy, copy.copy])  # noqa: S301
def test_a_copy_opens_the_same_directory(tmp_path, clone):
    cache = DiskCache(tmp_path, ttl=60, size_limit=10**7)
    cache.put_many(make_items(3))
    twin = clone(cache)
    assert (twin.ttl, twin.size_limit) == (60, 10**7)
    assert hits_of(twin, make_keys(3)) == truth(3)


def test_a_pickle_of_a_cache_holds_its_configuration_and_nothing_of_its_contents(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3))
    assert len(pickle.dumps(cache)) < 300


@pytest.mark.parametrize("label", ["../../x", "a\0b", "x" * 300, "🦆:🦆", "", "'; DROP TABLE Cache; --"])
def test_a_model_name_never_becomes_a_file_name(tmp_path, label):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(2), label=label)
    assert cache.stats().labels == {label: LabelStats(2, 176)}
    cache.close()
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()] == [
        "c/entries/cache.db"
    ]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_enter_the_directory_and_read_the_files(tmp_path, umask):
    previous = os.umask(umask)
    try:
        cache = DiskCache(tmp_path / "deep" / "c")
        cache.put_many(make_items(100))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").rglob("*")}
    finally:
        os.umask(previous)
    assert modes.pop("c") == modes.pop("entries") == 0o700
    assert {"cache.db", "cache.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    DiskCache(tmp_path).put_many(make_items(1))
    database(tmp_path).chmod(0o644)
    DiskCache(tmp_path).get_many(make_keys(1))
    assert stat.S_IMODE(database(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("place", [".", "entries"])
def test_a_directory_of_another_user_is_not_used(tmp_path, place):
    (tmp_path / "c" / "entries").mkdir(parents=True)
    try:
        os.chown(tmp_path / "c" / place, 12_345, -1)
    except PermissionError:
        pytest.skip("only root can give a directory to another user")
    store = GuardedStore(DiskCache(tmp_path / "c"))
    with one_warning("belongs to another user"):
        assert not len(store.read(make_keys(1)).rows)
    assert not database(tmp_path / "c").exists()


def test_a_look_at_the_file_stands_for_a_moment_for_single_entries_and_for_no_others(tmp_path, monkeypatch):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3))
    monkeypatch.setattr(_database, "_LOOK_SECONDS", 1e9)
    assert hits_of(cache, make_keys(1)) == truth(1)
    shutil.rmtree(tmp_path / "entries")
    assert hits_of(cache, make_keys(1)) == truth(1)
    assert not hits_of(cache, make_keys(2))
    assert not hits_of(cache, make_keys(1))
    cache.put_many(make_items(3))
    monkeypatch.setattr(_database, "_LOOK_SECONDS", -1)
    assert hits_of(cache, make_keys(1)) == truth(1)
    shutil.rmtree(tmp_path / "entries")
    assert not hits_of(cache, make_keys(1))


def test_entries_end_after_their_time_to_live_and_leave_when_they_are_pruned(tmp_path):
    clock = Clock()
    cache = DiskCache(tmp_path, ttl=DAY, clock=clock)
    cache.put_many(make_items(10))
    clock.now += DAY - 1
    assert len(cache.get_many(make_keys(10))) == 10
    clock.now += 2
    assert not cache.get_many(make_keys(10))
    cache.put_many(make_items(4, start=10))
    assert DiskCache(tmp_path, clock=clock).stats().entries == 14, "another embedder may still want them"
    assert cache.prune() == 10
    assert hits_of(cache, make_keys(20)) == truth(4, start=10)


def test_without_a_time_to_live_entries_last_for_ever(tmp_path):
    clock = Clock()
    cache = DiskCache(tmp_path, clock=clock)
    cache.put_many(make_items(1))
    clock.now += 100 * 365 * DAY
    assert cache.get_many(make_keys(1))


def test_a_clock_that_goes_back_a_day_expires_nothing(tmp_path):
    clock = Clock()
    cache = DiskCache(tmp_path, ttl=3600, clock=clock)
    cache.put_many(make_items(10))
    clock.now -= DAY
    assert len(cache.get_many(make_keys(10))) == 10
    cache.put_many(make_items(10, start=10))
    clock.now += DAY
    assert len(cache.get_many(make_keys(10))) == 10


def test_a_clock_that_is_ten_years_ahead_for_one_call_empties_nothing(tmp_path):
    clock = Clock()
    cache = DiskCache(tmp_path, ttl=DAY, clock=clock)
    cache.put_many(make_items(1000))
    clock.now += 3650 * DAY
    cache.get_many(make_keys(1000))
    cache.put_many(make_items(1, start=1000))
    clock.now -= 3650 * DAY
    assert len(cache.get_many(make_keys(1001))) >= 1000


def test_a_size_limit_holds_while_new_work_takes_the_place_of_old(tmp_path):
    limit = 8 * 2**20
    for job in range(3):
        cache = DiskCache(tmp_path, size_limit=limit)
        for start in range(0, 3000, 500):
            cache.put_many(make_items(500, width=256, start=10_000 * job + start))
            assert space(tmp_path) < 1.2 * limit
        assert len(cache.get_many(make_keys(3000, 10_000 * job))) == 3000
        cache.close()
    assert cache.alarm.faults == 0
    assert space(tmp_path) > 0.6 * limit


def test_a_size_limit_holds_though_somebody_reads_the_file_meanwhile(tmp_path):
    """A reader keeps the log from being moved into the file; whoever needs room waits a moment for it."""
    limit = 2**20
    cache = DiskCache(tmp_path, size_limit=limit)
    cache.put_many(make_items(10, width=256))
    with contextlib.closing(sqlite3.connect(cache.file, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM Cache").fetchall()
        end = threading.Timer(0.2, reader.rollback)
        end.start()
        with one_warning("size limit"):
            cache.put_many(make_items(1500, width=256, start=1000))
        assert space(tmp_path) < 1.2 * limit
        end.join()


def test_a_job_larger_than_the_limit_keeps_its_beginning_warns_once_and_hits_it_when_run_again(tmp_path):
    limit, count = 4 * 2**20, 6000
    with one_warning("size limit"):
        cache = DiskCache(tmp_path, size_limit=limit)
        for start in range(0, count, 500):
            cache.put_many(make_items(500, width=256, start=start))
    cache.close()
    assert 0.6 * limit < space(tmp_path) < 1.2 * limit
    for _ in range(2):
        again, hits = DiskCache(tmp_path, size_limit=limit), 0
        with one_warning("size limit"):
            for start in range(0, count, 500):
                keys = make_keys(500, start)
                found = again.get_many(keys)
                hits += len(found)
                items = make_items(500, width=256, start=start)
                again.put_many({key: items[key] for key in keys if key not in found})
        again.close()
        assert hits > 2000
        assert space(tmp_path) < 1.2 * limit


def test_rows_that_were_read_in_a_running_job_are_spared_and_others_go(tmp_path):
    limit = 4 * 2**20
    cache = DiskCache(tmp_path, size_limit=limit)
    cache.put_many(make_items(2500, width=256))
    cache.close()
    job = DiskCache(tmp_path, size_limit=limit)
    used = make_keys(800)
    job.get_many(used)
    job.put_many(make_items(1500, width=256, start=10_000))
    assert len(job.get_many(used)) == 800
    assert len(job.get_many(make_keys(1500, 10_000))) == 1500
    assert job.alarm.faults == 0


def test_a_lower_limit_makes_the_file_smaller(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(6000, width=256))
    cache.close()
    assert space(tmp_path) > 6 * 2**20
    small = DiskCache(tmp_path, size_limit=2 * 2**20)
    small.put_many(make_items(10, width=256, start=10_000))
    small.close()
    assert space(tmp_path) < 1.2 * 2 * 2**20
    assert len(small.get_many(make_keys(10, 10_000))) == 10


def test_entries_stored_while_the_clock_was_wrong_make_room_like_others(tmp_path):
    clock, limit = Clock(), 4 * 2**20
    clock.now += 3650 * DAY
    cache = DiskCache(tmp_path, size_limit=limit, clock=clock)
    cache.put_many(make_items(2500, width=256))
    cache.close()
    clock.now -= 3650 * DAY
    cache = DiskCache(tmp_path, size_limit=limit, clock=clock)
    cache.put_many(make_items(2000, width=256, start=10_000))
    assert cache.alarm.faults == 0
    assert len(cache.get_many(make_keys(2000, 10_000))) == 2000


def test_the_log_stays_small_however_much_is_written(tmp_path):
    cache = DiskCache(tmp_path)
    for start in range(0, 6000, 1000):
        cache.put_many(make_items(1000, width=1536, start=start))
        assert database(tmp_path).with_name("cache.db-wal").stat().st_size < 24 * 2**20


def test_threads_share_a_cache(tmp_path):
    cache, items = DiskCache(tmp_path), make_items(800)
    keys, wrong = list(items), []

    def work(start):
        for at in range(start, 800, 16 * 10):
            part = keys[at : at + 10]
            cache.put_many({key: items[key] for key in part})
            found = cache.get_many(part)
            wrong.extend(key for key in part if found.get(key) != items[key])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 160, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.stats().entries == 800


def test_closing_in_one_thread_does_not_disturb_another(tmp_path):
    cache, items = DiskCache(tmp_path), make_items(50)
    cache.put_many(items)
    stop, errors = threading.Event(), []

    def read():
        with contextlib.suppress(StopIteration):
            while not stop.is_set():
                try:
                    if cache.get_many(list(items)) != items:
                        errors.append("lost")
                except Exception as error:
                    errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        cache.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_directory_deleted_during_a_job_is_made_again(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(10))
    shutil.rmtree(tmp_path / "c")
    assert not cache.get_many(make_keys(10))
    cache.put_many(make_items(10))
    cache.close()
    assert hits_of(DiskCache(tmp_path / "c"), make_keys(10)) == truth(10)


def test_a_cache_that_is_forgotten_does_not_make_its_deleted_directory_again(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(10))
    cache.get_many(make_keys(10))
    shutil.rmtree(tmp_path / "c")
    cache.close()
    del cache
    assert not (tmp_path / "c").exists()


def test_neither_repr_nor_file_holds_a_text(tmp_path):
    text = "the patient's name is Ada"
    store = GuardedStore(DiskCache(tmp_path), label="fake:16")
    store.write(make_keys(1), np.ones((1, 16), np.float32), [len(text)], [len(text)])
    store.close()
    assert text.encode() not in database(tmp_path).read_bytes()
    assert repr(DiskCache(tmp_path)) == f"DiskCache({str(tmp_path)!r}, ttl=None, size_limit=None)"


def test_tampered_sizes_and_labels_do_not_break_statistics(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(3), label="a:b")
    cache.close()
    tamper(tmp_path, "UPDATE Cache SET tag = x'ff00fe', size = 'many' WHERE rowid = 1")
    tamper(tmp_path, "UPDATE Settings SET value = 'x'", "INSERT INTO Tally VALUES ('hits', '', 'x')")
    assert cache.stats().entries == 3
