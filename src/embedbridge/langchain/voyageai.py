"""A stand-in for `langchain_voyageai.VoyageAIEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import Ours, secret, too_long
from embedbridge._frameworks.stand_in import StandIn

from .face import LangChainFace

__all__ = ["VoyageAIEmbeddings"]


class VoyageAIEmbeddings(StandIn, LangChainFace):
    """For `langchain_voyageai.VoyageAIEmbeddings`: its keywords, attributes, requests and vectors.

    Honoured: model, batch_size, output_dimension, show_progress_bar, voyage_api_key, base_url; and VOYAGE_API_KEY.
    Mapped: truncation=False is too_long="error".
    Refused: the models voyage-context-… and voyage-multimodal-…, which have another API.
    """

    package = "langchain-voyageai"
    provider = "voyage"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "voyage_api_key"}

    model: str
    batch_size: int | None = Field(default=1000, ge=1)
    output_dimension: Literal[256, 512, 1024, 2048] | None = None
    show_progress_bar: bool = False
    truncation: bool = True
    voyage_api_key: SecretStr | None = secret("VOYAGE_API_KEY")
    base_url: str | None = None

    def __init__(
        self,
        *,
        model: str,
        batch_size: int | None = 1000,
        output_dimension: Literal[256, 512, 1024, 2048] | None = None,
        show_progress_bar: bool = False,
        truncation: bool = True,
        api_key: str | SecretStr | None = None,
        voyage_api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        return {
            "model": f"voyage:{self.model}",
            "batch_size": self.batch_size,
            "dimensions": self.output_dimension,
            "show_progress": self.show_progress_bar,
            "too_long": too_long("truncation", self.truncation),
            "api_key": self.voyage_api_key if "voyage_api_key" in self.model_fields_set else None,
            "base_url": self.base_url,
        }
