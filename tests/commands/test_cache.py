"""`embedbridge cache`: what a person learns of a cache, and does to it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, nullcontext

import pytest

from embedbridge import Embedder
from embedbridge.cache import DiskCache
from embedbridge.errors import CacheWarning

TEXTS = [f"text {number}" for number in range(300)]


@pytest.fixture
def filled(tmp_path, server):
    """A cache with vectors of two models, one of which has a price; the priced ones were asked for twice."""
    hosted = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": tmp_path / "cache"}
    with Embedder("fake:8", cache=tmp_path / "cache") as free:
        free.embed(TEXTS)
    for _ in range(2):
        with Embedder("openai:text-embedding-3-small", **hosted) as priced:
            priced.embed(TEXTS[:50])
    return tmp_path / "cache"


def change(folder, statement, *values):
    """Do something to a cache behind its back."""
    with closing(sqlite3.connect(folder / "entries" / "cache.db", isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def damage(folder, count):
    """Turn a bit in some entries, as a bad disk does."""
    for row, value in change(folder, "SELECT rowid, value FROM Cache LIMIT ?", count):
        broken = bytes([*value[:30], value[30] ^ 1, *value[31:]])
        change(folder, "UPDATE Cache SET value = ? WHERE rowid = ?", broken, row)


def test_the_path_is_the_users_or_the_one_that_is_named(run, tmp_path):
    assert run("cache", "path").out == f"{tmp_path / 'user-cache'}\n"
    assert json.loads(run("cache", "path", "--json", "--cache", "here").out) == {"path": str(tmp_path / "here")}
    assert not (tmp_path / "here").exists()


def test_stats_tell_entries_bytes_hits_and_dollars_by_model(run, filled, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    told = json.loads(run("cache", "stats", "--json", "--cache", filled).out)
    assert (told["entries"], told["hits"], told["misses"]) == (350, 50, 350)
    assert told["bytes"] > 50 * 1536 * 4
    tokens = sum(-(-len(text) // 4) for text in TEXTS[:50])
    assert told["labels"] == {
        "fake:8": {"entries": 300, "bytes": 300 * 56, "hits": 0, "tokens_saved": 0, "dollars_saved": None},
        "openai:text-embedding-3-small": {
            "entries": 50,
            "bytes": 50 * (1536 * 4 + 24),
            "hits": 50,
            "tokens_saved": tokens,
            "dollars_saved": pytest.approx(tokens * 0.02 / 1e6),
        },
    }
    lines = run("cache", "stats", "--cache", filled).out.splitlines()
    assert lines[0] == str(filled)
    assert lines[1].startswith("350 entries, ")
    assert lines[1].endswith("50 hits (12% of all look-ups), 350 misses")
    assert lines[4].split() == ["openai:text-embedding-3-small", "50", "301.2", "KiB", "50", str(tokens), "$0.000002"]


def test_an_estimate_saves_nothing(run, filled, server):
    def saved():
        return json.loads(run("cache", "stats", "--json", "--cache", filled).out)

    before = saved()
    assert before["hits"] == 50
    hosted = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": filled}
    with Embedder("openai:text-embedding-3-small", **hosted) as embedder:
        assert embedder.estimate(TEXTS[:50]).cached == 50
    with Embedder("openai:text-embedding-3-small", **hosted, dimensions=256) as narrower:
        assert narrower.estimate(TEXTS[:50]).cached == 50
    assert saved() == before


@pytest.mark.parametrize("place", ["none", "a file", "a file/below"])
@pytest.mark.parametrize("job", ["stats", "verify", "prune", "clear --yes", "export all.bin"])
def test_where_there_is_no_cache_that_is_said_and_none_is_made(refuses, tmp_path, place, job):
    (tmp_path / "a file").write_text("mine")
    for more in ([], ["--json"]):
        said = refuses("cache", *job.split(), "--cache", tmp_path / place, *more)
        assert said == f"there is no cache in {str(tmp_path / place)!r}\n"
    assert [path.name for path in tmp_path.iterdir() if path.name != "user-cache"] == ["a file"]
    assert (tmp_path / "a file").read_text() == "mine"


@pytest.mark.parametrize("place", ["a file", "a file/below", "folder"])
def test_nothing_is_imported_to_where_a_file_is(run, refuses, filled, tmp_path, place):
    run("cache", "export", "all.bin", "--cache", filled)
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "entries").write_text("mine")
    assert "directory" in refuses("cache", "import", "all.bin", "--cache", tmp_path / place)


@pytest.mark.parametrize("job", ["stats", "verify"])
def test_on_the_first_day_the_users_own_cache_is_empty_and_no_fault(run, tmp_path, job):
    ran = run("cache", job)
    assert (ran.status, ran.out.splitlines()[1]) == (0, "0 entries")
    assert json.loads(run("cache", job, "--json").out)["entries"] == 0
    assert not [*tmp_path.rglob("*.db")]


def test_a_model_is_forgotten_by_any_name_of_its_provider(run, tmp_path):
    with Embedder("fake:8", cache=tmp_path / "own") as embedder:
        embedder.embed_query("a")
    assert run("cache", "clear", "--yes", "--cache", "own", "--model", "FAKE:8").out == "1 entry deleted\n"


def test_an_empty_cache_has_stats_and_is_sound(run):
    with Embedder("fake:8") as embedder:
        embedder.embed_query("a text")
    run("cache", "clear", "--yes")
    assert run("cache", "stats").out.splitlines()[1].startswith("0 entries")
    assert run("cache", "verify").out == "0 entries, all of them sound\n"


@pytest.mark.parametrize("job", ["stats", "verify", "prune", "clear", "export"])
def test_a_folder_that_is_not_there_is_told_and_not_made(refuses, tmp_path, job):
    file = ("all.bin",) if job == "export" else ()
    assert "there is no cache in 'typo'" in refuses("cache", job, *file, "--cache", "typo")
    assert not (tmp_path / "typo").exists()


@pytest.mark.usefixtures("minilm_path")
def test_one_model_has_one_line_whichever_name_its_provider_was_given(run, tmp_path):
    for number, name in enumerate(("local", "huggingface", "sentence-transformers")):
        with Embedder(f"{name}:all-MiniLM-L6-v2", cache=tmp_path / "own") as embedder:
            embedder.embed_query(f"text {number}")
    with Embedder("local:sentence-transformers/all-MiniLM-L6-v2", cache=tmp_path / "own") as embedder:
        embedder.embed_query("text 0")
    labels = json.loads(run("cache", "stats", "--cache", "own", "--json").out)["labels"]
    assert {name: (held["entries"], held["hits"]) for name, held in labels.items()} == {
        "sentence-transformers:all-MiniLM-L6-v2": (3, 1)
    }


def test_verify_reads_every_entry_with_a_bar_and_fails_for_damage(run, filled):
    ran = run("cache", "verify", "--cache", filled, "--progress")
    assert (ran.status, ran.out) == (0, "350 entries, all of them sound\n")
    assert "350/350" in ran.err
    damage(filled, 3)
    ran = run("cache", "verify", "--cache", filled)
    assert (ran.status, ran.err) == (1, "")
    assert ran.out == "350 entries, 3 of them damaged: they are misses, and will be asked for again\n"
    assert json.loads(run("cache", "verify", "--cache", filled, "--json").out) == {"entries": 350, "damaged": 3}


def test_prune_deletes_what_is_older_than_an_age(run, filled):
    assert run("cache", "prune", "--cache", filled, "--older-than", "1h").out.startswith("0 entries deleted, ")
    change(filled, "UPDATE Cache SET store_time = ? WHERE tag = 'fake:8'", time.time() - 7200)
    assert json.loads(run("cache", "prune", "--cache", filled, "--older-than", "1h", "--json").out)["deleted"] == 300
    left = json.loads(run("cache", "stats", "--cache", filled, "--json").out)["labels"]
    assert list(left) == ["openai:text-embedding-3-small"]


@pytest.mark.parametrize("age", ["", "3", "d", "0d", "-1d", "3 days"])
def test_an_age_that_cannot_be_read_is_refused(run, age):
    with pytest.raises(SystemExit) as caught:
        run("cache", "prune", f"--older-than={age}")
    assert caught.value.code == 2


def test_clear_asks_first_and_takes_one_model_or_all(run, refuses, filled):
    assert "pass --yes" in refuses("cache", "clear", "--cache", filled)
    assert "it holds 'fake:8', 'openai:text-embedding-3-small'" in refuses(
        "cache", "clear", "--cache", filled, "--yes", "--model", "fake:9"
    )
    assert run("cache", "clear", "--cache", filled, "--yes", "--model", "fake:8").out == "300 entries deleted\n"
    assert run("cache", "clear", "--cache", filled, "--yes").out == "50 entries deleted\n"
    assert json.loads(run("cache", "stats", "--cache", filled, "--json").out)["entries"] == 0


def test_a_person_at_a_terminal_is_asked(run, filled):
    no = run("cache", "clear", "--cache", filled, stdin=b"\n", terminal=True)
    assert (no.status, no.err) == (1, "nothing was deleted\n")
    assert no.out == f"Delete 350 entries of {filled}? [y/N] "
    yes = run("cache", "clear", "--cache", filled, stdin=b"y\n", terminal=True)
    assert (yes.status, yes.out.rpartition("] ")[2]) == (0, "350 entries deleted\n")


def test_an_export_carries_all_entries_to_another_machine(run, filled, tmp_path):
    ran = run("cache", "export", "all.bin", "--cache", filled, "--progress")
    assert (ran.status, ran.out) == (0, "350 entries → all.bin\n")
    assert "350" in ran.err
    assert run("cache", "import", "all.bin", "--cache", "other").out == "350 entries taken over\n"
    with Embedder("fake:8", cache=tmp_path / "other") as embedder:
        assert embedder.embed(TEXTS).report.hits == 300
    assert json.loads(run("cache", "import", "all.bin", "--cache", "other", "--json").out) == {
        "entries": 350,
        "damaged": 0,
        "complete": True,
    }


def test_an_import_says_what_it_could_not_take(run, refuses, filled, tmp_path):
    run("cache", "export", "all.bin", "--cache", filled)
    whole = (tmp_path / "all.bin").read_bytes()
    (tmp_path / "short.bin").write_bytes(whole[:-1000])
    ran = run("cache", "import", "short.bin", "--cache", "other")
    assert ran.status == 1
    assert ran.out == "349 entries taken over; the file ends too early\n"
    (tmp_path / "text.txt").write_text("no cache at all")
    assert "is neither an export nor a cache file" in refuses("cache", "import", "text.txt", "--cache", "other")
    assert refuses("cache", "import", "none.bin").endswith("none.bin: No such file or directory\n")


def test_a_cache_that_cannot_be_opened_is_one_line(refuses, tmp_path):
    (tmp_path / "entries" / "cache.db").mkdir(parents=True)
    refuses("cache", "stats", "--cache", tmp_path)


def test_an_export_takes_the_place_of_no_folder_and_no_device(run, refuses, filled, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (".", "pipe"):
        assert f"{place} is no file; export to one" in refuses("cache", "export", place, "--cache", filled)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("real")
    assert run("cache", "export", "link", "--cache", filled).status == 0
    assert (tmp_path / "link").is_symlink()


def test_the_cache_is_not_exported_over_itself(run, refuses, filled):
    assert "is the cache itself" in refuses("cache", "export", filled / "entries" / "cache.db", "--cache", filled)
    assert json.loads(run("cache", "stats", "--cache", filled, "--json").out)["entries"] == 350


def break_index(folder):
    """Make the index over labels unreadable, as a bad disk does."""
    file = folder / "entries" / "cache.db"
    ((page,),) = change(folder, "SELECT rootpage FROM sqlite_master WHERE name = 'Cache_tag_size'")
    ((size,),) = change(folder, "PRAGMA page_size")
    with file.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * 8)


def test_a_damaged_cache_says_what_can_be_done_and_can_be_cleared(run, refuses, filled):
    break_index(filled)
    for job in ("stats", "prune", "clear --yes --model fake:8"):
        said = refuses("cache", *job.split(), "--cache", filled)
        assert said.startswith(f"{filled / 'entries' / 'cache.db'} is damaged (")
        assert "`export` saves what can be read of it, `clear` deletes it" in said
    assert run("cache", "export", "all.bin", "--cache", filled).out == "350 entries → all.bin\n"
    assert run("cache", "clear", "--yes", "--cache", filled).out == "350 entries deleted\n"
    assert list((filled / "entries").iterdir()) == []
    assert run("cache", "import", "all.bin", "--cache", filled).out == "350 entries taken over\n"


def test_verify_does_not_call_a_file_sound_that_had_to_be_set_aside(run, filled):
    file = filled / "entries" / "cache.db"
    file.write_bytes(b"noise" * 20_000)
    with pytest.warns(CacheWarning, match="was damaged"):
        ran = run("cache", "verify", "--cache", filled)
    assert ran.status == 1
    assert ran.out == "0 entries, all of them sound, are what could be read of a damaged file\n"


def test_nobody_learns_texts_from_a_cache(run, filled):
    run("cache", "export", "all.bin", "--cache", filled)
    for path in filled.rglob("*"):
        assert path.is_dir() or b"text 1" not in path.read_bytes()


def test_prune_does_not_delete_a_file_that_it_has_just_set_aside(run, filled):
    file = filled / "entries" / "cache.db"
    with file.open("r+b") as stream:
        stream.write(b"not a database")
    for left in (1, 0):
        with pytest.warns(CacheWarning, match="was damaged") if left else nullcontext():
            assert run("cache", "prune", "--cache", filled).status == 0
        assert len(list(file.parent.glob("*.corrupt-*"))) == left


def test_the_table_of_models_fits_a_terminal_whatever_a_folder_is_called(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with Embedder("fake:8", cache="own") as embedder:
        embedder.embed_query("a")
    cache = DiskCache("own")
    cache.put_many({b"k" * 32: b"value"}, label=f"sentence-transformers:/models{'/folder' * 20}/my-finetune")
    cache.close()
    lines = run("cache", "stats", "--cache", "own").out.splitlines()[2:]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("…") and "/my-finetune " in line for line in lines)
