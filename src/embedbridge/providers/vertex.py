"""Google's Vertex AI over its documented wire: `:predict` with many texts, or `:embedContent` with one.

Its vectors are kept apart from those of the Gemini API, though models have the same names: no document says that both
give the same numbers, and an index of both would be wrong without a sign of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from embedbridge._core.kinds import Kind
from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, Limits, Reply
from embedbridge._threads.telling import warn
from embedbridge.errors import ConfigurationError, RequestFailed

from ._google import GoogleOptions, GoogleProvider, environment_key
from ._google_tokens import HOW, Tokens, read_named_file
from ._listing import tokens_of
from ._urls import endpoint, is_local
from .base import ProviderConfig, require
from .hosted import rough_counter

__all__ = ["VertexOptions", "VertexProvider"]

MOST_TEXTS = 250
MOST_TOKENS = 13_000
"""Summed over one request by an estimate of four bytes each. It may have 20,000, and dense text three bytes in one."""
ANYWHERE = "global"
MULTI_REGIONS = ("us", "eu")
NAME = r"^[a-z0-9][a-z0-9:._-]*$"
TOKEN_HEADERS = ("authorization", "x-goog-user-project")
NO_PROJECT = "set GOOGLE_CLOUD_PROJECT, or pass provider_options={'project': …}"
PROJECT, LOCATION = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"), ("GOOGLE_CLOUD_LOCATION",)


class VertexOptions(GoogleOptions):
    """Where a request goes, and who asks. None of it changes a vector."""

    aside = frozenset({"project", "location", "credentials"})
    from_environment = frozenset({"credentials"})
    unset_if_empty = frozenset({"project", "location"})

    project: str | None = Field(default=None, pattern=NAME + "|^$")
    """None or "": GOOGLE_CLOUD_PROJECT, then that of the credentials."""
    location: str | None = Field(default=None, pattern=NAME + "|^$")
    """A region, "us", "eu" or "global". None or "": GOOGLE_CLOUD_LOCATION, then "global"."""
    credentials: Any = None
    """`google.auth.credentials.Credentials`; None: those that google-auth's chain finds."""

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """Besides those that are text, the credentials: they hold tokens and private keys.

        Returns:
            Names of options.
        """
        return super().secrets() | {"credentials"}


