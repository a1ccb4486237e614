"""Cohere's embed API (v2) over its official SDK, 5.x and 7.x: what a request may hold, and how it is asked and read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, InputType, Limits, Reply
from embedbridge.catalogue import ModelCard

from ._listing import tokens_of
from .hosted import HostedProvider, rough_counter

__all__ = ["CohereProvider"]

WIRE_TYPES: Mapping[InputType, str] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
FIXED_WIDTH = ("v2.0", "v3.0")
"""Endings of models that give one width only."""


class CohereProvider(HostedProvider):
    """`cohere:embed-v4.0`; `base_url` is the host alone, as the SDK takes it."""

    name = "cohere"
    package = "cohere"
    extra = "cohere"
    key_variables = ("CO_API_KEY", "COHERE_API_KEY")
    official_url = "https://api.cohere.com"
    where_to_look = "check base_url (the host alone, without /v1 or /v2) and model"
    library = "httpx"

    def find_url(self) -> str | None:
        """`base_url`, else CO_API_URL, which the SDK reads only once, when it is imported."""
        return self.config.base_url or os.environ.get("CO_API_URL")

    @property
    def limits(self) -> Limits:
        """96 texts, and what the model's card says of tokens."""
        card = self.config.card
        return Limits(
            items=96,
            tokens=card.request_tokens if card else None,
            text_tokens=card.max_tokens if card else None,
            cuts_unseen=True,
        )

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """`output_dimension`: version 4 and later."""
        return bool(card.reductions) if card else not model.endswith(FIXED_WIDTH)

    def counter(self) -> Counter:
        """There is no tokenizer offline; the server cuts and refuses exactly."""
        return rough_counter(self.config.too_long)

    def wire_type(self, input_type: InputType) -> str:
        """The API's name for each of the four roles."""
        return WIRE_TYPES[input_type]

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """The SDK's client."""
        import cohere

        kind: Any = cohere.ClientV2 if blocking else cohere.AsyncClientV2
        return kind(self.secret(), base_url=self.url, httpx_client=self.http_client(transport, blocking=blocking))

    def send(self, client: Any, batch: Batch) -> Any:
        """One `embed`. base64 takes a quarter of the bytes of numbers in JSON, and is read in a tenth of the time."""
        width = {"output_dimension": self.config.dimensions} if self.config.dimensions else {}
        return client.embed(
            model=self.model,
            texts=list(batch.texts),
            input_type=self.wire_type(batch.route.input_type),
            embedding_types=["base64"],
            truncate="END" if self.config.too_long == "truncate" else "NONE",
            request_options={"max_retries": 0},  # the one way that 5.x and 7.x share
            **width,
        )

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Vectors come in the order of the texts, unnumbered; servers that copy the API may send floats instead."""
        vectors = payload["embeddings"]
        if isinstance(vectors, dict):
            vectors = vectors["float"] if vectors.get("base64") is None else vectors["base64"]
        tokens = tokens_of(payload, "meta", "billed_units", "input_tokens")
        return Reply(vectors, tokens=tokens, cut=self._cut(batch, tokens))

    def _cut(self, batch: Batch, tokens: int | None) -> dict[int, int]:
        """Texts that reach the model's limit at the batch's own bytes a token. A judgement: the answer names none."""
        limit = self.limits.text_tokens
        if limit is None or tokens is None or self.config.too_long != "truncate":
            return {}
        sizes = [len(text.encode()) for text in batch.texts]
        return {at: -1 for at, size in enumerate(sizes) if size * tokens >= limit * sum(sizes)}
