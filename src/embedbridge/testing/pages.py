"""What the server answers besides embeddings: the pages clients look at to see whether it lives and what it has."""

from __future__ import annotations

from typing import Any

_PAGES: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/"): {},
    ("GET", "/v1/models"): {"object": "list", "data": []},
    ("GET", "/api/version"): {"version": "0.0.0"},
    ("GET", "/api/tags"): {"models": []},
}


def page(method: str, path: str, *, context: int | None, width: int) -> dict[str, Any] | None:
    """The JSON of a page; None when there is none. `context` and `width` describe every Ollama model alike."""
    if (method, path) == ("POST", "/api/show"):
        facts = {"general.architecture": "bert", "bert.context_length": context, "bert.embedding_length": width}
        return {"model_info": facts, "details": {"family": "bert"}, "capabilities": ["embedding"]}
    return _PAGES.get((method, path))
