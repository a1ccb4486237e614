"""The ledger in a Redis server, beside the cache that is there: for all machines that share it, however they name it.

What decides is one server and one database, and every step that must be whole is one script or transaction there. A
key is written down only if no other batch has it, so no text is handed over by two machines. The right to hand over
has an end that its holder moves on; who was asleep for longer finds that its batch is dropped, before it is made.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, TypeVar

from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, EmbeddingError

from .ledger import BUSY_NOW, ENDED, TAKEN_OVER, Busy, Entry, StagedLedger, Text

if TYPE_CHECKING:
    from embedbridge.cache import RedisCache

T = TypeVar("T")

PREFIX = "embedbridge:batch:1:"  # the number rises when the meaning of what is kept changes
TAGS, TEXTS, LOCK = f"{PREFIX}tags", f"{PREFIX}texts", f"{PREFIX}lock"
"""A list of all batches; key of a text → its batch and what is known of it; who hands over."""
TIMEOUT = 5.0
"""Seconds for an answer."""
LEASE, RENEWED = 60.0, 10.0
"""Seconds for which one process may hand over, and after which it asks for as many more."""
LOOK = 0.2
"""Seconds between two looks whether another process has done."""
AT_ONCE = 1000
"""Texts of one command."""
TAG = KEY = 32
"""Bytes of a batch's tag, which the value of a text begins with, and of a text's key."""

# Each is run whole, before any other command.
RENEW = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2]) or 0"
LET_GO = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"
SET = """
local stage = redis.call('hget', KEYS[1], 'stage')
if not stage or not string.find(ARGV[1], stage, 1, true) then return 0 end
redis.call('hset', KEYS[1], unpack(ARGV, 2))
return 1
"""
CLAIM = """
if redis.call('exists', KEYS[1]) == 0 then return 0 end
for at = 1, #ARGV, 2 do
  if redis.call('hsetnx', KEYS[2], ARGV[at], ARGV[at + 1]) == 0 then return 0 end
end
return 1
"""
"""Keys are the batch's, unless it was dropped or one of them is another batch's."""
MARK = """
for at = 2, #ARGV, 2 do
  local had = redis.call('hget', KEYS[1], ARGV[at])
  if had and string.sub(had, 1, 32) == ARGV[1] then redis.call('hset', KEYS[1], ARGV[at], ARGV[at + 1]) end
end
"""
FREE = """
for at = 2, #ARGV do
  local had = redis.call('hget', KEYS[1], ARGV[at])
  if had and string.sub(had, 1, 32) == ARGV[1] then redis.call('hdel', KEYS[1], ARGV[at]) end