class VertexProvider(GoogleProvider):
    """`vertex:gemini-embedding-001`, with the credentials of Google Cloud, or in express mode with a key.

    A key is `api_key`, or GOOGLE_API_KEY or GEMINI_API_KEY where neither project nor location nor credentials are given
    or stand in the environment, as of Google's own SDK. `base_url` is what that takes: the address without the API's
    version.
    """

    name = "vertex"
    extra = "vertex"
    options_type = VertexOptions
    base_variable = "GOOGLE_VERTEX_BASE_URL"
    version = "v1beta1"
    no_batch_api = "Vertex AI's batches read and write its own storage; embed as usual, or by 'gemini:'"
    where_to_look = "check project, location, model and base_url"

    _project: str | None
    _location: str | None

    def __init__(self, config: ProviderConfig) -> None:
        self._tokens: Tokens | None = None
        super().__init__(config)
        own, sent = self.options, {name.lower() for name in self.headers()}
        if own.credentials is not None and not callable(getattr(own.credentials, "apply", None)):
            raise ConfigurationError("provider_options: credentials are google.auth.credentials.Credentials")
        if self.key is None and "authorization" not in sent and urlsplit(self.url or "").username is None:
            require("google.auth", self.extra)
            named = {} if own.credentials is not None else read_named_file()
            self._project = self._project or named.get("project_id") or getattr(own.credentials, "project_id", None)
            self._tokens = Tokens(own, own.credentials)
            if self.address().startswith("http://") and not is_local(self.address()):
                warn(f"tokens of Google Cloud will travel unencrypted to {endpoint(self.address())}", stacklevel=3)
        if self._location and not self._project and self._tokens is None and self.url is None:
            raise ConfigurationError(f"'vertex' needs a project beside a location: {NO_PROJECT}")

    def choose_key(self) -> SecretStr | None:
        """None where credentials are used. Raises `ConfigurationError` for both."""
        own, given = self.options, self.config.api_key
        if given is not None and own.credentials is not None:
            raise ConfigurationError("pass one of api_key and provider_options['credentials'], not both")
        if given is not None or own.credentials is not None or self._project or self._location:
            return given
        return environment_key()

    def find_url(self) -> str | None:
        """As of every API of Google; None also for the address that belongs to the location."""
        own = self.options
        # A key that is given stands above a project of the environment.
        ambient = self.config.api_key is None or own.project or own.location
        self._project = own.project or (_first_set(PROJECT) if ambient else None)
        self._location = own.location or (_first_set(LOCATION) if ambient else None)
        url = super().find_url()
        return None if url and endpoint(url) == self._own_address() else url

    def address(self) -> str:
        """`base_url`, else the address that belongs to the location."""
        return self.url or self._own_address()

    def _own_address(self) -> str:
        place = self._location or ANYWHERE
        if place == ANYWHERE:
            return "https://aiplatform.googleapis.com"
        if place in MULTI_REGIONS:
            return f"https://aiplatform.{place}.rep.googleapis.com"
        return f"https://{place}-aiplatform.googleapis.com"

    def owned_headers(self) -> Collection[str]:
        """Besides, those of the credentials, where there are some."""
        used = self.key is None and self.options.credentials is not None
        return {*(TOKEN_HEADERS if used else ()), *super().owned_headers()}

    def asides(self) -> dict[str, Any]:
        """Who asks, and where."""
        return {"project": self._project, "location": self._location}

    def stored_options(self) -> dict[str, Any]:
        """As of every API of Google; and where to ask, without which nothing can be asked."""
        own = {"project": self.options.project, "location": self.options.location}
        return super().stored_options() | {name: value for name, value in own.items() if value}

    def _one_by_one(self) -> bool:
        """Whether the model is behind `:embedContent`, as Google's own SDK has it."""
        name = self.model.rpartition("/")[2]
        return ("gemini" in name and name != "gemini-embedding-001") or "maas" in name

    @property
    def limits(self) -> Limits:
        """250 texts, and tokens by a careful estimate; of `:embedContent`, one text."""
        if self._one_by_one():
            return Limits(items=1, text_tokens=self.text_tokens())
        return Limits(items=self.items(MOST_TEXTS), tokens=MOST_TOKENS, text_tokens=self.text_tokens())

    def counter(self) -> Counter:
        """There is no tokenizer offline; the server cuts and refuses exactly, and tells it."""
        return rough_counter(self.config.too_long)

    def get_ready(self, seconds: float | None) -> None:
        """Besides the client, have a token."""
        end = None if seconds is None else time.monotonic() + seconds
        super().get_ready(seconds)
        if self._tokens is not None:
            self._tokens.get_ready(None if end is None else end - time.monotonic())

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, without blocking the event loop."""
        end = None if seconds is None else time.monotonic() + seconds
        await super().aget_ready(seconds)
        if self._tokens is not None:
            await self._tokens.aget_ready(None if end is None else end - time.monotonic())

    def after_fork(self) -> None:
        """Sockets and threads belong to the parent."""
        super().after_fork()
        if self._tokens is not None:
            self._tokens.after_fork()

    def _path(self) -> str:
        """The model's place, as Google's SDK writes it. Raises `RequestFailed` where the project is not known."""
        model, place = self.model, ""
        if not model.startswith(("projects/", "publishers/")):
            publisher, _, name = model.rpartition("/")
            model = f"publishers/{publisher or 'google'}/models/{name}"
        project = self._project or (self._tokens and self._tokens.project)
        if project and not model.startswith("projects/"):
            place = f"projects/{project}/locations/{self._location or ANYWHERE}/"
        elif self._tokens is not None and not model.startswith("projects/"):
            raise RequestFailed(f"no project is known: {NO_PROJECT}", kind=Kind.CONFIGURATION)
        return place + model

    def send(self, client: Any, batch: Batch) -> Any:
        """One `:predict` or `:embedContent`."""
        headers = self.headers() | (self._tokens.headers() if self._tokens else {})
        if self.key is not None:
            headers[self.key_header] = self.secret()
        parameters = {
            "autoTruncate": self.config.too_long == "truncate",  # told in the answer
            **({"outputDimensionality": self.config.dimensions} if self.config.dimensions else {}),
        }
        if self._one_by_one():
            method, body = "embedContent", self._content(batch, parameters)
        else:
            instances = [self._instance(text, batch) for text in batch.texts]
            method, body = "predict", {"instances": instances, "parameters": parameters}
        return client.post(f"{self.root()}/{self._path()}:{method}", json=body, headers=headers)

    def _instance(self, text: str, batch: Batch) -> dict[str, Any]:
        title, content = self.split(text, batch.route)
        fields = {"content": content, "task_type": batch.route.wire_type, "title": title}
        return {name: value for name, value in fields.items() if value}

    def _content(self, batch: Batch, parameters: dict[str, Any]) -> dict[str, Any]:
        title, content = self.split(batch.texts[0], batch.route)
        fields = {"taskType": batch.route.wire_type, "title": title}
        config = {**{name: value for name, value in fields.items() if value}, **parameters}
        return {"content": {"parts": [{"text": content}], "role": "user"}, "embedContentConfig": config}

    def explained(self, failure: RequestFailed) -> RequestFailed:
        """What to check where Google refuses who asks."""
        failure.credentials = HOW if self._tokens is not None else ""
        return failure

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Vectors come in the order of the texts, unnumbered, each with its tokens and whether it was cut."""
        if self._one_by_one():
            tokens = tokens_of(payload, "usageMetadata", "promptTokenCount")
            return Reply([payload["embedding"].get("values")], tokens=tokens, cut=self._cut([payload]))
        found = [entry["embeddings"] for entry in payload["predictions"]]
        told = [entry.get("statistics") or {} for entry in found]
        counts = [tokens_of(each, "token_count") for each in told]
        tokens = None if None in counts or not counts else sum(filter(None, counts))
        return Reply([entry.get("values") for entry in found], tokens=tokens, cut=self._cut(told))

    def _cut(self, told: list[dict[str, Any]]) -> dict[int, int]:
        """Texts that the server has cut, to the model's limit."""
        return {at: self.text_tokens() or -1 for at, each in enumerate(told) if each.get("truncated") is True}


def _first_set(variables: Iterable[str]) -> str | None:
    """The first of these variables of the environment that is set."""
    return next((os.environ[name].strip() for name in variables if os.environ.get(name, "").strip()), None)
