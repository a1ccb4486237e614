import os
import stat
import struct

import pytest

from cache.parts import database, hits_of, make_items, make_keys, one_warning, start_python, tamper, truth
from embedbridge.cache import CacheError, DiskCache, LabelStats
from embedbridge.cache._maintenance import Imported, Verified, export, import_, verify

PAGE = 2**15


@pytest.fixture
def cache(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(600), label="openai:a")
    cache.put_many(make_items(400, width=8, start=600), label="cohere:b")
    return cache


def test_verify_reads_every_entry_and_tells_how_far_it_is(cache):
    steps = []
    assert verify(cache, lambda done, total: steps.append((done, total))) == Verified(1000, 0)
    assert steps[-1] == (1000, 1000)
    assert steps == sorted(steps)


def test_verify_counts_damaged_entries(cache):
    tamper(cache.directory, "UPDATE Cache SET value = CAST(substr(value, 2) AS BLOB) WHERE rowid % 100 = 0")
    assert verify(cache) == Verified(1000, 10)


def test_verify_counts_entries_that_cannot_be_read_at_all(cache):
    cache.close()
    data = bytearray(database(cache.directory).read_bytes())
    rows = data.rindex(make_items(600)[make_keys(600)[599]])
    data[rows // PAGE * PAGE : rows // PAGE * PAGE + 8] = b"\xff" * 8
    database(cache.directory).write_bytes(data)
    verified = verify(cache)
    assert verified.entries == 1000
    assert 20 < verified.damaged < 400


def test_verify_and_export_go_on_where_an_index_is_damaged(cache, tmp_path):
    cache.close()
    data = bytearray(database(cache.directory).read_bytes())
    for page in range(PAGE, len(data), PAGE):
        if data[page] in {2, 10} and b"openai:a" in data[page : page + PAGE]:  # of an index; the labels are in one only
            data[page : page + 8] = b"\xff" * 8
    database(cache.directory).write_bytes(data)
    assert verify(cache) == Verified(1000, 0)
    assert export(cache, tmp_path / "file") == 1000


@pytest.mark.filterwarnings("ignore::embedbridge.errors.CacheWarning")
@pytest.mark.parametrize("noise", [bytes(PAGE // 2), b"\xff" * (PAGE // 2)], ids=["zeros", "ones"])
def test_verify_counts_entries_that_their_keys_do_not_lead_to_and_an_export_saves_them(cache, tmp_path, noise):
    """Half a page is lost, the other half tells SQLite that all is well."""
    cache.close()
    data = bytearray(database(cache.directory).read_bytes())
    leaf = next(
        page
        for page in range(PAGE, len(data), PAGE)
        if data[page] == 10 and make_keys(1)[0] in data[page : page + PAGE]
    )
    data[leaf + PAGE // 2 : leaf + PAGE] = noise
    database(cache.directory).write_bytes(data)
    verified = verify(cache)
    lost = 1000 - len(cache.get_many(make_keys(1000)))
    assert verified == Verified(1000, lost)
    assert lost > 20
    assert export(cache, tmp_path / "file") == 1000


def test_an_export_brings_entries_and_labels_to_another_cache(cache, tmp_path):
    assert export(cache, tmp_path / "file") == 1000
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]
    other, steps = DiskCache(tmp_path / "d"), []
    assert import_(other, tmp_path / "file", lambda done, _: steps.append(done)) == Imported(1000, 0, complete=True)
    assert hits_of(other, make_keys(600)) == truth(600)
    assert other.stats().labels == {"openai:a": LabelStats(600, 600 * 88), "cohere:b": LabelStats(400, 400 * 56)}
    assert steps == sorted(steps)
    assert steps


def test_an_export_of_an_empty_cache_is_whole(tmp_path):
    assert export(DiskCache(tmp_path / "c"), tmp_path / "file") == 0
    assert import_(DiskCache(tmp_path / "d"), tmp_path / "file") == Imported(0, 0, complete=True)


def test_damaged_entries_are_not_exported(cache, tmp_path):
    tamper(cache.directory, "UPDATE Cache SET value = CAST(substr(value, 2) AS BLOB) WHERE rowid <= 10")
    assert export(cache, tmp_path / "file") == 990


def test_damaged_records_are_not_imported(cache, tmp_path):
    export(cache, tmp_path / "file")
    data = bytearray((tmp_path / "file").read_bytes())
    at = data.index(make_items(600)[make_keys(600)[5]])
    data[at + 40] ^= 1
    (tmp_path / "file").write_bytes(data)
    other = DiskCache(tmp_path / "d")
    assert import_(other, tmp_path / "file") == Imported(999, 1, complete=True)
    assert len(hits_of(other, make_keys(600))) == 599


@pytest.mark.parametrize("cut", [1, 16, 17, 5000])
def test_an_export_cut_short_gives_what_is_there_and_says_so(cache, tmp_path, cut):
    export(cache, tmp_path / "file")
    os.truncate(tmp_path / "file", (tmp_path / "file").stat().st_size - cut)
    imported = import_(DiskCache(tmp_path / "d"), tmp_path / "file")
    assert not imported.complete
    assert imported.entries >= (900 if cut == 5000 else 999)


def test_records_left_out_of_the_middle_are_noticed(cache, tmp_path):
    export(cache, tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    record = 8 + len("openai:a") + 32 + 88
    (tmp_path / "file").write_bytes(data[:8] + data[8 + record :])
    assert import_(DiskCache(tmp_path / "d"), tmp_path / "file") == Imported(999, 0, complete=False)


def test_a_length_that_is_made_up_does_not_fill_the_memory(tmp_path):
    (tmp_path / "file").write_bytes(b"EBCACHE1" + struct.pack("<HHI", 1, 32, 2**32 - 1) + bytes(1000))
    assert import_(DiskCache(tmp_path / "d"), tmp_path / "file") == Imported(0, 0, complete=False)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(CacheError, match="neither an export nor a cache file"):
        import_(DiskCache(tmp_path / "d"), tmp_path / "file")


def test_a_failed_export_leaves_no_file(cache, tmp_path):
    cache.put_many(make_items(1))
    with pytest.raises(ZeroDivisionError):
        export(cache, tmp_path / "file", lambda *_: 1 // 0)
    assert not list(tmp_path.glob("file*"))


def test_a_file_that_was_set_aside_can_be_imported_and_pruned(cache):
    cache.close()
    file = database(cache.directory)
    with file.open("r+b") as stream:
        stream.write(b"not a database")
    with one_warning("damaged"):
        assert not cache.get_many(make_keys(10))
    (aside,) = file.parent.glob("*.corrupt-*")
    with aside.open("r+b") as stream:
        stream.write(b"SQLite format 3\0")
    assert import_(cache, aside) == Imported(1000, 0, complete=True)
    assert hits_of(cache, make_keys(600)) == truth(600)
    cache.prune()
    assert aside.exists(), "it was set aside just now"
    DiskCache(cache.directory).prune()
    assert not list(file.parent.glob("*.corrupt-*"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_neither_imported_nor_waited_for(cache, tmp_path):
    """R6: so is every file that others may have put there."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        import_(cache, tmp_path / "pipe")


def test_a_cache_in_use_is_copied_by_export_and_import(cache, tmp_path):
    """R5: while another process holds the lock of writers, and while it writes; everything that is sound is taken."""
    code = """
import sys
from cache.parts import make_items
from embedbridge.cache import DiskCache
cache = DiskCache(sys.argv[1])
with cache._database.writing():
    print("held", flush=True)
    sys.stdin.readline()
cache.put_many(make_items(100, start=1000), label="of another")
print("written", flush=True)
sys.stdin.readline()
"""
    copy = DiskCache(tmp_path / "copy")
    copy.put_many(make_items(10))
    with start_python(code, cache.directory) as process:
        assert process.stdout.readline() == "held\n"
        assert export(cache, tmp_path / "first") == 1000
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.stdout.readline() == "written\n"
        assert export(cache, tmp_path / "second") == 1100
        process.communicate("end\n", timeout=30)
    assert import_(copy, tmp_path / "first") == Imported(1000, 0, complete=True)
    assert import_(copy, tmp_path / "second") == Imported(1100, 0, complete=True)
    assert hits_of(copy, make_keys(1100))[make_keys(1100)[1099]] == truth(1, start=1099)[make_keys(1100)[1099]]
    assert import_(copy, cache.file) == Imported(1100, 0, complete=True), "a cache's own file will do, too"
