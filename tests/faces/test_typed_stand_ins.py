"""S11: what applications write is what type checkers know, and it works."""

from __future__ import annotations

import json
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

import typed_stand_ins
import typed_stand_ins_of_llama_index
from embedbridge import langchain, llama_index
from embedbridge._frameworks.keywords import Ours
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.keywords import Options

from .conftest import document_vectors

MODULES = (typed_stand_ins, typed_stand_ins_of_llama_index)
FILES = [str(Path(each.__file__)) for each in MODULES]
HOSTED = [calls for each in MODULES for calls in each.HOSTED]
WRONG = """
from embedbridge.langchain import OpenAIEmbeddings
from embedbridge.llama_index import OpenAIEmbedding

OpenAIEmbeddings(modle="a")
OpenAIEmbeddings(chunk_size="a")
OpenAIEmbeddings(too_long="never")
OpenAIEmbedding(1)
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "calls", HOSTED, ids=lambda calls: f"{calls.__module__[16:] or 'of_langchain'}-{calls.__name__}"
)
def test_twelve_calls_of_each_hosted_stand_in_give_vectors(calls, server, monkeypatch):
    for variable in ("OPENAI_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(variable, "sk-x")
    for made in calls(server.url):
        assert np.isfinite(document_vectors(made, ["a text"])).all()
        made.embedder.close()
    assert len(calls(server.url)) == 12


STAND_INS = [
    kind
    for module in (langchain, llama_index)
    for kind in (getattr(module, name) for name in module.__all__)
    if isinstance(kind, type) and issubclass(kind, StandIn)
]
OF_SERVERS = {"api_key", "base_url", "max_retries", "timeout"}
"""Options that a model on this machine has no use for."""


@pytest.mark.parametrize("kind", STAND_INS, ids=lambda kind: f"{kind.__module__.split('.')[1]}-{kind.__name__}")
def test_type_checkers_and_editors_know_each_option_of_ours(kind):
    known = {*signature(kind.__init__).parameters, *get_type_hints(Ours)}
    lacking = set(get_type_hints(Options)) - known - (OF_SERVERS if "HuggingFace" in kind.__name__ else set())
    assert not lacking, "declare it in Common of keywords.py, or among the keywords of each stand-in"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("calls", [each.of_hugging_face for each in MODULES], ids=["lc", "li"])
def test_twelve_calls_of_each_local_stand_in_give_vectors(calls, minilm_path):
    made = calls(str(minilm_path))
    assert len(made) == 12
    for each in made:
        assert np.isfinite(document_vectors(each, ["a text"])).all()


@pytest.mark.slow
def test_pyright_accepts_each_call_and_finds_each_mistake(tmp_path):
    pytest.importorskip("pyright", reason="needs pyright")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, *FILES, str(wrong)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    errors = [fault for fault in json.loads(told)["generalDiagnostics"] if fault["severity"] == "error"]
    assert [fault["message"] for fault in errors if fault["file"] in FILES] == []
    assert len({fault["range"]["start"]["line"] for fault in errors}) == 4
