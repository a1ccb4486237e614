"""A stand-in for `llama_index.embeddings.jinaai.JinaEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.jina_fields import jina_options
from embedbridge._frameworks.keywords import Ours, environment
from embedbridge.errors import ConfigurationError

from .images import NoImages
from .stand_in import LlamaIndexStandIn

__all__ = ["JinaEmbedding"]

LATE = "a vector would depend on the texts that are sent with its own, and none could be cached"


class JinaEmbedding(NoImages, LlamaIndexStandIn):
    """For `llama_index.embeddings.jinaai.JinaEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model, api_key, embed_batch_size, task, dimensions, callback_manager, num_workers; and the variables
    JINAAI_API_KEY and JINA_API_KEY.
    As the original, one task, or none, goes with queries and documents alike, and a text that is too long is an error;
    a model that has a task for each is warned of.
    Refused: late_chunking=True; other encodings than "float". There are no images.
    One thing differs: a key of the environment is sent, where version 0.7 of the original sends "None" in sync calls.
    """

    package = "llama-index-embeddings-jinaai"
    provider = "jina"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "jina-embeddings-v3"
    embed_batch_size: int = Field(default=10, gt=0, le=2048)
    api_key: str | None = Field(default_factory=environment("JINAAI_API_KEY"), exclude=True, repr=False)
    encoding_queries: str | None = None
    encoding_documents: str | None = None
    task: str | None = None
    dimensions: int | None = None
    late_chunking: bool | None = None

    def __init__(
        self,
        model: str = "jina-embeddings-v3",
        embed_batch_size: int = 10,
        api_key: str | None = None,
        callback_manager: CallbackManager | None = None,
        encoding_queries: str | None = None,
        encoding_documents: str | None = None,
        task: str | None = None,
        dimensions: int | None = None,
        late_chunking: bool | None = None,
        *,
        num_workers: int | None = None,
        model_name: str | None = None,
        base_url: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    @classmethod
    def class_name(cls) -> str:
        """That of the original, which is not called like its class."""
        return "JinaAIEmbedding"

    @property
    def model(self) -> str:
        """The model's name, as the original has it."""
        return self.model_name

    def _translate(self) -> dict[str, Any]:
        self._refuse(LATE, "late_chunking")
        for name in ("encoding_queries", "encoding_documents"):
            if getattr(self, name) not in (None, "float"):
                raise ConfigurationError(
                    f"{name}: vectors are numbers here; embedbridge.quantization makes bits of them"
                )
        options = jina_options(self, self.model_name, self.task)
        return options | {"dimensions": self.dimensions, "api_key": self.api_key}
