"""Models and tokenizers as files: nothing of theirs runs unasked, and without a network what is here is enough."""

import json
import pickle
import shutil

import pytest

from cache.parts import run_python
from embedbridge import ConfigurationError, Embedder
from embedbridge.providers import _tiktoken_counter as tokenizer
from roles.parts import variant

from . import case
from .apis import OPENAI
from .client import corpus
from .test_cache_tampering import Bomb

CODE = """
import pathlib
pathlib.Path({trace!r}).touch()
from transformers import BertConfig, BertModel as Own
"""


@pytest.fixture
def planted(minilm_path, tmp_path):
    """A model's folder whose weights are a pickle that leaves a trace, and the trace."""
    without_weights = shutil.ignore_patterns("*.safetensors")
    folder, trace = shutil.copytree(minilm_path, tmp_path / "model", ignore=without_weights), tmp_path / "trace"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(trace)))
    return folder, trace


@case(69)
def test_weights_that_are_a_pickle_run_nothing(caller, planted):
    """Row 69."""
    folder, trace = planted
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        caller.embed(Embedder(f"local:{folder}", cache=False), ["a"])
    assert not trace.exists()


@case(69)
def test_code_that_a_model_brings_does_not_run_unless_it_is_asked_for(caller, minilm_path, tmp_path):
    """Row 69: named by the configuration of the model, and by its list of layers."""
    trace = tmp_path / "trace"
    own = {"auto_map": {"AutoConfig": "own.BertConfig", "AutoModel": "own.Own"}, "model_type": "own"}
    for file in ("config.json", "modules.json"):
        folder = variant(minilm_path, tmp_path / file)
        (folder / "own.py").write_text(CODE.format(trace=str(trace)))
        settings = json.loads((folder / file).read_text())
        (settings if file == "config.json" else settings[1]).update(own | {"type": "own.Own"})
        (folder / file).unlink()  # a link
        (folder / file).write_text(json.dumps(settings))
        with pytest.raises(ConfigurationError, match="cannot be loaded"):
            caller.embed(Embedder(f"local:{folder}", cache=False), ["a"])
        assert not trace.exists()


@case(69)
def test_a_models_own_code_is_asked_for_together_with_a_revision():
    """Row 69: at construction."""
    for own in ({"trust_remote_code": True}, {"trust_remote_code": True, "revision": None}):
        with pytest.raises(ConfigurationError, match="pin it with"):
            Embedder("local:somebody/some-model", cache=False, provider_options=own)


@case(70)
@pytest.mark.parametrize("api", [OPENAI], ids=str)
def test_without_openais_vocabulary_tokens_are_estimated_with_one_warning(client, server, monkeypatch, tmp_path):
    """Row 70: it is not fetched, and only a text that may be too long needs it."""
    monkeypatch.setenv(tokenizer.CACHE_DIR, str(tmp_path / "empty"))
    monkeypatch.setattr(tokenizer, "find_spec", lambda _: None)
    tokenizer.tiktoken_counter.cache_clear()
    try:
        embedder, long = client.open(), ["word " * 2000, "another word " * 1000]
        client.embed(corpus(3), embedder=embedder)
        with pytest.warns(UserWarning, match="tokenizer is not on this machine") as caught:
            report = client.embed(long, embedder=embedder).report
        assert len(caught) == 1
        assert report.cut == ()
        assert server.stats.billed == client.once([*corpus(3), *long])
    finally:
        tokenizer.tiktoken_counter.cache_clear()


OFFLINE = """
import os, sys

reached = []


def refuse(event, _):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        reached.append(event)
        raise OSError("there is no network")


folder, mode = sys.argv[1:]
del os.environ["HF_HUB_OFFLINE"]
sys.addaudithook(refuse)
from embedbridge import ConfigurationError, Embedder
from support.caller import Caller

caller = Caller(mode)
print(caller.embed_documents(Embedder(f"local:{folder}", cache=False), ["Ravens plan ahead."]).shape, reached)
try:
    caller.embed_documents(Embedder("local:nobody/has-this", cache=False), ["a"])
except ConfigurationError as error:
    print(error)
"""


@case(70)
@pytest.mark.slow
def test_a_model_that_is_here_needs_no_hub_and_one_that_is_not_is_named(mode, minilm_path):
    """Row 70."""
    there, missing = run_python(OFFLINE, minilm_path, mode).splitlines()
    assert there == "(1, 384) []"
    assert "nobody/has-this" in missing
    assert "go online once, or download it elsewhere" in missing
