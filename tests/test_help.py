"""What an editor, `help()` and a JSON schema tell of the options: each by its name, and everywhere the same."""

from __future__ import annotations

import inspect
import json
import pydoc
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from embedbridge import Embedder, EmbedderOptions, keywords
from embedbridge._meanings import meanings
from embedbridge.keywords import EndpointDict
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.options import EndpointOptions
from support import known_models
from support.cases import each
from support.completions import completions

ROOT = Path(__file__).parents[1]
OPTIONS = EmbedderOptions.model_fields
KINDS = (EmbedderOptions, Embedder, BridgeEmbeddings, BridgeEmbedding)


def test_every_option_has_a_keyword_with_its_meaning_and_no_other_place_repeats_it():
    told = meanings("Common", "Options")
    assert {*told} == {*keywords.Options.__annotations__} == {*OPTIONS} - {"model"}
    assert {*meanings("EndpointDict")} == {*EndpointDict.__annotations__} == {*EndpointOptions.model_fields}
    package = Path(keywords.__file__).parent
    for file in (package / "options.py", package / "_endpoint_options.py"):
        text = " ".join(file.read_text(encoding="utf-8").split())
        assert [name for name, meaning in told.items() if " ".join(meaning.split()) in text] == []


@pytest.mark.parametrize("kind", KINDS)
def test_help_explains_every_option_and_what_is_raised(kind):
    page = " ".join(pydoc.plain(pydoc.render_doc(kind)).replace("|", " ").split())
    told = {name: f"{name}: {' '.join(told.split())}" for name, told in meanings("Common", "Options").items()}
    assert [name for name, meaning in told.items() if meaning not in page] == []
    assert "ConfigurationError: " in page
    assert "ValidationError" not in page.partition("Method resolution order")[0]
    assert [*inspect.signature(kind).parameters] == [*OPTIONS]
    assert "FieldInfo" not in str(inspect.signature(kind))


def test_help_begins_with_a_signature_of_one_parameter_per_line():
    """It was one line of 1,654 characters."""
    functions = [face.wrap for face in KINDS[2:]]
    if find_spec("ray"):
        functions.append(import_module("embedbridge.ray_data").embed_dataset)
    for kind in (*KINDS, *functions):
        page = pydoc.plain(pydoc.render_doc(kind)).partition("Method resolution order")[0]
        assert max(map(len, page.splitlines())) <= 180, kind
    for kind in KINDS:
        page = pydoc.plain(pydoc.render_doc(kind))
        assert "\n |      cache: CachePlace | Sequence[CachePlace] = True,\n" in page
        assert "\n |      observers: Sequence[Observer] | None = (),\n" in page


def test_a_schema_describes_every_option_that_json_can_hold():
    schema = EmbedderOptions.model_json_schema()
    for described in (schema["properties"], schema["$defs"]["EndpointOptions"]["properties"]):
        assert [name for name, told in described.items() if not told.get("description")] == []
    assert json.dumps(schema)


def test_the_models_that_an_editor_completes_are_those_of_the_catalogue():
    assert known_models.FILE.read_text(encoding="utf-8") == known_models.text(), known_models.__doc__


@each("kind", KINDS)  # in one process, which then has read the frameworks once
def test_an_editor_completes_every_option_at_each_constructor(kind):
    offered = completions(f"from {kind.__module__} import {kind.__name__}\n{kind.__name__}(")
    assert {f"{name}=" for name in OPTIONS} - offered == set()


def test_an_editor_completes_the_keywords_of_a_stand_ins_original():
    offered = completions("from embedbridge.langchain import OpenAIEmbeddings\nOpenAIEmbeddings(c")
    assert {"chunk_size=", "check_embedding_ctx_length="} <= offered


@pytest.mark.slow
def test_pyright_accepts_the_calls_that_people_write_and_finds_their_slips():
    """mypy reads the same file as part of its own run."""
    pytest.importorskip("ray")
    pytest.importorskip("basedpyright")
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = json.loads(done.stdout)
    errors = [each for each in found["generalDiagnostics"] if each["severity"] == "error"]
    assert [f"{each['range']['start']['line'] + 1}: {each['message']}" for each in errors] == []
    assert found["summary"]["filesAnalyzed"] == 1


def test_the_hints_of_the_constructor_are_found_although_the_options_load_late():
    code = (
        "import sys, typing; from embedbridge import Embedder; late = 'embedbridge.keywords' not in sys.modules\n"
        "from embedbridge.keywords import Options; hints = typing.get_type_hints(Embedder.__init__)\n"
        "assert late and hints['options'] == typing.Unpack[Options]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
