"""A stand-in for `langchain_openai.OpenAIEmbeddings`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import CLIENT, Ours, environment, of_keyword, secret
from embedbridge._frameworks.openai_fields import CREATE, NO_ROLES, request_options, whole_seconds
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.catalogue import look_up
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["OpenAIEmbeddings"]

TEXT = "text is sent, and no token ids"
PAUSES = "the original does not look at it either; pauses follow the server's Retry-After"
AZURE = "only Azure has it; AzureOpenAIEmbeddings takes it"


class OpenAIEmbeddings(StandIn, LangChainFace):
    """For `langchain_openai.OpenAIEmbeddings`: its keywords, attributes, requests and vectors.

    Honoured: model, dimensions, base_url, api_key, organization, max_retries, chunk_size, default_headers,
    default_query, openai_proxy, model_kwargs, show_progress_bar, skip_empty, embedding_ctx_length; and the variables
    OPENAI_API_KEY, OPENAI_API_BASE, OPENAI_ORG_ID and OPENAI_PROXY.
    Mapped: timeout bounds a whole request; check_embedding_ctx_length is too_long="mean", False is "truncate".
    Idle, with a warning: tiktoken_*, allowed_special, disallowed_special, headers, retry_*,
    deployment, api_version.
    Refused: client, async_client, http_client, http_async_client, openai_api_type="azure".
    A function as api_key, such as one for tokens of Entra, is asked for every request; an async one serves async calls.
    Two things differ: newlines and outer blanks of a text are kept, and long texts are sent as text.
    Keywords of a call (`embed_documents(texts, dimensions=256)`) are obeyed by a copy with limits of its own.
    """

    package = "langchain-openai"
    provider = "openai"
    synonyms: ClassVar[Mapping[str, str]] = {
        "api_version": "openai_api_version",
        "base_url": "openai_api_base",
        "api_key": "openai_api_key",
        "organization": "openai_organization",
        "timeout": "request_timeout",
        "model_name": "model",
    }

    client: Any = Field(default=None, exclude=True)
    async_client: Any = Field(default=None, exclude=True)
    model: str = "text-embedding-ada-002"
    dimensions: int | None = None
    deployment: str | None = "text-embedding-ada-002"
    openai_api_version: str | None = Field(default_factory=environment("OPENAI_API_VERSION"))
    openai_api_base: str | None = Field(default_factory=environment("OPENAI_API_BASE"))
    openai_api_type: str | None = Field(default_factory=environment("OPENAI_API_TYPE"))
    openai_proxy: str | None = Field(default_factory=environment("OPENAI_PROXY"))
    embedding_ctx_length: int = 8191
    openai_api_key: SecretStr | Callable[[], Any] | None = secret("OPENAI_API_KEY")
    openai_organization: str | None = Field(default_factory=environment("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"))
    allowed_special: Literal["all"] | set[str] | None = None
    disallowed_special: Literal["all"] | set[str] | Sequence[str] | None = None
    chunk_size: int = Field(default=1000, ge=1)
    max_retries: int = Field(default=2, ge=0)
    request_timeout: Any = None
    headers: Any = None
    tiktoken_enabled: bool = True
    tiktoken_model_name: str | None = None
    show_progress_bar: bool = False
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    skip_empty: bool = False
    default_headers: Mapping[str, str | SecretStr] | None = None
    default_query: Mapping[str, object] | None = None
    retry_min_seconds: int = 4
    retry_max_seconds: int = 20
    http_client: Any = Field(default=None, exclude=True)
    http_async_client: Any = Field(default=None, exclude=True)
    check_embedding_ctx_length: bool = True

    def __init__(
        self,
        *,
        client: Any = None,
        async_client: Any = None,
        model: str = "text-embedding-ada-002",
        dimensions: int | None = None,
        deployment: str | None = "text-embedding-ada-002",
        api_version: str | None = None,
        openai_api_version: str | None = None,
        base_url: str | None = None,
        openai_api_base: str | None = None,
        openai_api_type: str | None = None,
        openai_proxy: str | None = None,
        embedding_ctx_length: int = 8191,
        api_key: str | SecretStr | Callable[[], str] | Callable[[], Awaitable[str]] | None = None,
        openai_api_key: str | SecretStr | Callable[[], str] | Callable[[], Awaitable[str]] | None = None,
        organization: str | None = None,
        openai_organization: str | None = None,
        allowed_special: Literal["all"] | set[str] | None = None,
        disallowed_special: Literal["all"] | set[str] | Sequence[str] | None = None,
        chunk_size: int = 1000,
        max_retries: int = 2,
        timeout: float | tuple[float, float] | Any | None = None,
        request_timeout: float | tuple[float, float] | Any | None = None,
        headers: Any = None,
        tiktoken_enabled: bool = True,
        tiktoken_model_name: str | None = None,
        show_progress_bar: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        skip_empty: bool = False,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        retry_min_seconds: int = 4,
        retry_max_seconds: int = 20,
        http_client: Any = None,
        http_async_client: Any = None,
        check_embedding_ctx_length: bool = True,
        model_name: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _sorted(self, keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """As the original, move what only `create` takes to model_kwargs."""
        moved = {name: value for name, value in keywords.items() if name in {*CREATE, "extra_body"}}
        for name in moved:
            self._say(
                f"{name} is no keyword of {self.package}'s class, which moves it to model_kwargs and sends it, and so "
                f"does its stand-in; write model_kwargs={{{name!r}: …}} if that is meant"
            )
        kept = {name: value for name, value in keywords.items() if name not in moved}
        return super()._sorted(
            kept | ({"model_kwargs": {**(kept.get("model_kwargs") or {}), **moved}} if moved else {})
        )

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "client", "async_client", "http_client", "http_async_client")
        self._idle(TEXT, "allowed_special", "disallowed_special", "tiktoken_enabled", "tiktoken_model_name")
        self._idle("the original does not send them either; use default_headers", "headers")
        self._idle(PAUSES, "retry_min_seconds", "retry_max_seconds")
        return self._of_request() | self._of_place()

    def _of_request(self) -> dict[str, Any]:
        """What a request says."""
        pieces = self.check_embedding_ctx_length and self._ours.get("too_long") in {None, "mean"}
        key = self.openai_api_key if "openai_api_key" in self.model_fields_set else None
        function = key if callable(key) else None
        said = "embedding_ctx_length" in self.model_fields_set or look_up("openai", self.model) is None
        with of_keyword("model_kwargs"):
            fields = request_options(
                self.model_kwargs,
                self.openai_api_base,
                organization=self.openai_organization,
                default_headers=self.default_headers,
                query=self.default_query,
                proxy=self.openai_proxy,
                api_key_provider=function,
                text_tokens=self.embedding_ctx_length if pieces and said else None,
            )
        if self.dimensions is not None:
            fields["dimensions"] = self.dimensions
        if self.request_timeout is not None:
            with of_keyword("request_timeout"):
                fields.setdefault("timeout", whole_seconds(self.request_timeout))
        return fields | {
            **NO_ROLES,
            "batch_size": self.chunk_size,
            "max_retries": self.max_retries,
            "show_progress": self.show_progress_bar,
            "too_long": "mean" if self.check_embedding_ctx_length else "truncate",
            "empty": "zero" if self.skip_empty else None,
            "api_key": None if function else key,
        }

    def _of_place(self) -> dict[str, Any]:
        """Where a request goes."""
        self._idle(AZURE, "deployment", "openai_api_version")
        if (self.openai_api_type or "").startswith("azure"):
            raise ConfigurationError("openai_api_type: for Azure take AzureOpenAIEmbeddings, else leave it out")
        return {"model": f"openai:{self.model}", "base_url": self.openai_api_base}

    def embed_documents(self, texts: list[str], chunk_size: int | None = None, **kwargs: Any) -> list[list[float]]:
        """One list of floats for each text.

        Args:
            texts: the documents.
            chunk_size: most texts in one request; None: as for the class.
            **kwargs: fields of the request for this call, such as `dimensions` and `user`.

        Raises:
            ConfigurationError: a keyword would have to be sent by a copy, whose money or rates would not be bounded.
        """
        return super(OpenAIEmbeddings, self._with(chunk_size, kwargs)).embed_documents(texts)

    async def aembed_documents(
        self, texts: list[str], chunk_size: int | None = None, **kwargs: Any
    ) -> list[list[float]]:
        """`embed_documents` as a coroutine."""
        return await super(OpenAIEmbeddings, self._with(chunk_size, kwargs)).aembed_documents(texts)

    def embed_query(self, text: str, **kwargs: Any) -> list[float]:
        """The list of floats of one query. `kwargs` as of `embed_documents`."""
        return super(OpenAIEmbeddings, self._with(kwargs.pop("chunk_size", None), kwargs)).embed_query(text)

    async def aembed_query(self, text: str, **kwargs: Any) -> list[float]:
        """`embed_query` as a coroutine."""
        return await super(OpenAIEmbeddings, self._with(kwargs.pop("chunk_size", None), kwargs)).aembed_query(text)

    def _with(self, chunk_size: int | None, fields: Mapping[str, Any]) -> Self:
        """This object, or a copy that sends other fields or other numbers of texts."""
        wanted = {} if chunk_size in (None, self.chunk_size) else {"chunk_size": chunk_size}
        own = {name: value for name, value in fields.items() if name in {"model", "dimensions", "timeout"}}
        rest = {name: value for name, value in fields.items() if name not in own}
        update = {**wanted, **own, **({"model_kwargs": {**self.model_kwargs, **rest}} if rest else {})}
        return self._for_call(", ".join([*wanted, *fields]), update)
