"""Jina's embeddings API: OpenAI's wire, and what a text is for. Which task a role is stands in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from embedbridge._core.types import InputType, Limits
from embedbridge._threads.telling import warn

from ._openai_wire import WireProvider
from .base import ProviderConfig

__all__ = ["JinaProvider"]

MOST_TEXTS = 512
MOST_TOKENS = 65_536
"""Summed over one request. The API documents none; the smallest plan allows a million per minute."""


class JinaProvider(WireProvider):
    """`jina:jina-embeddings-v3`. The option `encoding_format` is sent as the API's `embedding_type`."""

    name = "jina"
    extra = "jina"
    key_variables = ("JINA_API_KEY",)
    official_url = "https://api.jina.ai/v1"
    role_field = "task"
    encoding_field = "embedding_type"
    owned: ClassVar[Mapping[str, str]] = {
        "model": "the model's name after 'jina:'",
        "input": "the texts of the call",
        "task": "input_type=… of a call, or role_body",
        "truncate": "too_long=…",
        "embedding_type": "provider_options={'encoding_format': …}",
        "encoding_format": "provider_options={'encoding_format': …}",
        "normalized": "normalize=…, for the API gives unit length",
        "late_chunking": "another package, for it embeds all texts of a request as one document, and a vector that "
        "depends on its neighbours cannot be cached",
        "return_multivector": "another package, for it gives a vector for each token",
    }

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        if config.card is None and self.options.role_body is None and config.dimensions is None:
            told = (
                f"jina:{self.model} is not in the catalogue, so no task is sent, and queries are embedded as documents "
                "are; say its tasks by provider_options={'role_body': {'query': {'task': 'retrieval.query'}, …}}, or "
                "{'role_body': {}} for a model that has none"
            )
            warn(told, stacklevel=2)

    @property
    def limits(self) -> Limits:
        """512 texts."""
        card = self.config.card
        items = 1 if self.options.single else self.options.request_items or MOST_TEXTS
        text_tokens = card.max_tokens if card else None
        return Limits(items=items, tokens=MOST_TOKENS, text_tokens=text_tokens, cuts_unseen=True)

    def role(self, input_type: InputType) -> str | None:
        """The model's task for it."""
        return self.config.card.adapters.get(input_type) if self.config.card else None

    def truncation(self) -> bool:
        """A server that is told nothing refuses."""
        return self.config.too_long == "truncate"
