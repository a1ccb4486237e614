"""Finds the card of a model name, by an exact match only: a wrong family's prefix does more harm than none.

The match ignores the case of hub ids and tags, and endings that name a file format and not a model: `.gguf`, `-GGUF`, a
quantisation. Files in a directory are not read, because a fine-tuned model often has its base model's name there.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import replace
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from embedbridge._core.prepare import check_word

from .rows import VENDORS, cards

if TYPE_CHECKING:
    from collections.abc import Callable

    from .card import ModelCard

__all__ = ["look_up"]

_SERVED = 2048
"""Tokens an Ollama server reads of a text by default, whatever the model allows."""

_QUANTISATION = re.compile(
    r"[-._](?:i1-|ud-)?"
    r"(?:q[1-8]_(?:[01]|k(?:_(?:xs|s|m|l|xl))?)|iq[1-4]_(?:xxs|xs|s|m|nl)|tq[12]_0|mxfp4|(?:f|fp|bf)16|(?:f|fp)32)$"
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_AZURE_RETIRES = date(2028, 2, 9)
"""litellm 1.110, deprecation_date of azure/text-embedding-3-small, -3-large and -ada-002."""
_ANCHORED = re.compile(r"(?:[A-Za-z]:[\\/]|[\\/]|\.\.?[\\/]|~)")


_LM_STUDIO = "text-embedding-"
_CONVERTERS = {
    "unsloth": re.compile(r"$"),
    "xenova": re.compile(r"$"),
    "onnx-community": re.compile(r"-onnx$"),
    "mlx-community": re.compile(r"-(?:[3468]bit(?:-dwq)?|mxfp[48]|bf16|fp16)$"),
}
"""Owners on the hub who convert others' models and keep their names → what they put at the end of them.

Seen in the names of onnx-community/embeddinggemma-300m-ONNX, mlx-community/Qwen3-Embedding-0.6B-4bit-DWQ,
unsloth/embeddinggemma-300m and Xenova/all-MiniLM-L6-v2.
"""
_HEADS = (
    "@cf/",  # Cloudflare Workers AI
    "accounts/fireworks/models/",
    "fireworks/",  # docs.fireworks.ai/guides/querying-embeddings-models
    "pro/",  # SiliconFlow's paid models
    "ai/",  # Docker Model Runner: hub.docker.com/u/ai
    "ibm/",  # watsonx, for ibm-granite: ibm/granite-embedding-278m-multilingual
    # litellm's, for its providers: its LlmProviders
    *(f"{name}/" for name in ("databricks", "docker_model_runner", "jina_ai", "llamafile", "nvidia_nim")),
    *(f"{name}/" for name in ("deepinfra", "fireworks_ai", "hosted_vllm", "huggingface", "infinity", "lm_studio")),
    *(f"{name}/" for name in ("nebius", "ollama", "openrouter", "together_ai", "vllm", "watsonx", "xinference")),
)
"""What servers and gateways put before a model's own name."""


_GEOGRAPHIES = ("apac.", "au.", "ca.", "eu.", "global.", "jp.", "us-gov.", "us.")
"""What the ids of Bedrock's inference profiles have before a model's own."""


def foundation_model(model: str) -> str:
    """The model that an id of Bedrock means: `us.cohere.embed-v4:0`, or an ARN that ends so, is `cohere.embed-v4:0`."""
    check_word("model", model)
    name = model.rpartition("/")[2] if model.startswith("arn:") else model
    return name.removeprefix(next(filter(name.startswith, _GEOGRAPHIES), ""))


def _on_bedrock(model: str) -> ModelCard | None:
    return _by_name("bedrock").get(foundation_model(model))


def look_up(provider: str, model: str) -> ModelCard | None:
    """The card of a model as a provider calls it.

    `openai` also finds models that other servers offer on its wire, by their Hugging Face or Ollama names, and `azure`
    deployments that are named exactly like their model. A directory is known by its own name alone.

    Args:
        provider: its canonical name.
        model: the name after the colon.

    Returns:
        None for a model that is not listed.
    """
    check_word("provider", provider)
    check_word("model", model)
    for find in _FINDERS.get(provider, (_listed(provider),)):
        card = find(model)
        if card is not None:
            return _ADAPTED.get(provider, _as_it_is)(card)
    return None


def _as_it_is(card: ModelCard) -> ModelCard:
    return card


def _on_azure(card: ModelCard) -> ModelCard:
    """Without a price, and with the day on which Azure retires all three: it has prices and dates of its own."""
    return replace(card, price=None, price_date=None, retires=_AZURE_RETIRES)


def _on_ollama(card: ModelCard) -> ModelCard:
    if card.provider == "ollama" or card.max_tokens is None:
        return card
    return replace(card, served_tokens=min(card.max_tokens, _SERVED), normalized=True)


@cache
def _by_name(provider: str) -> dict[str, ModelCard]:
    return {name: card for card in cards(provider) for name in (card.name, *card.aliases)}


def _listed(provider: str) -> Callable[[str], ModelCard | None]:
    """Finds by an API's own names, which are case-sensitive."""
    return lambda model: _by_name(provider).get(model)


@cache
def _by_id() -> dict[str, ModelCard]:
    return {name.lower(): card for name, card in _by_name("sentence-transformers").items()}


