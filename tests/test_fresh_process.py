"""A pickle or a Ray task in a fresh process with other surroundings: the same identity, or a refusal by name."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embedbridge import Embedder, EmbedderOptions
from embedbridge._run.stored import as_data
from support.golden import Asked, keys_of
from support.keys import KEYS
from test_doors import EACH, ELSEWHERE, MODELS, OWN, TOGETHER, options_with, place  # noqa: F401 - a fixture

ELSE = {
    "OPENAI_BASE_URL": "https://other.example/v1",
    "OPENAI_ORG_ID": "another",
    "OPENAI_CUSTOM_HEADERS": "x-model: another",
    "AZURE_OPENAI_ENDPOINT": "https://other.openai.azure.com",
    "OPENAI_API_VERSION": "2024-02-01",
    "CO_API_URL": "https://other.example",
    "OLLAMA_HOST": "other.example:1",
    "OLLAMA_CONTEXT_LENGTH": "77",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HF_HOME": "/nowhere",
    "HF_HUB_OFFLINE": "1",
}
"""Variables of the other process."""
THERE = """
import pickle, sys
from embedbridge import ConfigurationError, Embedder
from embedbridge._run.stored import as_data
sys.path.insert(0, sys.argv[2])
from support.golden import Asked, keys_of
found = {}
with open(sys.argv[1], "rb") as file:
    stored = pickle.load(file)
for name, frozen in stored.items():
    try:
        made = pickle.loads(frozen)
        if isinstance(made, tuple):  # as an actor of Ray makes it
            options, space = made
            made = Embedder(**options)
            made.check_space(space)
        embedder = getattr(made, "embedder", made)
        keys = [keys_of(embedder, embedder.options.cache, "a", role) for role in ("query", "document")]
        found[name] = (keys, embedder.space.fingerprint, as_data(embedder))
    except ConfigurationError as error:
        found[name] = str(error)
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""


REFUSALS = ("would not ask as its original", "there is no model folder", "is not a PCA that can be read here")
KINDS: dict[str, Any] = {
    "embedder": lambda made: made,
    "langchain": lambda made: made.as_langchain(),
    "llama-index": lambda made: made.as_llama_index(),
    "Ray": lambda made: (made.options.portable(), made.space_known()),
}


def cases() -> dict[str, dict[str, Any]]:
    """Options of embedders: each option, each option of each provider, and paths that depend on the folder."""
    apart = {
        "rate_limiter",
        "cache",
        "cache_ttl",
        "cache_size_limit",
    }  # a limiter does not travel, and a cache is given
    found = {name: options_with(name) for name in EmbedderOptions.model_fields if name not in apart}
    for provider, name in EACH:
        own = {name: OWN[name], **TOGETHER.get(name, {})}
        if OWN[name] is None or name in ELSEWHERE | {
            "api_key_provider",
            "azure_ad_token",
            "credential_headers",
            "http2",
        }:
            continue  # objects, packages that are not everywhere, and what does not travel
        if provider == "ollama" and "default_headers" in own:
            own["headers"] = own.pop("default_headers")
        if {"default_headers", "headers"} & own.keys():
            own["routing_headers"] = ["x-model"]
        if provider == "azure":
            own = {"api_version": "2024-10-21", "azure_endpoint": "https://name.openai.azure.com"} | own
        found[f"{provider} {name}"] = {"model": f"{provider}:{MODELS[provider]}", "provider_options": own}
    for address in ("https://gateway.example/v1", "http://127.0.0.1:9/v1"):
        found |= {f"{model} at {address}": {"model": model, "base_url": address} for model in ("openai:m", "ollama:m")}
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_in_other_surroundings_an_embedder_is_the_same_or_is_refused(kind, place, monkeypatch, tmp_path):  # noqa: F811 - the fixture
    """C3, N8: another address, other headers, another home of models, another folder, another proxy."""
    monkeypatch.chdir(place)
    for variable in KEYS:
        monkeypatch.setenv(variable, "sk-of-the-environment")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    frozen, expected = {}, {}
    for name, options in cases().items():
        embedder = Embedder(**{**options, "cache": Asked()})
        frozen[name] = pickle.dumps(KINDS[kind](embedder))
        assert b"sk-" not in frozen[name]
        keys = [keys_of(embedder, embedder.options.cache, "a", role) for role in ("query", "document")]
        expected[name] = (keys, embedder.space.fingerprint, as_data(embedder))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pickles").write_bytes(pickle.dumps(frozen))
    command = [sys.executable, "-c", THERE, str(tmp_path / "pickles"), str(Path(__file__).parent)]
    subprocess.run(command, check=True, cwd=tmp_path / "elsewhere", env={**os.environ, **ELSE}, timeout=100)
    found = pickle.loads((tmp_path / "pickles").read_bytes())  # noqa: S301 - our own
    for name, there in found.items():
        if isinstance(there, str):
            assert any(known in there for known in REFUSALS), (name, there)
        else:
            assert there == expected[name], name
    same = {name for name, there in found.items() if there == expected[name]}
    assert {"timeout", "fake latency", "voyage query", "ollama:m at https://gateway.example/v1"} <= same
    assert {"openai body", "cohere verify", "ollama num_ctx", "sentence-transformers device"} <= {*found} - same
