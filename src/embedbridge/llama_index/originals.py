"""Stand-ins for LlamaIndex's integrations of openai, cohere, ollama, huggingface and voyageai: change the import alone.

Each takes the original's keywords beside ours; `tables` says what becomes of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from embedbridge._frameworks.originals import Original, given_only

from .bridge import BridgeEmbedding
from .tables import COHERE, HUGGING_FACE, OLLAMA, OPENAI, VOYAGE


class StandIn(BridgeEmbedding):
    """Subclasses name the class whose keywords they take."""

    original: ClassVar[Original]

    def __init__(self, *placed: Any, **keywords: Any) -> None:
        super().__init__(**self.original.options(placed, keywords))

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As pydantic does; `exclude_defaults` leaves out what is set neither here nor by the original."""
        return super().model_dump(**given_only(options))

    def model_dump_json(self, **options: Any) -> str:
        """`model_dump` as JSON."""
        return super().model_dump_json(**given_only(options))


class OpenAIEmbedding(StandIn):
    """For `llama_index.embeddings.openai.OpenAIEmbedding`."""

    original = OPENAI


class CohereEmbedding(StandIn):
    """For `llama_index.embeddings.cohere.CohereEmbedding`."""

    original = COHERE


class OllamaEmbedding(StandIn):
    """For `llama_index.embeddings.ollama.OllamaEmbedding`. Sends no prefix unless given one, as the original."""

    original = OLLAMA


class HuggingFaceEmbedding(StandIn):
    """For `llama_index.embeddings.huggingface.HuggingFaceEmbedding`, with the instructions that the original sends."""

    original = HUGGING_FACE


class VoyageEmbedding(StandIn):
    """For `llama_index.embeddings.voyageai.VoyageEmbedding`."""

    original = VOYAGE