@cache
def _by_last_part() -> dict[str, ModelCard]:
    """`bge-m3`, and as directories are called `BAAI_bge-m3`, `BAAI__bge-m3`, `BAAI--bge-m3`; none that two share."""
    found: dict[str, set[str]] = {}
    for name, card in _by_id().items():
        owner, slash, last = name.rpartition("/")
        for key in (last, *(f"{owner}{joint}{last}" for joint in ("_", "__", "--") if slash)):
            found.setdefault(key, set()).add(card.name)
    return {key: _by_id()[names.pop().lower()] for key, names in found.items() if len(names) == 1}


def _hub(model: str) -> ModelCard | None:
    """`BAAI/bge-m3`, or `bge-m3`. The hub has no two ids that differ in case alone."""
    return _by_id().get(model.lower()) or _by_last_part().get(model.lower())


def _file_format(stem: str) -> ModelCard | None:
    """`bge-m3-Q8_0`: a model's exact name with or without one quantisation."""
    stem = stem.lower()
    return _by_last_part().get(stem) or _by_last_part().get(_QUANTISATION.sub("", stem))


def _gguf_repository(model: str) -> ModelCard | None:
    """`hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0`. The owner is whoever converted it, so `-GGUF` has to be there."""
    path, _, tag = model.lower().partition(":")
    if tag not in ("", "latest") and not _QUANTISATION.fullmatch(f"-{tag}"):
        return None
    host, _, rest = path.partition("/")
    owner, slash, last = (rest if host in ("hf.co", "huggingface.co") else path).partition("/")
    if not slash or not owner or "/" in last:
        return None
    return _file_format(last.removesuffix("-gguf")) if last.endswith("-gguf") else _by_id().get(f"{owner}/{last}")


def _path(model: str) -> ModelCard | None:
    """A GGUF file, or a directory that is named in full, the hub's cache among them."""
    parts = [part for part in re.split(r"[\\/]", model) if part]
    if parts and parts[-1].lower().endswith(".gguf"):
        return _file_format(_SHARD.sub("", parts[-1][: -len(".gguf")]))
    if not parts or not _ANCHORED.match(model):
        return None
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        parts = parts[:-2]
    return _by_last_part().get(parts[-1].lower().removeprefix("models--"))


def _directory(model: str) -> ModelCard | None:
    """A relative path with a directory behind it; without one it would be an id of the hub."""
    return _path(os.path.abspath(model)) if os.path.isdir(model) else None  # noqa: PTH100, PTH112 - never raise


@cache
def _by_tag() -> dict[str, ModelCard]:
    return {(name if ":" in name else f"{name}:latest").lower(): card for name, card in _by_name("ollama").items()}


def _tag(model: str) -> ModelCard | None:
    """`nomic-embed-text`, `library/nomic-embed-text:v1.5-fp16`. Other people's namespaces are other models."""
    name = model.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    name = name if ":" in name else f"{name}:latest"
    return _by_tag().get(name) or _by_tag().get(_QUANTISATION.sub("", name))


def _converted(model: str) -> ModelCard | None:
    """`unsloth/Qwen3-Embedding-0.6B`, `onnx-community/bge-m3-ONNX`: the same weights in the hands of a known converter.

    Owners alone say this; anyone else's model of the same name may be tuned.
    """
    owner, _, last = model.lower().partition("/")
    tail = _CONVERTERS.get(owner)
    return _by_last_part().get(tail.sub("", last)) if tail is not None and "/" not in last else None


def _lm_studio(model: str) -> ModelCard | None:
    """`text-embedding-mxbai-embed-large-v1@q8_0`: a file's stem, and which of its quantisations."""
    stem, _, quantisation = model.lower().partition("@")
    if not stem.startswith(_LM_STUDIO) or (quantisation and not _QUANTISATION.fullmatch(f"-{quantisation}")):
        return None
    return _file_format(stem.removeprefix(_LM_STUDIO))


def _served(model: str) -> ModelCard | None:
    """`@cf/baai/bge-m3`, `accounts/fireworks/models/qwen3-embedding-8b`, without the heads that are known."""
    name = model.lower()
    for _ in range(2):  # a gateway's, then the server's own
        name = name.removeprefix(next(filter(name.startswith, _HEADS), ""))
    if name == model.lower():
        return None
    return next(filter(None, (find(name) for find in (_hub, _gguf_repository, _tag, _lm_studio))), None)


_BY_SERVERS = (_converted, _lm_studio, _served)
_ADAPTED = {"ollama": _on_ollama, "azure": _on_azure}
_FINDERS: dict[str, tuple[Callable[[str], ModelCard | None], ...]] = {
    "openai": (*map(_listed, VENDORS), _hub, _gguf_repository, _path, _tag, *_BY_SERVERS),
    "azure": (_listed("openai"),),
    "bedrock": (_on_bedrock,),
    "nvidia": (_listed("nvidia"), _hub),
    "ollama": (_tag, _gguf_repository, _path),
    "sentence-transformers": (_hub, _path, _directory, _converted),
    "tei": (_hub, _path, _converted),
}
"""Providers whose users write other names than the rows of their own file have → where these are looked for."""
