"""Local models while a program ends: threads that go on, threads that start late, functions of `atexit`."""

from __future__ import annotations

import subprocess
import sys
import weakref
import zipfile
from pathlib import Path

import pytest

import embedbridge
from embedbridge import Embedder
from embedbridge.providers._loaded_model import Workers

pytestmark = pytest.mark.torch
LATE = """
import asyncio, threading
from embedbridge import Embedder

embedder, texts = Embedder(cache=False, provider_options={"batch_tokens": 64}), [f"text {n}" for n in range(40)]
LOAD

def work():
    threading.main_thread().join()
    print(embedder.embed(texts).vectors.shape)
    late = threading.Thread(target=lambda: print(embedder.embed_query("a").shape))
    late.start()
    late.join()
    print(asyncio.run(embedder.aembed_query("b")).shape)

threading.Thread(target=work).start()
"""
AT_EXIT = """
import atexit

def last(name):
    print(name, embedder.embed(texts).vectors.shape)

atexit.register(last, "registered first")
from embedbridge import Embedder
atexit.register(last, "registered after the import")
embedder, texts = Embedder(cache=False, provider_options={"batch_tokens": 64}), [f"text {n}" for n in range(40)]
embedder.embed(texts)
"""
LEFT = """
import atexit, threading, time

def use_up_time():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        time.sleep(0.01)

atexit.register(use_up_time)  # runs after ours: the thread must not take this for its own work
from embedbridge import Embedder

embedder, begun = Embedder(cache=False), threading.Event()

def go_on():
    while True:
        embedder.embed([f"{n} " + "word " * 100 for n in range(4)])
        begun.set()

threading.Thread(target=go_on, daemon=True).start()
begun.wait()
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("load", ["embedder.embed(texts)", ""], ids=["loaded before", "loaded after"])
def test_threads_that_outlive_the_main_thread_have_their_model(load):
    """U2: a scheduler's or a consumer's threads, and those that they start; also when the model is still to be read."""
    assert run(LATE.replace("LOAD", load)) == ["(40, 384)", "(384,)", "(384,)"]


@pytest.mark.slow
def test_functions_of_atexit_have_their_model():
    """U2: registered before or after the package was imported."""
    assert run(AT_EXIT) == ["registered after the import (40, 384)", "registered first (40, 384)"]


@pytest.mark.slow
def test_a_program_ends_quietly_while_a_daemon_thread_embeds():
    """U2: the interpreter ends daemon threads, and must find none of them in a native library."""
    run(LEFT)


def test_who_has_an_outcome_has_the_last_reference_to_what_made_it():
    """U2: a tensor that a daemon thread frees while the interpreter ends aborts the process."""

    class Work:
        def __call__(self):
            return "done"

    workers, interval = Workers(1), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(2000):
            work = Work()
            kept = weakref.ref(work)
            assert workers.run(work) == "done"
            del work
            assert kept() is None
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("cannot schedule new futures after shutdown"), "RuntimeError: cannot schedule new futures"),
        (ValueError("no vector of 'a secret text' here"), "ValueError: no vector of '…' here"),
        (RuntimeError("unquoted Secret here"), "RuntimeError: unquoted … here"),
        (IndexError("a view of a leaf"), "IndexError: a view of a leaf"),
    ],
)
def test_why_a_model_failed_is_said_without_the_text(monkeypatch, error, said):
    """U2: the cause was hidden. N4: no text in errors."""

    def fail(*_, **__):
        raise error

    embedder = Embedder(cache=False, max_retries=0)
    monkeypatch.setattr(embedder._parts.provider.load(), "_encode", fail)
    with pytest.raises(embedbridge.EmbeddingError, match=said) as caught:
        embedder.embed(["Secret"])
    assert "ecret" not in str(caught.value)


def test_the_package_works_from_a_zip(tmp_path):
    """U10: as Spark and Glue ship it."""
    root, archive = Path(embedbridge.__file__).parent, tmp_path / "packages.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in root.rglob("*"):
            if path.suffix in {".py", ".toml", ".typed"}:
                packed.write(path, Path("embedbridge") / path.relative_to(root))
    program = f"""
import sys
sys.path.insert(0, {str(archive)!r})
import embedbridge
from embedbridge import Embedder
from embedbridge.catalogue import cards
assert embedbridge.__file__.startswith({str(archive)!r}), embedbridge.__file__
print(len(list(cards())) > 150, Embedder("fake:8", cache=False).embed(["a"]).vectors.shape)
print("max tokens" in str(Embedder(cache=False).describe()))
"""
    assert run(program) == ["True (1, 8)", "True"]
