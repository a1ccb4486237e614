"""What both frameworks' classes for local models hand to sentence-transformers, in our options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge.errors import ConfigurationError

__all__ = ["FOLDER", "loading", "only"]

FOLDER = "models lie where the hub keeps them; say where by the variable HF_HUB_CACHE"
LOADED = ("device", "backend", "revision", "trust_remote_code")
WEIGHTS = {"torch_dtype": "dtype", "dtype": "dtype", "file_name": "file_name"}


def loading(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Options for arguments of the class SentenceTransformer. Raises `ConfigurationError` for those we do not take."""
    only(
        keywords,
        {*LOADED, "truncate_dim", "model_kwargs", "similarity_fn_name"},
        "of SentenceTransformer's arguments device, backend, revision, trust_remote_code, truncate_dim and "
        "model_kwargs can be had. Prompts are query_prefix and document_prefix, a token is the variable HF_TOKEN",
    )
    weights = keywords.get("model_kwargs") or {}
    only(
        weights,
        set(WEIGHTS),
        "of model_kwargs, the arguments for loading weights, only dtype, torch_dtype and file_name can be had",
    )
    own = {name: keywords[name] for name in LOADED if keywords.get(name) is not None}
    own |= {WEIGHTS[name]: str(value).removeprefix("torch.") for name, value in weights.items() if value is not None}
    return {"dimensions": keywords.get("truncate_dim"), "provider_options": own}


def only(value: Any, known: set[str], refusal: str) -> None:
    """Raise `ConfigurationError` for a key that is set and not known, and for what is no dict."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"it is a dict, not {type(value).__name__}")
    unknown = sorted(str(key) for key, part in value.items() if key not in known and part is not None and part != {})
    if unknown:
        raise ConfigurationError(f"{', '.join(map(repr, unknown))}: {refusal}")
