"""A stand-in for `llama_index.embeddings.voyageai.VoyageEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._core.types import InputType
from embedbridge._frameworks.face import lists
from embedbridge._frameworks.keywords import Ours, check_float, too_long
from embedbridge.errors import ConfigurationError

from .images import NoImages
from .stand_in import LlamaIndexStandIn

__all__ = ["VoyageEmbedding"]

ROLES: dict[str | None, InputType] = {"query": "query", "document": "document", None: "clustering"}
"""Voyage's input type → ours; Voyage has none for clustering, and none is sent."""


class VoyageEmbedding(NoImages, LlamaIndexStandIn):
    """For `llama_index.embeddings.voyageai.VoyageEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model_name, voyage_api_key, embed_batch_size, output_dimension, callback_manager, num_workers; and
    VOYAGE_API_KEY.
    Mapped: truncation=False is too_long="error".
    Refused: other output_dtype than "float"; the models voyage-context-… and voyage-multimodal-…, which have another
    API; images and videos.
    """

    package = "llama-index-embeddings-voyageai"
    provider = "voyage"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "voyage_api_key"}

    model_name: str
    voyage_api_key: str | None = Field(default=None, exclude=True, repr=False)
    embed_batch_size: int = Field(default=1000, gt=0, le=1000)
    truncation: bool | None = None
    output_dtype: str | None = None
    output_dimension: int | None = None

    def __init__(
        self,
        model_name: str,
        voyage_api_key: str | None = None,
        embed_batch_size: int | None = None,
        truncation: bool | None = None,
        output_dtype: str | None = None,
        output_dimension: int | None = None,
        callback_manager: CallbackManager | None = None,
        *,
        num_workers: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        check_float("output_dtype", self.output_dtype)
        return {
            "model": f"voyage:{self.model_name}",
            "dimensions": self.output_dimension,
            "too_long": too_long("truncation", self.truncation),
            "api_key": self.voyage_api_key,
        }

    def get_general_text_embedding(self, text: str, input_type: str | None = None) -> Embedding:
        """The vector of one text in any role.

        Args:
            text: the text.
            input_type: "query" or "document"; None: neither.

        Returns:
            The list of floats.
        """
        return lists(self._asked().embed([text], input_type=_role(input_type)).vectors)[0]

    async def aget_general_text_embedding(self, text: str, input_type: str | None = None) -> Embedding:
        """`get_general_text_embedding` as a coroutine.

        Args:
            text: the text.
            input_type: as there.

        Returns:
            The list of floats.
        """
        return lists((await self._asked().aembed([text], input_type=_role(input_type))).vectors)[0]


def _role(input_type: str | None) -> InputType:
    role = ROLES.get(input_type) if isinstance(input_type, str | None) else None
    if role is None:
        raise ConfigurationError("input_type: write 'query' or 'document', or leave it out")
    return role
