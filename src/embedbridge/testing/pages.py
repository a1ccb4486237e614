"""What the server answers besides embeddings: the pages clients look at to see whether it lives and what it has."""

from __future__ import annotations

from typing import Any

from .dialects.ollama import Ollama
from .limits import Limits
from .request import Request

_PAGES: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/"): {},
    ("GET", "/v1/models"): {"object": "list", "data": []},
    ("GET", "/api/version"): {"version": "0.0.0"},
    ("GET", "/api/tags"): {"models": []},
}


def side_page(request: Request, ollama: Limits, width: int | None) -> dict[str, Any] | None:
    """The JSON of a page; None when there is none. The limits and the width describe every Ollama model alike."""
    if (request.method, request.path) == ("POST", "/api/show"):
        sizes = {"bert.context_length": ollama.tokens_per_item, "bert.embedding_length": width or Ollama.width}
        facts = {"general.architecture": "bert", **sizes}
        return {"model_info": facts, "details": {"family": "bert"}, "capabilities": ["embedding"]}
    return _PAGES.get((request.method, request.path))
