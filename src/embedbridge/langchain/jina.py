"""A stand-in for `langchain_community.embeddings.JinaEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.jina_fields import jina_options
from embedbridge._frameworks.keywords import CLIENT, Ours, secret
from embedbridge._frameworks.stand_in import StandIn, no_media

from .face import LangChainFace

__all__ = ["JinaEmbeddings"]


class JinaEmbeddings(StandIn, LangChainFace):
    """For `langchain_community.embeddings.JinaEmbeddings`: its keywords, attributes, requests and vectors.

    Honoured: model_name, jina_api_key, jina_auth_token; and the variables JINA_API_KEY and JINA_AUTH_TOKEN.
    As the original, no task is sent, and a text that is too long is an error; a model that has tasks is warned of.
    Refused: session, `embed_images`.
    One thing differs: more than 512 texts are several requests, where the original's one is refused.
    """

    package = "langchain-community"
    provider = "jina"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "jina_api_key", "model": "model_name"}

    session: Any = Field(default=None, exclude=True, repr=False)
    model_name: str = "jina-embeddings-v2-base-en"
    jina_api_key: SecretStr | None = secret("JINA_API_KEY", "JINA_AUTH_TOKEN")
    jina_auth_token: SecretStr | None = Field(default=None, exclude=True, repr=False)

    def __init__(
        self,
        *,
        session: Any = None,
        model_name: str = "jina-embeddings-v2-base-en",
        jina_api_key: str | SecretStr | None = None,
        jina_auth_token: str | SecretStr | None = None,
        model: str | None = None,
        api_key: str | SecretStr | None = None,
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

    embed_images = no_media

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "session")
        return jina_options(self, self.model_name, None) | {"api_key": self.jina_api_key or self.jina_auth_token}
