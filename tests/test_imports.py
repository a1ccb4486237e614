"""What importing the package costs and gives, and what is said when an extra is missing.

Absence is simulated: a subprocess replaces Python's path finder by one that does not find the extras' packages.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import embedbridge
from embedbridge import errors
from support.cases import each

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "embedbridge"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HEAVY = {
    *("langchain", "langchain_core", "llama_index", "llama_index_core"),
    *("openai", "cohere", "voyageai", "ollama", "httpx", "httpx2", "httpcore", "requests", "aiohttp"),
    *("torch", "transformers", "sentence_transformers", "tokenizers", "tiktoken", "huggingface_hub", "onnxruntime"),
    *("redis", "ray", "opentelemetry", "tqdm", "pandas", "pyarrow", "sklearn"),
}
"""Frameworks, SDKs and whatever else a user of the fake provider never needs."""

ABSENT = """
import importlib, json, sys
from importlib.machinery import PathFinder

hidden = set(json.loads(sys.argv[1]))

class WithoutExtras:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else PathFinder.find_spec(name, path, target)

    invalidate_caches = PathFinder.invalidate_caches
    find_distributions = PathFinder.find_distributions

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras
from embedbridge import Embedder, MissingExtraError
said = {}
"""
TRY = """
    try:
        %s
    except MissingExtraError as error:
        said[name] = str(error)
    except Exception as error:
        said[name] = f"not a MissingExtraError but {error!r}"
