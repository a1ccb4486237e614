"""What both frameworks' classes for local models hand to sentence-transformers, in our options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge.errors import ConfigurationError

__all__ = ["FOLDER", "cut", "loading", "only"]

FOLDER = "models lie where the hub keeps them; say where by the variable HF_HUB_CACHE"
LOADED = ("device", "backend", "revision", "trust_remote_code")
WEIGHTS = {"torch_dtype": "dtype", "dtype": "dtype", "file_name": "file_name"}


def loading(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's options for arguments of SentenceTransformer. Raises `ConfigurationError` for what it lacks."""
    only(
        keywords,
        {*LOADED, "truncate_dim", "model_kwargs", "similarity_fn_name"},
        "of SentenceTransformer's arguments device, backend, revision, trust_remote_code, truncate_dim and "
        "model_kwargs are accepted. Prompts are query_prefix and document_prefix, a token is the variable HF_TOKEN",
    )
    weights = keywords.get("model_kwargs") or {}
    only(
        weights,
        set(WEIGHTS),
        "of model_kwargs, the arguments for loading weights, only dtype, torch_dtype and file_name are accepted",
    )
    own = {name: keywords[name] for name in LOADED if keywords.get(name) is not None}
    own |= {WEIGHTS[name]: str(value).removeprefix("torch.") for name, value in weights.items() if value is not None}
    return own


def cut(width: int | None, *, unit: bool | None) -> dict[str, Any]:
    """Options for vectors cut to a width, as the original cuts those of any model.

    Raises:
        ConfigurationError: they are not brought back to unit length there, as they are here.
    """
    if width is not None and not unit:
        raise ConfigurationError(
            "truncate_dim: vectors that are cut are brought back to unit length here; write normalizing too, as "
            "encode_kwargs={'normalize_embeddings': True} or normalize=True"
        )
    return {} if width is None else {"dimensions": width, "provider_options": {"force_dimensions": True}}


def only(value: Any, known: set[str], refusal: str) -> None:
    """Raise `ConfigurationError` for a key that is set and not known, and for what is no dict."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"it is a dict, not {type(value).__name__}")
    unknown = sorted(str(key) for key, part in value.items() if key not in known and part is not None and part != {})
    if unknown:
        raise ConfigurationError(f"{', '.join(map(repr, unknown))}: {refusal}")
