"""A stand-in for `langchain_google_genai.GoogleGenerativeAIEmbeddings`, as its release 4 is."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, Unpack

from pydantic import Field, SecretStr

from embedbridge._core.types import INPUT_TYPES
from embedbridge._frameworks.google_fields import api_options, client_options, titled, untitled
from embedbridge._frameworks.keywords import CLIENT, Ours, environment, secret
from embedbridge._frameworks.stand_in import StandIn
from embedbridge._run.roles import title_form
from embedbridge.catalogue import look_up
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["GoogleGenerativeAIEmbeddings"]

MOST_TEXTS = 100
MOST_TOKENS = 20_000
"""Of a request of the original, which takes a word and a mark for two tokens each."""
MARKS = re.escape(string.punctuation.replace("\\", "") + "\t\n ")
WORDS = re.compile(f"[{MARKS}]|[^{MARKS}]+")
SWITCH = "GOOGLE_GENAI_USE_VERTEXAI"


class GoogleGenerativeAIEmbeddings(StandIn, LangChainFace):
    """For `langchain_google_genai.GoogleGenerativeAIEmbeddings`: its keywords, attributes, requests and vectors.

    Honoured: model, task_type, google_api_key, base_url, output_dimensionality, credentials, vertexai, project,
    location, additional_headers, api_version; and GOOGLE_API_KEY, GEMINI_API_KEY, GOOGLE_GENAI_USE_VERTEXAI,
    GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION. Of a call: task_type, titles, output_dimensionality, batch_size.
    Mapped: request_options["timeout"] is timeout, client_args are options of how requests travel. Credentials, or a
    project, mean Vertex AI. A title is sent with a request of one text; those of texts that go together are left out,
    with a warning, unless document_prefix=None is given.
    Of release 3 alone, and honoured: client_options["api_endpoint"], which is base_url. Release 3 sends all titles, as
    batch_size=1 does, and has no Vertex AI.
    Idle, with a warning: transport; and of gemini-embedding-2, task_type and titles, which it ignores.
    Refused: client, async_client; a key beside credentials; the title of a query.
    """

    package = "langchain-google-genai"
    provider = "gemini"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "google_api_key"}

    client: Any = Field(default=None, exclude=True)
    async_client: Any = Field(default=None, exclude=True)
    model: str
    task_type: str | None = None
    google_api_key: SecretStr | None = secret("GOOGLE_API_KEY", "GEMINI_API_KEY")
    credentials: Any = Field(default=None, exclude=True, repr=False)
    client_options: dict[str, Any] | None = None
    base_url: str | None = None
    transport: str | None = None
    request_options: dict[str, Any] | None = None
    vertexai: bool | None = None
    project: str | None = None
    location: str | None = Field(default_factory=environment("GOOGLE_CLOUD_LOCATION"))
    additional_headers: dict[str, str] | None = None
    client_args: dict[str, Any] | None = None
    api_version: str | None = None
    output_dimensionality: int | None = None

    def __init__(
        self,
        *,
        client: Any = None,
        model: str,
        task_type: str | None = None,
        api_key: str | SecretStr | None = None,
        google_api_key: str | SecretStr | None = None,
        credentials: Any = None,
        vertexai: bool | None = None,
        project: str | None = None,
        location: str | None = None,
        base_url: str | None = None,
        additional_headers: dict[str, str] | None = None,
        client_args: dict[str, Any] | None = None,
        api_version: str | None = None,
        request_options: dict[str, Any] | None = None,
        output_dimensionality: int | None = None,
        async_client: Any = None,
        client_options: dict[str, Any] | None = None,
        transport: str | None = None,
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
        self._refuse(CLIENT, "client", "async_client")
        self._idle("requests are JSON over HTTP", "transport")
        options = api_options(
            self.model.removeprefix("models/"),
            vertex=self._asks_vertex(),
            project=self.project,
            location=self.location,
            credentials=self.credentials,
            base_url=_address(self.base_url, _only("client_options", self.client_options, "api_endpoint")),
            api_version=self.api_version,
            headers=self.additional_headers,
            dimensions=self.output_dimensionality,
            raw=self._ours.get("normalize") is None,
        )
        options["provider_options"] |= client_options("client_args", self.client_args)
        if self._ignores_tasks():
            self._idle(f"{self.model} ignores it", "task_type")
        elif self.task_type:
            options["provider_options"]["task_types"] = dict.fromkeys(INPUT_TYPES, self.task_type.upper())
        return options | {
            "api_key": self.google_api_key if "google_api_key" in self.model_fields_set else None,
            "timeout": _only("request_options", self.request_options, "timeout"),
        }

    def _asks_vertex(self) -> bool:
        if self.vertexai is not None:
            return self.vertexai
        said = os.environ.get(SWITCH, "").lower()
        if said in {"true", "1", "yes", "false", "0", "no"}:
            return said in {"true", "1", "yes"}
        return self.credentials is not None or self.project is not None

    def _decided(self) -> dict[str, Any]:
        ambient = self.credentials is not None or SWITCH in os.environ
        return {"vertexai": self._asks_vertex()} if ambient else {}

    def _ignores_tasks(self) -> bool:
        card = look_up("gemini", self.model)
        return card is not None and bool(card.prefixes)

    def embed_documents(
        self,
        texts: list[str],
        *,
        batch_size: int = MOST_TEXTS,
        task_type: str | None = None,
        titles: list[str] | None = None,
        output_dimensionality: int | None = None,
    ) -> list[list[float]]:
        """One list of floats for each text.

        Args:
            texts: the documents.
            batch_size: most texts in one request.
            task_type: in place of the class's.
            titles: one for each text.
            output_dimensionality: in place of the class's.

        Raises:
            ConfigurationError: there are more or fewer titles than texts; or a keyword would have to be sent by a copy,
                whose money or rates would not be bounded.
        """
        asked = self._with(batch_size, task_type, output_dimensionality)
        written = asked.with_titles(texts, titles, batch_size)
        return super(GoogleGenerativeAIEmbeddings, asked).embed_documents(written)

    async def aembed_documents(
        self,
        texts: list[str],
        *,
        batch_size: int = MOST_TEXTS,
        task_type: str | None = None,
        titles: list[str] | None = None,
        output_dimensionality: int | None = None,
    ) -> list[list[float]]:
        """`embed_documents` as a coroutine."""
        asked = self._with(batch_size, task_type, output_dimensionality)
        written = asked.with_titles(texts, titles, batch_size)
        return await super(GoogleGenerativeAIEmbeddings, asked).aembed_documents(written)

    def embed_query(
        self,
        text: str,
        *,
        task_type: str | None = None,
        title: str | None = None,
        output_dimensionality: int | None = None,
    ) -> list[float]:
        """The list of floats of one query. The keywords as of `embed_documents`; a query has no title."""
        self._refuse_title(title)
        return super(
            GoogleGenerativeAIEmbeddings, self._with(MOST_TEXTS, task_type, output_dimensionality)
        ).embed_query(text)

    async def aembed_query(
        self,
        text: str,
        *,
        task_type: str | None = None,
        title: str | None = None,
        output_dimensionality: int | None = None,
    ) -> list[float]:
        """`embed_query` as a coroutine."""
        self._refuse_title(title)
        return await super(
            GoogleGenerativeAIEmbeddings, self._with(MOST_TEXTS, task_type, output_dimensionality)
        ).aembed_query(text)

    @staticmethod
    def _refuse_title(title: str | None) -> None:
        if title is not None:
            raise ConfigurationError("title: Google reads titles of documents alone; use embed_documents(titles=…)")

    def with_titles(self, texts: list[str], titles: list[str] | None, batch_size: int = MOST_TEXTS) -> list[str]:
        """Texts with their titles before them, as the provider takes them.

        Args:
            texts: the documents.
            titles: one for each; None: they have none.
            batch_size: most texts in one request.

        Returns:
            One text for each.

        Raises:
            ConfigurationError: a title cannot be sent as one.
        """
        if titles and len(titles) != len(texts):
            raise ConfigurationError(f"titles: {len(titles)} for {len(texts)} texts; give one for each")
        form = title_form(self.embedder._parts, self.embedder.route("document"))  # noqa: SLF001 - our own
        if titles and not form:
            self._say(
                f"titles of {self.package} have no effect here: {self.model} is not known to read a field for them; if "
                "it reads them before a text, with document_prefix=None they are put there"
            )
        if not titles or not form:
            return texts if "document_prefix" in self._ours else untitled(texts, form)
        if self.task_type not in {None, "RETRIEVAL_DOCUMENT", "retrieval_document"}:
            raise ConfigurationError(f"titles: Google reads them of retrieval documents alone, not of {self.task_type}")
        own = self._ours.get("document_prefix", "") is None
        alone = set(range(len(texts))) if own else _alone(texts, batch_size)
        if len(alone) < len(texts):
            self._say(
                f"{self.package} leaves out the titles of texts that are sent together, and so does its stand-in: an "
                "index made with the one serves the other. For a new index pass document_prefix=None"
            )
        return [titled(text, titles[at] if at in alone else "", form, f"titles[{at}]") for at, text in enumerate(texts)]

    def _with(self, batch_size: int, task_type: str | None, dimensions: int | None) -> Self:
        """This object, or a copy that sends other fields or other numbers of texts."""
        wanted: dict[str, Any] = {} if batch_size == MOST_TEXTS else {"batch_size": batch_size}
        wanted |= {} if task_type is None else {"task_type": task_type}
        wanted |= {} if dimensions is None else {"output_dimensionality": dimensions}
        return self._for_call(", ".join(wanted), wanted)


def _alone(texts: Sequence[str], batch_size: int) -> set[int]:
    """The places of texts that the original sends in requests of their own."""
    packed: list[list[int]] = []
    room = -1
    for at, text in enumerate(texts):
        tokens = 2 * len(WORDS.findall(text))
        if tokens > room or len(packed[-1]) >= batch_size:
            packed.append([])
            room = MOST_TOKENS
        packed[-1].append(at)
        room -= tokens
    return {first for first, *others in packed if not others}


def _address(base_url: str | None, endpoint: str | None) -> str | None:
    """The one address; an endpoint may be a bare host. Raises `ConfigurationError` for two that differ."""
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if base_url and endpoint and base_url != endpoint:
        raise ConfigurationError("base_url and client_options['api_endpoint'] are two addresses; give one")
    return base_url or endpoint


def _only(keyword: str, given: Mapping[str, Any] | None, name: str) -> Any:
    """The one entry that a dictionary may have. Raises `ConfigurationError` for others."""
    if set(given or {}) - {name}:
        raise ConfigurationError(f"{keyword}: only {name} is accepted")
    return (given or {}).get(name)
