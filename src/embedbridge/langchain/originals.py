"""Stand-ins for langchain-openai, -cohere, -ollama, -huggingface and -voyageai: change the import, keep the call.

Each takes the original's keywords beside ours; `tables` says what becomes of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from embedbridge._frameworks.originals import Original, given_only, refuse_fields

from .bridge import BridgeEmbeddings
from .tables import AZURE, COHERE, HUGGING_FACE, OLLAMA, OPENAI, VOYAGE


class StandIn(BridgeEmbeddings):
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


class OpenAIEmbeddings(StandIn):
    """For `langchain_openai.OpenAIEmbeddings`."""

    original = OPENAI

    def embed_documents(self, texts: list[str], chunk_size: int | None = None, **fields: Any) -> list[list[float]]:
        """As the original; requests are packed by the API's limits, whatever `chunk_size` says."""
        refuse_fields(fields)
        return super().embed_documents(texts)

    async def aembed_documents(
        self,
        texts: list[str],
        chunk_size: int | None = None,
        **fields: Any,
    ) -> list[list[float]]:
        """As the original; requests are packed by the API's limits, whatever `chunk_size` says."""
        refuse_fields(fields)
        return await super().aembed_documents(texts)


class AzureOpenAIEmbeddings(OpenAIEmbeddings):
    """For `langchain_openai.AzureOpenAIEmbeddings`."""

    original = AZURE


class CohereEmbeddings(StandIn):
    """For `langchain_cohere.CohereEmbeddings`."""

    original = COHERE


class OllamaEmbeddings(StandIn):
    """For `langchain_ollama.OllamaEmbeddings`. Sends no prefix unless one is given, as the original does."""

    original = OLLAMA


class HuggingFaceEmbeddings(StandIn):
    """For `langchain_huggingface.HuggingFaceEmbeddings`. Sends no prefix unless one is given, as the original does."""

    original = HUGGING_FACE


class VoyageAIEmbeddings(StandIn):
    """For `langchain_voyageai.VoyageAIEmbeddings`."""

    original = VOYAGE
