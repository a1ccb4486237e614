"""What Google's two embedding APIs share: roles as task types, titles, narrower vectors, headers, the environment.

A document's title is written before its text, as gemini-embedding-2 reads it: `title: TITLE | text: TEXT`. Of models
that are told roles by a task type it becomes the request's own title.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from embedbridge._core.titles import split_title
from embedbridge._core.types import Identity, InputType, Route
from embedbridge._threads.telling import warn
from embedbridge.catalogue import ModelCard
from embedbridge.errors import ConfigurationError

from ._headers import GatewayOptions
from ._urls import endpoint
from .base import ProviderConfig
from .hosted import HostedProvider

TASKS: Mapping[InputType, str] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""In the order in which Google's own SDK reads them."""
TITLED = "RETRIEVAL_DOCUMENT"
"""The task with which a title may be sent."""
_VERSION = re.compile(r"/v\d\w*$")


class GoogleOptions(GatewayOptions):
    """What Google's embedding APIs know besides model, texts and width."""

    task_types: dict[InputType, Annotated[str, Field(pattern="^[A-Z][A-Z_]*$")]] | None = None
    """Role → the task type that is sent for it, in place of the usual one: `{"query": "CODE_RETRIEVAL_QUERY"}`.
    {}: none is sent for any role, so that query_prefix and document_prefix can be used."""
    default_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request, for a gateway in front."""
    request_items: int | None = Field(default=None, ge=1)
    """Texts of a request, for a server that takes fewer."""


class GoogleProvider(HostedProvider):
    """Subclasses have the address, the credentials, and the two shapes of a request and an answer."""

    package = "httpx2"
    options_type = GoogleOptions
    key_variables = KEYS
    key_header = "x-goog-api-key"
    base_variable: ClassVar[str] = ""
    """The variable from which Google's own SDK takes `base_url`."""
    version: ClassVar[str] = ""
    """Of the API, where the address names none."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.model = config.model.removeprefix("models/")
        if not self.model or set("?#&") & set(self.model) or ".." in self.model:
            raise ConfigurationError(f"{config.model!r} cannot be a model of {self.name!r}; write its name alone")
        if self.options.task_types and self._reads_prefixes():
            raise ConfigurationError(
                f"{self.model} ignores task types: it reads prefixes, which are put there by role. Leave task_types "
                "out, or write query_prefix and document_prefix"
            )

    def find_url(self) -> str | None:
        """`base_url`, else the SDK's variable; without the API's version, which is added as for the SDK."""
        url = self.config.base_url or os.environ.get(self.base_variable) or None
        if url and url.rstrip("/").endswith("/openai"):
            raise ConfigurationError(f"base_url: {endpoint(url)} speaks OpenAI's API; write 'openai:{self.model}'")
        return url.rstrip("/").removesuffix(f"/{self.version}") if url else None

    def root(self) -> str:
        """The address with the API's version."""
        address = self.address().rstrip("/")
        return address if _VERSION.search(address) else f"{address}/{self.version}"

    def headers(self) -> dict[str, str]:
        """As given."""
        return {name: value.get_secret_value() for name, value in self.options.default_headers.items()}

    def owned_headers(self) -> Collection[str]:
        """Besides, the key's."""
        return {*({self.key_header} if self.key else ()), *super().owned_headers()}

    def _reads_prefixes(self) -> bool:
        return bool(self.config.card and self.config.card.prefixes)

    def wire_type(self, input_type: InputType) -> str | None:
        """The role's task type; None for models that read prefixes."""
        own: Mapping[InputType, str] | None = self.options.task_types
        if self._reads_prefixes() or own == {}:
            return None
        return {**TASKS, **(own or {})}[input_type]

    def remarks(self) -> Iterator[str]:
        """How a title is given, and what is not known of a model that is not in the catalogue."""
        card = self.config.card
        if card is None and self.options.task_types is None:
            yield (
                "not in the catalogue: roles are sent as task types, which some models ignore. If this one reads "
                "prefixes, pass provider_options={'task_types': {}}, query_prefix and document_prefix"
            )
        if card is not None and card.titled:
            yield f"a document with a title of its own is written {card.titled.format(title='TITLE')}TEXT"

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """All current models; of others the first answer shows it."""
        return card is None or bool(card.reductions)

    def full_width(self) -> tuple[Identity, int] | None:
        """Narrower vectors are the beginnings of whole ones, as Google's SDK says of `output_dimensionality`."""
        card, asked = self.config.card, self.config.dimensions
        if not (asked and card and card.dimensions):
            return None
        return self.identity.without({f"dimensions={asked}"}), card.dimensions

    def split(self, text: str, route: Route) -> tuple[str, str]:
        """A text's title ("" for none) and its content, for a request that has a field for each."""
        card = self.config.card
        found = split_title(text, card.titled) if card and route.wire_type == TITLED else None
        return found or ("", text)

    def text_tokens(self) -> int | None:
        """Tokens that are read of a text."""
        return self.config.card.max_tokens if self.config.card else None

    def items(self, most: int) -> int:
        """Texts of a request that may have so many."""
        return min(most, self.options.request_items or most)


def environment_key() -> SecretStr | None:
    """The key of the environment, as Google's own SDK chooses it; said where there are two."""
    found = {name: os.environ[name] for name in KEYS if os.environ.get(name, "").strip()}
    if len(set(found.values())) > 1:
        warn(f"{' and '.join(found)} are both set and differ; the first is used, as by Google's own SDK", stacklevel=4)
    return SecretStr(next(iter(found.values())).strip()) if found else None
