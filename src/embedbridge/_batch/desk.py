"""Where texts are handed over and vectors are taken in: an embedder's parts, as the batch calls need them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import count
from tempfile import TemporaryFile
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from embedbridge._core.refusals import LONGEST_WAIT
from embedbridge._core.retry import as_error
from embedbridge._core.shared import Shared
from embedbridge.cache import DiskCache, GuardedStore, RedisCache, TieredCache
from embedbridge.cache._files import cache_directory
from embedbridge.cache.base import Cache, completed
from embedbridge.errors import ConfigurationError, DeadlineExceededError, EmbeddingError, RequestFailed

from .file_ledger import FileLedger
from .ledger import Entry, Ledger
from .redis_ledger import RedisLedger
from .several import SeveralLedgers

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import BatchApi
    from embedbridge.providers.base import BaseProvider

T = TypeVar("T")

SETTLING = 5.0
"""Seconds after which a vendor lists a batch that it was asked to make, even if nobody heard its answer."""
NO_PLACE = (
    "this cache is gone with the process, or does not say where it is, and a batch comes back another day: give cache= "
    "a directory or 'redis://…'"
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the batch calls of one embedder need."""

    api: BatchApi
    shared: Shared
    store: GuardedStore
    ledger: Ledger
    made_by: str
    """The embedder's options as JSON, without secrets, to make it again where answers are collected."""
    deadline: float | None = None
    """When the call has to end, on the clock that never goes back."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for the outcome any more."""

    @property
    def timeout(self) -> float:
        """Seconds for one request. Raises `DeadlineExceededError` where there are none."""
        return self.within(self.shared.timeout)

    def within(self, seconds: float) -> float:
        """So many seconds, or those until the deadline. Raises `DeadlineExceededError` where there are none."""
        if self.deadline is None:
            return seconds
        if (left := self.deadline - monotonic()) <= 0:
            told = "the deadline passed; what was handed over by then goes on, and what came is in the cache"
            raise DeadlineExceededError(f"{self.where}: {told}")
        return min(seconds, left)

    @property
    def where(self) -> str:
        """The beginning of an error's message."""
        identity = self.shared.identity
        return f"{identity.provider}:{identity.model}" + (f" at {identity.endpoint}" if identity.endpoint else "")

    def entries(self) -> list[Entry]:
        """The batches of this embedder's provider, model and what else decides a vector."""
        ours = self.shared.identity.fingerprint
        return [entry for entry in self.ledger.entries() if entry.identity == ours]

    def awaited(self) -> list[Entry]:
        """Those, and the batches of wider vectors that this embedder's may be cut from: see `of`."""
        ours, full = {self.shared.identity.fingerprint}, self.shared.full_width
        ours |= {full[0].fingerprint} if full else set()
        return [entry for entry in self.ledger.entries() if entry.identity in ours]

    def of(self, entry: Entry) -> Desk:
        """The desk where a batch's vectors are taken in as they come: where they are wider, another."""
        shared, full = self.shared, self.shared.full_width
        if full is None or entry.identity != full[0].fingerprint:
            return self
        wider = replace(shared, identity=full[0], width=full[1], width_key=None, full_width=None, roles={})
        return replace(self, shared=wider)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `EmbeddingError` when the call was given up, or its deadline passes."""
        if self.stop.wait(self.within(seconds)):
            raise EmbeddingError(f"{self.where}: the call was given up; what was handed over goes on")
        self.within(seconds)

    def persist(self, ask: Callable[[], T]) -> T:
        """Ask, and ask again while a failure may pass. Raises the named error of the last one."""
        for number in count(1):
            try:
                return ask()
            except RequestFailed as failure:
                pause = self.shared.backoff.pause(number, failure)
                if pause is None or pause > LONGEST_WAIT:
                    raise as_error(failure, self.where) from failure
                self.sleep(pause)
        raise AssertionError


@contextmanager
def scratch_file(desk: Desk) -> Iterator[BinaryIO]:
    """A file that is gone after its use. Raises `EmbeddingError` where the system gives none, or has no more room."""
    try:
        with TemporaryFile() as file:
            yield file
    except OSError as error:
        told = f"a temporary file cannot be written or read ({error}): make room, or set TMPDIR to another folder"
        raise EmbeddingError(f"{desk.where}: {told}") from error


def open_desk(
    provider: BaseProvider, shared: Shared, cache: Cache | None, made_by: str, deadline: float | None = None
) -> Desk:
    """The desk of an embedder. Raises `ConfigurationError` where its provider or its cache cannot do it."""
    api: Any = provider.batch_api
    if api is None:
        raise ConfigurationError(f"{provider.name}:{provider.model}: {provider.no_batch_api}")
    if cache is None or not isinstance(shared.store, GuardedStore):
        raise ConfigurationError(
            "vectors of a batch come another day, and only a cache keeps them: leave cache=False out"
        )
    return Desk(api(provider), shared, shared.store, ledger_of(cache), made_by, deadline)


def ledger_of(cache: Cache) -> Ledger:
    """The ledger beside a cache, or of all its tiers. Raises `ConfigurationError` where no other process finds one."""
    found: dict[object, Ledger] = {}
    for tier in _tiers(cache):
        where = completed(tier).location
        if isinstance(tier, DiskCache):
            found[where] = FileLedger(tier.directory)
        elif isinstance(tier, RedisCache):
            found[where] = RedisLedger(tier)
        elif isinstance(where, str):
            name = f"batches-{blake2b(where.encode(), digest_size=8).hexdigest()}"
            found[where] = FileLedger(cache_directory(None), name)
    if not found:
        raise ConfigurationError(NO_PLACE)
    ledgers = [*found.values()]
    return ledgers[0] if len(ledgers) == 1 else SeveralLedgers(ledgers)


def _tiers(cache: Cache) -> list[Cache]:
    """A cache's tiers, nearest first, and theirs; a cache without any as its only one."""
    return [each for tier in cache.tiers for each in _tiers(tier)] if isinstance(cache, TieredCache) else [cache]
