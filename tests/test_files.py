"""Files are whole or not there, whoever writes them at once, and nothing that is no file is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, SpaceMismatchError, VectorSpace, guard
from embedbridge._core.canary import Canary
from embedbridge._files import create_file, replace_file
from embedbridge._frameworks.index_guard import space_files
from embedbridge.reduction import PCA

FIRST_GUARD = """
import sys
from embedbridge import Embedder, SpaceMismatchError, guard
embedder = Embedder(sys.argv[1], cache=False)
for index in sys.stdin:
    try:
        guard(index.rstrip(), embedder)
        print("passed", flush=True)
    except SpaceMismatchError:
        print("refused", flush=True)
"""


def test_of_two_processes_with_different_models_one_is_the_first_to_guard_an_index(tmp_path):
    """R2."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_GUARD, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for model in ("fake:32", "fake:64")
    ]
    for turn in range(20):
        for process in both:
            print(tmp_path / f"index-{turn}", file=process.stdin, flush=True)
        assert sorted(process.stdout.readline() for process in both) == ["passed\n", "refused\n"]
    for process in both:
        process.communicate()


def at_once(function, count):
    """What each of several threads returns or raises that call a function at one moment."""
    line = threading.Barrier(count)

    def run(number):
        line.wait()
        try:
            return function(number)
        except Exception as error:  # which one is the question
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_threads_that_guard_one_index_at_once_agree_about_who_was_first(tmp_path):
    """R2."""
    embedders = [Embedder(f"fake:{32 + 32 * (number % 2)}", cache=False) for number in range(8)]
    for turn in range(40):
        index = tmp_path / f"chroma.{turn}" if turn % 2 else tmp_path / f"chroma-{turn}"

        def use(number, index=index):
            if number < 8:
                return guard(index, embedders[number])
            return index.mkdir(exist_ok=True)  # whoever makes the index does so at the same moment

        outcomes = at_once(use, 9)[:8]
        kept = VectorSpace.load(next(space_files(index))).model
        for embedder, outcome in zip(embedders, outcomes, strict=True):
            assert (outcome is embedder) if embedder.space.model == kept else isinstance(outcome, SpaceMismatchError)


@pytest.mark.parametrize("name", ["chroma.v1", "chroma", "index.faiss"])
@pytest.mark.parametrize("made", ["folder", "file"])
def test_an_index_keeps_its_guard_when_it_is_made_after_the_first_call(tmp_path, name, made):
    """C7."""
    if (name, made) == ("chroma", "file"):
        pytest.skip("a name without an ending is made a folder at the first call")
    index = tmp_path / name
    guard(index, Embedder("fake:64", cache=False))
    if made == "folder":
        index.mkdir(exist_ok=True)
    else:
        index.write_bytes(b"")
    guard(index, Embedder("fake:64", cache=False))
    with pytest.raises(SpaceMismatchError):
        guard(index, Embedder("fake:32", cache=False))
    assert len(list(tmp_path.rglob("*embedbridge-space.json"))) == 1


def test_an_index_with_two_spaces_of_different_models_is_refused(tmp_path):
    """C7: an earlier release may have written both."""
    index = tmp_path / "chroma.v1"
    guard(index, Embedder("fake:64", cache=False))
    index.mkdir()
    Embedder("fake:32", cache=False).space.save(index / "embedbridge-space.json")
    for width in (32, 64):
        with pytest.raises(SpaceMismatchError):
            guard(index, Embedder(f"fake:{width}", cache=False))


def test_many_threads_may_save_to_one_file(tmp_path):
    """R3."""
    path, rows = tmp_path / "pca.npz", np.random.default_rng(0).normal(size=(64, 32))
    fitted = [PCA(count).fit(rows) for count in range(2, 10)]
    fitted[0].save(path)

    def save_and_load(number):
        for _ in range(20):
            fitted[number].save(path)
            assert 2 <= PCA.load(path).n_components < 10
            Embedder(f"fake:{number + 1}").space.save(tmp_path / "space.json")
            VectorSpace.load(tmp_path / "space.json")

    assert at_once(save_and_load, 8) == [None] * 8
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pca.npz", "space.json"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    """R3."""

    def fail(stream):
        stream.write(b"half")
        raise MemoryError

    (tmp_path / "kept").write_bytes(b"old")
    for write in (replace_file, create_file):
        with pytest.raises(MemoryError):
            write(tmp_path / ("kept" if write is replace_file else "new"), fail)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"old"


def test_a_file_is_made_once_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    """R2. A file system without links cannot be had here, so the one call is made to fail as there."""

    def no_links(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    assert sorted(at_once(lambda number: create_file(tmp_path / "file", lambda out: out.write(b"%d" % number)), 8)) == [
        *[False] * 7,
        True,
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_named_at_once(tmp_path, make):
    """R6."""
    path = tmp_path / "embedbridge-space.json"
    make(path)
    embedder = Embedder("fake:8", cache=False)
    for use in (lambda: guard(tmp_path, embedder), lambda: VectorSpace.load(path), lambda: Canary.load(path)):
        with pytest.raises(ConfigurationError, match="no regular file"):
            use()
    with pytest.raises(ConfigurationError, match="no regular file"):
        PCA.load(path)
    with pytest.raises(OSError, match="no regular file"):
        embedder.space.save(path)
