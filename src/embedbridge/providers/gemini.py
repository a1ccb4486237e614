"""Google's Gemini API over its documented wire: `batchEmbedContents`, with a request of its own for each text.

Google's SDK makes one vector of several texts that are handed to it for gemini-embedding-2; here each has its own.
The API cuts a text that is too long without a word, so what may have been cut is told by the length of the text.
"""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from embedbridge._core.tokens import BYTES_PER_TOKEN, ByteCounter, Counter
from embedbridge._core.types import Batch, Limits, Reply

from ._gemini_batches import GeminiBatches
from ._google import GoogleProvider, environment_key
from ._listing import tokens_of
from .hosted import FEWEST_BYTES_PER_TOKEN, rough_counter

__all__ = ["GeminiProvider"]

MOST_TEXTS = 100
MOST_BYTES = 1 << 21
"""Of all texts of a request. The API takes 4 MiB, and JSON may write a text twice as long."""


class GeminiProvider(GoogleProvider):
    """`gemini:gemini-embedding-2`, with the key `api_key`, else GOOGLE_API_KEY, else GEMINI_API_KEY.

    `base_url` is what Google's SDK takes: the address without the API's version.
    """

    name = "gemini"
    extra = "gemini"
    official_url = "https://generativelanguage.googleapis.com"
    base_variable = "GOOGLE_GEMINI_BASE_URL"
    version = "v1beta"
    batch_api = GeminiBatches
    where_to_look = "check base_url (the address alone, without /v1beta) and model"

    def find_key(self) -> SecretStr:
        """`api_key`, else the environment's."""
        return (None if self.config.api_key else environment_key()) or super().find_key()

    @property
    def limits(self) -> Limits:
        """100 texts."""
        return Limits(items=self.items(MOST_TEXTS), size=MOST_BYTES, text_tokens=self.text_tokens(), cuts_unseen=True)

    def counter(self) -> Counter:
        """There is no tokenizer offline; where the server is not to cut, nobody but the estimate prevents it."""
        if self.config.too_long == "truncate":
            return rough_counter("truncate")
        return ByteCounter(piece_size=FEWEST_BYTES_PER_TOKEN)

    def send(self, client: Any, batch: Batch) -> Any:
        """One `batchEmbedContents`."""
        body = {"requests": [self._request(text, batch) for text in batch.texts]}
        url = f"{self.root()}/models/{self.model}:batchEmbedContents"
        return client.post(url, json=body, headers=self.headers() | {self.key_header: self.secret()})

    def body(self, batch: Batch) -> dict[str, Any]:
        """What a line of a batch says: the request of its one text."""
        (text,) = batch.texts
        return self._request(text, batch)

    def _request(self, text: str, batch: Batch) -> dict[str, Any]:
        """One text's, with all fields that have a value."""
        title, content = self.split(text, batch.route)
        fields = {
            "model": f"models/{self.model}",
            "content": {"parts": [{"text": content}], "role": "user"},
            "taskType": batch.route.wire_type,
            "title": title or None,
            "outputDimensionality": self.config.dimensions,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Vectors come in the order of the texts, unnumbered; newer models tell the tokens."""
        vectors = [entry.get("values") for entry in payload["embeddings"]]
        return Reply(vectors, tokens=tokens_of(payload, "usageMetadata", "promptTokenCount"), cut=self._cut(batch))

    def _cut(self, batch: Batch) -> dict[int, int]:
        """Texts that reach the model's limit by the usual bytes of a token. A judgement: the answer names none."""
        limit = self.text_tokens()
        if limit is None or self.config.too_long != "truncate":
            return {}
        return {at: -1 for at, text in enumerate(batch.texts) if len(text.encode()) >= BYTES_PER_TOKEN * limit}
