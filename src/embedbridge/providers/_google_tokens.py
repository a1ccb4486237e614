"""Access tokens of Google Cloud by its official library: found, fetched and renewed in time, off the event loop.

The library's chain decides where they come from: GOOGLE_APPLICATION_CREDENTIALS, gcloud, the machine's metadata server.
Its own requests go by our transport, so timeouts, sizes, certificates and proxies hold for them too.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from embedbridge._core.kinds import Kind
from embedbridge._core.locks import OwnLock
from embedbridge._threads.background import in_background
from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, RequestFailed

from ._transport import TransportOptions
from ._wire import Exchange, exchange, make_transport

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
FILE = "GOOGLE_APPLICATION_CREDENTIALS"
HOW = (
    f"set {FILE} to the path of a file of credentials, run 'gcloud auth application-default login', run on Google "
    "Cloud, or pass api_key=…"
)
FETCHING = "an access token of Google Cloud was being fetched"
LONGEST = 30.0
"""Seconds of one request for a token."""
MOST = 1 << 20
"""Bytes of its answer."""


def read_named_file() -> Mapping[str, Any]:
    """What stands in the file that the environment names; {} where it names none.

    Raises `ConfigurationError` where there is no such file, or it holds no credentials.
    """
    path = os.environ.get(FILE, "").strip()
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        why = "" if isinstance(found, dict) and isinstance(found.get("type"), str) else "holds no credentials"
    except (OSError, ValueError) as error:
        why = "cannot be read" if isinstance(error, OSError) else "holds no JSON"
    if why:
        raise ConfigurationError(f"{FILE} names {path!r}, which {why}; correct it, or {HOW}")
    return found  # type: ignore[no-any-return]


class Tokens:
    """One token for all requests of a provider, renewed when it is about to expire.

    Args:
        options: how requests travel.
        credentials: of google-auth, if the user gives some; None: those that its chain finds.
    """

    def __init__(self, options: TransportOptions, credentials: Any = None) -> None:
        self._request, self._credentials = TokenRequest(options), credentials
        self.project: str | None = None
        """What the credentials are for, once they are found; None: they do not say."""
        self.after_fork()

    def after_fork(self) -> None:
        """Threads belong to the parent."""
        self._lock = OwnLock()
        self._fetched: Future[None] | None = None

    def get_ready(self, seconds: float | None) -> None:
        """Have a token, in so many seconds. Raises `RequestFailed`."""
        fetched = self._begin()
        if fetched is not None:
            wait((fetched,), seconds)
            _check(fetched)

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, without blocking the event loop."""
        fetched = self._begin()
        if fetched is not None:
            known = asyncio.wrap_future(fetched)
            known.add_done_callback(asyncio.Future.exception)  # looked at, for it may be raised nowhere
            await asyncio.wait((known,), timeout=seconds)
            _check(fetched)

    def headers(self) -> dict[str, str]:
        """The token's header, and whom to charge where the credentials say so."""
        headers: dict[str, str] = {}
        self._credentials.apply(headers)
        return headers

    def _begin(self) -> Future[None] | None:
        """What fetches a token for all who wait; None where there is one."""
        with self._lock:
            if self._credentials is not None and self._credentials.valid:
                return None
            if self._fetched is None or self._fetched.done():
                self._fetched = in_background(self._fetch)
            return self._fetched

    def _fetch(self) -> None:
        failure = self._try_to_fetch()
        if failure is not None:  # raised here, so that it is chained to no error that holds a secret
            raise failure

    def _try_to_fetch(self) -> RequestFailed | None:
        with importing():
            auth, errors = import_module("google.auth"), import_module("google.auth.exceptions")
        try:
            if self._credentials is None:
                found, self.project = auth.default(scopes=SCOPES, request=self._request)
                if not found.valid:
                    found.refresh(self._request)
                self._credentials = found
            else:
                self._credentials.refresh(self._request)
        except errors.DefaultCredentialsError:
            told = "no credentials of Google Cloud are found, or they are unsound"
            return RequestFailed(told, kind=Kind.KEY, credentials=HOW)
        except errors.TransportError:
            return RequestFailed("what gives out access tokens of Google Cloud does not answer", kind=Kind.CONNECTION)
        except Exception as error:
            kind = Kind.BUSY if getattr(error, "retryable", False) else Kind.KEY
            told = f"Google Cloud gives no access token for these credentials ({type(error).__name__})"
            return RequestFailed(told, kind=kind, credentials=HOW)
        return None


def _check(fetched: Future[None]) -> None:
    """Raise what went wrong, or `RequestFailed` where it takes longer."""
    if not fetched.done():
        raise RequestFailed(f"the time was over while {FETCHING}", kind=Kind.TIMEOUT, doing=FETCHING)
    fetched.result()


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(slots=True, repr=False)
class TokenExchange(Exchange):
    """An exchange of which all headers are wanted: a metadata server is known by one."""

    everything: dict[str, str] = field(default_factory=dict)

    def open(self, answer: Any) -> None:
        """As of every exchange."""
        self.everything = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        Exchange.open(self, answer)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What google-auth sends by: `google.auth.transport.Request`, by shape."""

    options: TransportOptions

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> TokenAnswer:
        """Raises google-auth's `TransportError`."""
        http, errors = import_module("httpx2"), import_module("google.auth.exceptions")
        # A metadata server is on the machine's own network, where no proxy leads to.
        options = self.options if url.startswith("https:") else self.options.model_copy(update={"proxy": False})
        held = TokenExchange(min(timeout or LONGEST, LONGEST), max_bytes=MOST)
        transport = make_transport("httpx2", options, url, blocking=True)
        with http.Client(transport=transport, trust_env=False) as client, exchange(held):
            client.request(method, url, content=body, headers=headers)
        if held.failure is not None:
            raise errors.TransportError(str(held.failure))
        return TokenAnswer(held.status, held.everything, bytes(held.data))
