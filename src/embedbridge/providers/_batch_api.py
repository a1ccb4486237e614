"""A batch API: what its lines, limits and states are, and one conversation for each thing that it can be asked.

Everything here blocks: its few requests are made in threads of our own, whoever waits for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeVar
from urllib.parse import urljoin, urlsplit

from embedbridge._core.prepare import is_utf8
from embedbridge._core.types import Batch, Reply
from embedbridge.errors import RequestFailed

from ._documents import read_document
from ._wire import Exchange, exchange, make_transport

if TYPE_CHECKING:
    from .hosted import HostedProvider

T = TypeVar("T")

TAG = "embedbridge"
"""The name, in a batch's metadata, of what it is found by."""
MOST_ANSWER = 16 << 20
"""Bytes of an answer that is no file."""
BYTES_A_SECOND = 100_000
"""The slowest way that a file may take."""
REDIRECTS = 3
"""From one address of the vendor to the next."""
WITHOUT_KEY = frozenset({"host", "accept", "accept-encoding", "connection", "user-agent"})
"""All headers that are sent after a redirect."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one file of a batch API may hold; None: no such limit."""

    texts: int
    lines: int
    size: int
    """Bytes."""
    line_texts: int | None = None
    """Texts in one line, where that is fewer than an ordinary request may have."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A batch as the vendor tells of it."""

    id: str
    state: str
    """The vendor's own word."""
    ended: bool
    """Nothing more is worked out."""
    tag: str = ""
    """What `create` was given to find it by; "": it is not one of ours."""
    files: tuple[str, ...] = ()
    """Names of the files that hold answers and errors, once it has ended."""
    reason: str = ""
    """Why it has failed, in codes and numbers alone: the vendor's sentences may quote texts."""
    empty: bool = False
    """It has ended, and there is no file of answers."""
    answered: int = 0
    """Lines that were answered with vectors, as far as the vendor says it: so many at least are in its files."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One line that came back."""

    name: str
    """The line's, as it was sent; "" where it has none."""
    reply: Reply | None
    """None: it has no vectors."""
    reason: str = ""
    """Why not, as a code."""


