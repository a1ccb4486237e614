"""A stand-in for `langchain_cohere.CohereEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from pydantic import Field, SecretStr

from embedbridge._core.types import InputType
from embedbridge._frameworks.face import alists, lists
from embedbridge._frameworks.keywords import CLIENT, Ours, check_float, secret, too_long
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["CohereEmbeddings"]

ROLES: dict[str, InputType] = {
    "search_document": "document",
    "search_query": "query",
    "classification": "classification",
    "clustering": "clustering",
}
"""Cohere's input type → ours."""

FLOAT: Sequence[str] = ["float"]


class CohereEmbeddings(StandIn, LangChainFace):
    """For `langchain_cohere.CohereEmbeddings`: its keywords, attributes and vectors, by version 2 of the API.

    Honoured: model, cohere_api_key, max_retries, base_url; and COHERE_API_KEY before CO_API_KEY.
    Mapped: request_timeout bounds a whole request; truncate "END" is too_long="truncate", "NONE" is "error".
    Idle, with a warning: user_agent.
    Refused: client, async_client, truncate="START", other embedding_types than ["float"].
    """

    package = "langchain-cohere"
    provider = "cohere"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "cohere_api_key", "timeout": "request_timeout"}

    client: Any = Field(default=None, exclude=True)
    async_client: Any = Field(default=None, exclude=True)
    model: str | None = None
    truncate: str | None = None
    cohere_api_key: SecretStr | None = secret("COHERE_API_KEY", "CO_API_KEY")
    embedding_types: Sequence[str] = FLOAT
    max_retries: int = Field(default=3, ge=0)
    request_timeout: float | None = None
    user_agent: str = "langchain:partner"
    base_url: str | None = None

    def __init__(
        self,
        *,
        client: Any = None,
        async_client: Any = None,
        model: str | None = None,
        truncate: str | None = None,
        cohere_api_key: str | SecretStr | None = None,
        embedding_types: Sequence[str] = FLOAT,
        max_retries: int = 3,
        request_timeout: float | None = None,
        user_agent: str = "langchain:partner",
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "client", "async_client")
        self._idle("requests name the SDK that sends them", "user_agent")
        check_float("embedding_types", self.embedding_types)
        if not self.model:
            raise ConfigurationError("model: name a model, as langchain-cohere wants it too")
        return {
            "model": f"cohere:{self.model}",
            "too_long": too_long("truncate", self.truncate),
            "api_key": self.cohere_api_key,
            "max_retries": self.max_retries,
            "timeout": self.request_timeout,
            "base_url": self.base_url,
        }

    def embed(self, texts: list[str], *, input_type: str | None = None) -> list[list[float]]:
        """Vectors of texts in a role of Cohere's.

        Args:
            texts: of one role.
            input_type: `search_document`, `search_query`, `classification` or `clustering`.

        Returns:
            One list of floats for each text.

        Raises:
            ConfigurationError: there is none, or none that is known for texts.
        """
        return lists(self._asked().embed(texts, input_type=_role(input_type)).vectors)

    async def aembed(self, texts: list[str], *, input_type: str | None = None) -> list[list[float]]:
        """`embed` as a coroutine.

        Args:
            texts: of one role.
            input_type: as of `embed`.

        Returns:
            One list of floats for each text.
        """
        return await alists((await self._asked().aembed(texts, input_type=_role(input_type))).vectors)


def _role(input_type: str | None) -> InputType:
    role = ROLES.get(input_type) if isinstance(input_type, str) else None
    if role is None:
        raise ConfigurationError(f"input_type: write one of {', '.join(ROLES)}; Cohere's models need one")
    return role