print(json.dumps(said))
"""


def python(code, *arguments):
    """What a fresh interpreter prints; any warning is an error there too."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    run = subprocess.run(
        command, env={"PYTHONPATH": str(PACKAGE.parent), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def without_extras(names, statement):
    """Name → what the MissingExtraError says, for each name for which `statement` raises one."""
    code = f"{ABSENT}\nfor name in json.loads(sys.argv[2]):{TRY % statement}"
    return json.loads(python(code, json.dumps(sorted(HEAVY - {"tqdm"})), json.dumps(names)))


def test_importing_the_package_imports_no_framework_sdk_or_model_library():
    loaded = python("import sys; from embedbridge import *; print(*sys.modules)").split()
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_importing_the_package_loads_nothing_heavy_until_it_is_needed():
    later = {"asyncio", "diskcache", "importlib.metadata", "redis", "sqlite3", "ssl"}
    for code, absent in (
        ("import embedbridge", later | {"numpy", "pydantic"}),
        ("import embedbridge.errors", later | {"numpy", "pydantic"}),
        ("from embedbridge import Embedder", later | {"pydantic", "fractions", "tomllib"}),
        ("from embedbridge import Embedder, EmbedderOptions, guard", later | {"importlib.resources"}),
    ):
        loaded = python(f"{code}\nimport sys; print(*sys.modules)").split()
        assert absent.intersection(loaded) == set(), code


def test_importing_the_embedder_never_looks_for_a_class_in_every_loaded_module():
    """As `inspect.getsource` of a class does, and pydantic where it reads the docstrings below its fields."""
    assert python("import inspect; inspect.getmodule = None; from embedbridge import Embedder") == ""


def test_a_whole_call_on_the_fake_needs_none_of_them_either(tmp_path):
    code = """
import sys
from embedbridge import Embedder
with Embedder("fake:8", cache=sys.argv[1]) as embedder:
    embedder.embed_documents(["a", "b"]), embedder.embed_query("a"), embedder.space
print(*sys.modules)
"""
    loaded = python(code, str(tmp_path)).split()
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_public_names_are_sorted_and_complete():
    assert embedbridge.__all__ == sorted(name for name in dir(embedbridge) if not name.startswith("_"))
    assert [name for name in embedbridge.__all__ if not hasattr(embedbridge, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'Embeder'"):
        _ = embedbridge.Embeder


def test_rooms_are_there_without_an_import_of_their_own():
    code = (
        "import embedbridge; print(embedbridge.cache.DiskCache.__name__, embedbridge.providers.BaseProvider.__name__)"
    )
    assert python(code).split() == ["DiskCache", "BaseProvider"]


def test_public_names_are_documented():
    undocumented = [name for name in embedbridge.__all__ if not getattr(embedbridge, name).__doc__]
    assert [name for name in undocumented if name != "InputType"] == []


@each("name", sorted({*errors.__dict__} & {name for name in dir(errors) if name[0].isupper()}))
def test_every_error_can_be_imported_from_the_package(name):
    kind = getattr(errors, name)
    if isinstance(kind, type) and issubclass(kind, errors.EmbeddingError | errors.CacheWarning):
        assert getattr(embedbridge, name) is kind


def test_the_version_is_that_of_the_distribution():
    assert embedbridge.__version__ == PROJECT["version"]


OLD = "embedbridge.core"
"""Warns that it has moved: tests/test_old_names.py."""


def module_names():
    names = (path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py"))
    dotted = {".".join(parts).removesuffix(".__init__") for parts in names}
    return sorted(name for name in dotted - {OLD} if not name.endswith("__main__"))


BEHIND_OTHERS = ("embedbridge.providers.", "embedbridge.cache._byte_store")
"""Modules that are reached through a model's name or a method, which then say what is missing."""


def extra_in(message):
    """The extra that a message says to install."""
    found = re.search(r'pip install "embedbridge\[([a-z-]+)\]"', message)
    return found.group(1) if found and found.group(1) in PROJECT["optional-dependencies"] else message


def test_every_module_imports_without_extras_or_names_the_command_that_installs_them():
    names = [name for name in module_names() if not name.startswith(BEHIND_OTHERS)]
    said = without_extras(names, "importlib.import_module(name)")
    extras = {name: extra_in(message) for name, message in said.items()}
    assert {name: extra for name, extra in extras.items() if extra not in PROJECT["optional-dependencies"]} == {}
    assert extras["embedbridge.langchain"] == "langchain"
    assert extras["embedbridge.llama_index"] == "llama-index"
    assert not {"embedbridge.cache", "embedbridge.cli", "embedbridge.providers", "embedbridge.testing"} & set(said)


@pytest.mark.slow
def test_every_module_imports_with_extras():
    names = [name for name in module_names() if name != "embedbridge.ray_data" or find_spec("ray")]
    python("import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)


@pytest.mark.parametrize(
    ("key", "extras"),
    [
        (
            "k",
            {
                "openai:text-embedding-3-small": "openai",
                "azure:my-deployment": "openai",
                "voyage:voyage-3.5": "voyage",
                "cohere:embed-v4.0": "cohere",
                "ollama:nomic-embed-text": "ollama",
                "nvidia:nvidia/nv-embedqa-e5-v5": "nvidia",
                "jina:jina-embeddings-v3": "jina",
                "tei:BAAI/bge-m3": "tei",
            },
        ),
        (None, {"sentence-transformers:all-MiniLM-L6-v2": "local", "local:BAAI/bge-m3": "local"}),
    ],
    ids=["hosted", "local"],
)
def test_a_provider_without_its_extra_says_so_at_construction(key, extras):
    said = without_extras([*extras], f"Embedder(name, api_key={key!r}, cache=False)")
    assert {model: extra_in(said.get(model, "nothing was said")) for model in extras} == extras


def test_redis_without_its_extra_says_so_at_construction():
    url = "redis://localhost:1"
    said = without_extras([url], "Embedder('fake:8', cache=name)")
    assert extra_in(said.get(url, "nothing was said")) == "redis"


def test_a_langchain_store_without_langchain_says_so(tmp_path):
    said = without_extras(
        [str(tmp_path)], "importlib.import_module('embedbridge.cache').DiskCache(name).as_byte_store()"
    )
    assert extra_in(said.get(str(tmp_path), "nothing was said")) == "langchain"


def test_a_face_without_its_framework_says_so():
    extras = {"as_langchain": "langchain", "as_llama_index": "llama-index"}
    said = without_extras([*extras], "getattr(Embedder('fake:8', cache=False), name)()")
    assert {face: extra_in(said.get(face, "nothing was said")) for face in extras} == extras


def test_a_missing_extra_is_a_wrong_configuration_and_a_failed_import():
    assert issubclass(embedbridge.MissingExtraError, ImportError)
    assert issubclass(embedbridge.MissingExtraError, embedbridge.ConfigurationError)