class BatchApi(ABC):
    """Subclasses say how the SDK is asked, and how its answers are read."""

    share: ClassVar[Fraction]
    """The price, as a part of the ordinary one."""
    limits: ClassVar[BatchLimits]
    domains: ClassVar[Collection[str]] = ()
    """The vendor's own, to which a file's content may be redirected."""

    def __init__(self, provider: HostedProvider) -> None:
        self.provider = provider

    # What a subclass says.

    @abstractmethod
    def line(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """The JSON of one line that asks for a batch of texts."""

    @abstractmethod
    def send_file(self, client: Any, name: str, file: BinaryIO) -> Any:
        """Send a file of lines."""

    @abstractmethod
    def send_create(self, client: Any, file: str, tag: str, sample: Batch) -> Any:
        """Have a batch made of a file. `sample` is one of its lines, for what an API takes once for all of them."""

    @abstractmethod
    def send_look(self, client: Any, batch: str) -> Any:
        """Ask how far a batch has come."""

    @abstractmethod
    def send_list(self, client: Any, after: str) -> Any:
        """Ask for batches, newest first, from where a list before ended ("": from the first)."""

    @abstractmethod
    def send_cancel(self, client: Any, batch: str) -> Any:
        """End a batch early."""

    @abstractmethod
    def send_content(self, client: Any, file: str) -> Any:
        """Ask for a file's content."""

    @abstractmethod
    def read_batch(self, payload: Mapping[str, Any]) -> Remote:
        """What the vendor tells of a batch."""

    @abstractmethod
    def read_list(self, payload: Mapping[str, Any]) -> tuple[list[Remote], str]:
        """The batches of a list, and what to go on `after`; "" where that was all."""

    @abstractmethod
    def read_line(self, record: Mapping[str, Any]) -> Answered:
        """One line that came back. A KeyError or TypeError means that it is none."""

    def read_file(self, payload: Mapping[str, Any]) -> str:
        """The name of a file that was sent."""
        return str(payload["id"])

    # What is asked. Each raises `RequestFailed`.

    def upload(self, name: str, file: BinaryIO, *, size: int, timeout: float) -> str:
        """Send a file of `size` bytes; returns the vendor's name of it."""
        try:
            return self._ask(
                lambda client: self.send_file(client, name, file), self.read_file, timeout + size / BYTES_A_SECOND
            )
        except RequestFailed as failure:
            if failure.status is None:
                raise
            told = f"the file of lines is refused: status {failure.status}"  # the server's words may quote the texts
            raise RequestFailed(
                f"{told} {failure.code}".rstrip(),
                status=failure.status,
                code=failure.code,
                retry_after=failure.retry_after,
                kind=failure.kind,
            ) from None

    def create(self, file: str, tag: str, sample: Batch, *, timeout: float) -> Remote:
        """Have a batch made."""
        return self._ask(lambda client: self.send_create(client, file, tag, sample), self.read_batch, timeout)

    def look(self, batch: str, *, timeout: float) -> Remote:
        """How far a batch has come."""
        return self._ask(lambda client: self.send_look(client, batch), self.read_batch, timeout)

    def cancel(self, batch: str, *, timeout: float) -> None:
        """End a batch early. Of one that has ended that is no fault."""
        try:
            self._ask(lambda client: self.send_cancel(client, batch), lambda _: None, timeout)
        except RequestFailed as failure:
            if failure.status not in {400, 404, 409}:
                raise

    def find(self, tags: Collection[str], *, timeout: Callable[[], float]) -> dict[str, list[Remote]]:
        """The batches that were made for `tags`, as far as the list has any, oldest first.

        `timeout` has the seconds for each page.
        """
        found: dict[str, list[Remote]] = {}
        after, before = "", {""}
        while True:
            remotes, after = self._ask(partial(self.send_list, after=after), self.read_list, timeout())
            ours = [remote for remote in remotes if remote.tag in tags]
            for remote in ours:  # newest first
                found.setdefault(remote.tag, []).insert(0, remote)
            # Of one name there may be several, and the page may end between them.
            if not after or (len(found) == len(set(tags)) and not ours):
                break
            if after in before:
                raise RequestFailed("the list of batches goes on where it has been, and has no end", kind="no_data")
            before.add(after)
        return found

    def download(self, file: str, sink: BinaryIO, *, most: int, timeout: float) -> None:
        """Write a file's content, of at most `most` bytes, to a stream, and never hold it whole.

        A redirect is followed to the vendor's own hosts alone, without the key.
        """
        held = self._exchange(timeout, most, sink)
        target = self.provider.converse(held, lambda client: self.send_content(client, file), _content_or_redirect)
        here = self.provider.address()
        for _ in range(REDIRECTS):
            if target is None:
                return
            here = self._checked(here, target)
            target = self._fetch(here, self._exchange(timeout, most, sink, sent=WITHOUT_KEY))
        if target is not None:
            raise RequestFailed("a file's content is redirected again and again", kind="redirect")

    def _ask(self, send: Callable[[Any], Any], read: Callable[[Mapping[str, Any]], T], timeout: float) -> T:
        payload = self.provider.converse(self._exchange(timeout, MOST_ANSWER), send, _document)
        try:
            return read(payload)
        except (KeyError, TypeError, AttributeError):
            raise RequestFailed("the answer is not one of a batch API", kind="no_data") from None

    def _exchange(
        self, timeout: float, most: int, sink: BinaryIO | None = None, sent: Collection[str] | None = None
    ) -> Exchange:
        own = self.provider
        names = own.sent_headers if sent is None else sent
        return Exchange(timeout, max_bytes=most, secrets=[own.secret()], sent_headers=names, sink=sink)

    def _checked(self, here: str, target: str) -> str:
        """The address of a redirect, if it is the vendor's own. It may hold a signature, which no error shows."""
        url = urljoin(here, target)
        old, new = urlsplit(here), urlsplit(url)
        host = new.hostname or ""
        ours = host == old.hostname or (
            self.provider.url is None and any(host == each or host.endswith(f".{each}") for each in self.domains)
        )
        if not ours or new.scheme not in {"https", old.scheme} or new.username is not None:
            told = f"a file's content is redirected to {host or 'no host'}, which is none of {self.provider.name}'s own"
            raise RequestFailed(f"{told}; it is not followed", kind="redirect")
        return url

    def _fetch(self, url: str, held: Exchange) -> str | None:
        own = self.provider
        transport = make_transport(own.library, own.options, url, blocking=True)
        with import_module(own.library).Client(transport=transport, trust_env=False) as client, exchange(held):
            client.get(url)
        return _content_or_redirect(held)


def name_of(value: Any) -> str:
    """A name of the vendor's. Raises TypeError for what nobody can write down or send."""
    if not is_utf8(name := str(value)):
        raise TypeError
    return name


def count_of(number: Any) -> int:
    """A count that a vendor tells, as a number or as its digits; 0 where it tells none."""
    return int(number) if isinstance(number, int) or (isinstance(number, str) and number.isdecimal()) else 0


def _content_or_redirect(held: Exchange) -> str | None:
    """None where the content came whole; else where to ask for it."""
    if held.failure is not None:
        raise held.failure
    if 300 <= held.status < 400 and held.location:
        return held.location
    if held.status != 200:
        held.payload()  # raises, mostly
        raise RequestFailed(f"a file's content is answered with status {held.status}", status=held.status)
    return None


def _document(held: Exchange) -> Mapping[str, Any]:
    """The JSON object of an answer. One that tells of a batch's errors is no error itself."""
    if held.failure is None and 200 <= held.status < 300:
        payload = read_document(held.data)
        if isinstance(payload, dict):
            return payload
        raise RequestFailed("the answer is no JSON object", kind="not_json")
    held.payload()
    raise RequestFailed(f"the answer has status {held.status} and says no more", status=held.status)
