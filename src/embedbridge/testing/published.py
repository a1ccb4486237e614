"""What servers that copy OpenAI's API answer besides embeddings: their limits, and how many tokens a text has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .limits import Limits
from .vectors import count_tokens

__all__ = ["Page", "Pages", "llamacpp_pages", "tei_pages", "vllm_pages"]

Page: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""A request's JSON → that of the answer."""
Pages: TypeAlias = Mapping[tuple[str, str], Page]
"""By method and path."""


def _tokens(field: str, write: Callable[[int], Any]) -> Page:
    """A page that counts the tokens of a text in a field of the request."""
    return lambda given: write(count_tokens(str(given.get(field, ""))))


def tei_pages(limits: Limits) -> Pages:
    """TEI's pages: limits at `/info`.

    Args:
        limits: that the pages tell.

    Returns:
        By method and path, a function of the request's JSON.
    """
    info = {
        "model_id": "BAAI/bge-small-en-v1.5",
        "model_type": {"embedding": {"pooling": "cls"}},
        "max_input_length": limits.tokens_per_item,
        "max_client_batch_size": limits.items,
        "auto_truncate": False,
        "version": "1.8.0",
    }
    tokens = _tokens("inputs", lambda count: [[{"id": 0, "text": "a", "special": False}] * count])
    return {("GET", "/info"): lambda _: info, ("POST", "/tokenize"): tokens}


def vllm_pages(limits: Limits) -> Pages:
    """VLLM's pages: the limit in the list of models.

    Args:
        limits: that the pages tell.

    Returns:
        By method and path, a function of the request's JSON.
    """
    model = {"id": "test", "object": "model", "owned_by": "vllm", "root": "test"}
    listed = {"object": "list", "data": [model | {"max_model_len": limits.tokens_per_item}]}
    tokens = _tokens("prompt", lambda count: {"count": count, "max_model_len": 512, "tokens": [0] * count})
    return {("GET", "/v1/models"): lambda _: listed, ("POST", "/tokenize"): tokens}


def llamacpp_pages(limits: Limits) -> Pages:
    """llama.cpp's pages: the limit at `/props`.

    Args:
        limits: that the pages tell.

    Returns:
        By method and path, a function of the request's JSON.
    """
    context = {"n_ctx": limits.tokens_per_item}
    listed = {"object": "list", "data": [{"id": "test", "object": "model", "owned_by": "llamacpp", "meta": {}}]}
    props = {"default_generation_settings": context}
    tokens = _tokens("content", lambda count: {"tokens": [0] * count})
    return {("GET", "/props"): lambda _: props, ("GET", "/v1/models"): lambda _: listed, ("POST", "/tokenize"): tokens}