end
"""


class RedisLedger(StagedLedger):
    """See `Ledger`.

    Args:
        cache: whose server and database it is in.
    """

    def __init__(self, cache: RedisCache) -> None:
        self._cache = cache
        self._client: Any = None

    def now(self) -> float:
        """Seconds of the server's clock, which is one for all machines."""
        with self._open() as redis:
            seconds, micros = redis.time()
            return float(seconds + micros / 1e6)

    # Reading.

    def entries(self) -> list[Entry]:
        with self._open() as redis:
            tags = [tag.decode() for tag in redis.lrange(TAGS, 0, -1)]
            with redis.pipeline(transaction=False) as asked:
                for tag in tags:
                    asked.hgetall(_batch(tag))
                return [_entry(told) for told in asked.execute() if told]

    def pending(self, keys: Sequence[bytes], *, stored: bool = False) -> dict[bytes, str]:
        with self._open() as redis:
            return {text.key: tag for tag, text in _read(redis, keys) if stored or text.billed is None}

    def texts(self, tag: str, line: str) -> list[Text]:
        with self._open() as redis:
            keys = redis.hget(_lines(tag), line) or b""
            found = [text for of, text in _read(redis, _split(keys)) if of == tag]
            return sorted(found, key=lambda text: text.position)

    # Writing.

    def write_down(self, entry: Entry, texts: Iterable[Text]) -> None:
        listed = list(texts)
        with self._open() as redis:
            with redis.pipeline() as at_once:  # first, so that whoever finds a text finds its batch
                at_once.rpush(TAGS, entry.tag)
                at_once.hset(_batch(entry.tag), mapping=_encoded(asdict(entry)))
                for line, of in groupby(listed, key=lambda text: text.line):
                    at_once.hset(_lines(entry.tag), line, b"".join(text.key for text in of))
                at_once.execute()
            for part in _parts(listed, AT_ONCE):
                pairs = chain.from_iterable((text.key, _value(entry.tag, text)) for text in part)
                if not redis.eval(CLAIM, 2, _batch(entry.tag), TEXTS, *pairs):
                    _drop(redis, entry.tag)
                    raise EmbeddingError(TAKEN_OVER)

    def drop(self, tag: str) -> None:
        with self._open() as redis:
            _drop(redis, tag)

    def mark_stored(self, tag: str, texts: Sequence[Text], billed: Sequence[int]) -> None:
        with self._open() as redis:
            for part in _parts(zip(texts, billed, strict=True), AT_ONCE):
                pairs = chain.from_iterable((text.key, _value(tag, text, tokens)) for text, tokens in part)
                redis.eval(MARK, 1, TEXTS, tag, *pairs)

    def end(self, tag: str) -> bool:
        with self._open() as redis:
            watched = _batch(tag), _lines(tag)
            ended: bool = redis.transaction(lambda seen: _end(seen, tag), *watched, value_from_callable=True)
            return ended

    @contextmanager
    def submitting(self, patience: float) -> Iterator[None]:
        """The right to hand over, which the server takes from a process that is killed, after a minute."""
        token, last = secrets.token_hex(16), time.monotonic() + patience
        while not self._take(token):
            if time.monotonic() >= last:
                raise Busy(BUSY_NOW)
            time.sleep(LOOK)
        over = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(token, over), daemon=True, name="embedbridge-lease")
        renewing.start()
        try:
            with self._open() as redis:
                _warn_of_eviction(redis)
                for tag in redis.lrange(TAGS, 0, -1):
                    if not redis.exists(_batch(tag.decode())):
                        _drop(redis, tag.decode())
            yield
        finally:
            over.set()
            with suppress(EmbeddingError), self._open() as redis:
                redis.eval(LET_GO, 1, LOCK, token)

    def _take(self, token: str) -> bool:
        with self._open() as redis:
            return bool(redis.set(LOCK, token, nx=True, px=int(LEASE * 1000)))

    def _renew(self, token: str, over: threading.Event) -> None:
        while not over.wait(RENEWED):
            with suppress(EmbeddingError), self._open() as redis:
                redis.eval(RENEW, 1, LOCK, token, int(LEASE * 1000))

    def _set(self, tag: str, stages: Collection[str], **values: Any) -> bool:
        with self._open() as redis:
            pairs = chain.from_iterable(_encoded(values).items())
            return bool(redis.eval(SET, 1, _batch(tag), json.dumps(stages), *pairs))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The client, and whatever goes wrong as `EmbeddingError`."""
        import redis.exceptions

        try:
            self._client = self._client or self._cache.connect(TIMEOUT)
            yield self._client
        except (redis.exceptions.RedisError, OSError, ValueError, TypeError) as error:
            told = f"the ledger of batches in {self._cache.url} cannot be used ({type(error).__name__})"
            raise EmbeddingError(f"{told}; nothing is lost: see to that, and do the same again") from None


def _warn_of_eviction(redis: Any) -> None:
    """Warn where the server deletes whatever it likes once it is full: what is on its way may be forgotten."""
    about = redis.info("memory")
    if about.get("maxmemory") and str(about.get("maxmemory_policy")).startswith("allkeys"):
        told = "the Redis that holds the ledger of batches deletes any key once it is full (maxmemory-policy allkeys-…)"
        warn(
            f"{told}: what is on its way may be forgotten and paid for again; use noeviction or volatile-…",
            CacheWarning,
        )


def _batch(tag: str) -> str:
    return f"{PREFIX}of:{tag}"


def _lines(tag: str) -> str:
    return f"{PREFIX}lines:{tag}"


def _encoded(values: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in values.items()}


def _entry(told: dict[bytes, bytes]) -> Entry:
    return Entry(**{name.decode(): json.loads(value) for name, value in told.items()})


def _value(tag: str, text: Text, billed: int | None = None) -> bytes:
    """A text as it is kept: its batch, and what is known of it but its key."""
    _, line, position, kept_under, *rest, _ = astuple(text)
    return tag.encode() + json.dumps([line, position, kept_under.hex(), *rest, billed]).encode()


def _read(redis: Any, keys: Sequence[bytes]) -> Iterator[tuple[str, Text]]:
    """Batch and text of those keys that are in one."""
    for part in _parts(keys, AT_ONCE):
        for key, value in zip(part, redis.hmget(TEXTS, part), strict=True):
            if value is not None:
                line, position, kept_under, *rest = json.loads(value[TAG:])
                yield value[:TAG].decode(), Text(key, line, position, bytes.fromhex(kept_under), *rest)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _split(keys: bytes) -> list[bytes]:
    return [keys[at : at + KEY] for at in range(0, len(keys), KEY)]


def _keys(redis: Any, tag: str) -> list[bytes]:
    return [key for keys in redis.hvals(_lines(tag)) for key in _split(keys)]


def _drop(redis: Any, tag: str) -> None:
    """The batch first, whereupon nothing more is claimed for it. Where this is broken off, `submitting` ends it."""
    redis.delete(_batch(tag))
    for part in _parts(_keys(redis, tag), AT_ONCE):
        redis.eval(FREE, 1, TEXTS, tag, *part)
    with redis.pipeline() as at_once:
        at_once.delete(_lines(tag))
        at_once.lrem(TAGS, 0, tag)
        at_once.execute()


def _end(seen: Any, tag: str) -> bool:
    """What `end` does if nobody changes the batch meanwhile; `seen` is watching it."""
    keys, stage = _keys(seen, tag), seen.hget(_batch(tag), "stage")
    billed = [text.billed for of, text in _read(seen, keys) if of == tag and text.billed is not None]
    seen.multi()
    if stage is None or json.loads(stage) == ENDED:
        return False
    seen.hset(_batch(tag), mapping=_encoded({"stage": ENDED, "stored": len(billed), "billed": sum(billed)}))
    for part in _parts(keys, AT_ONCE):
        seen.hdel(TEXTS, *part)
    seen.delete(_lines(tag))
    return True
