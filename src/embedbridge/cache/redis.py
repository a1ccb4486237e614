"""The cache in Redis or Valkey: many keys in one round trip, and short timeouts."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from pydantic import SecretStr

from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, MissingExtraError

from ._codec import seal_width, width_of
from .base import SCHEMES, BaseCache, CacheError, CacheStats, check_limits

if TYPE_CHECKING:
    import redis

__all__ = ["RedisCache"]

PREFIX = b"embedbridge:1:"  # the number rises when the meaning of keys or values changes
WIDTHS = b"embedbridge:width:1:"
PASSWORD_VARIABLE = "EMBEDBRIDGE_REDIS_PASSWORD"  # noqa: S105 - the name of a variable
_DATABASE = re.compile(r"/?[0-9]*/?")  # redis-py takes database 0 for whatever is no number
_IN_URL = ("db", "username", "client_name")
_TIMEOUT = 0.25
_PIECES = 8  # time-outs that one answer may take: a server that drips is not waited for
_CHUNK = 128  # keys a round trip: 0.8 MB at 1536 numbers


class RedisCache(BaseCache):
    """Vectors in a Redis or Valkey server that several machines share.

    Nothing is sent before the first use, nothing is tried twice, and methods raise `CacheError`. The server's own
    `maxmemory` policy decides what it deletes. Cluster and Sentinel are not supported.

    Args:
        url: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, or `valkey://`. The password may
            stand in the variable `EMBEDBRIDGE_REDIS_PASSWORD` instead; that is where a pickled cache looks for it.
        ttl: seconds that an entry lives; None: for ever.
        timeout: seconds to connect, and for each piece of an answer; the whole answer, to some hundred keys, may take
            eight times as long.

    Raises:
        ConfigurationError: the address is no such address, or a limit is none.
        MissingExtraError: redis-py is not installed.
    """

    blocking = True

    def __init__(self, url: str, *, ttl: float | None = None, timeout: float = _TIMEOUT) -> None:
        check_limits(ttl)
        with importing():
            missing = importlib.util.find_spec("redis") is None
        if missing:
            raise MissingExtraError('a Redis cache needs redis-py: pip install "embedbridge[redis]"')
        if not isinstance(url, str):
            raise ConfigurationError(f"url: write redis://localhost:6379, not a {type(url).__name__}")
        self.url, password = _without_password(url)
        self.ttl = ttl
        self.timeout = timeout
        password = password or os.environ.get(PASSWORD_VARIABLE)
        self._password = SecretStr(password) if password else None
        self._client: redis.Redis | None = None
        self._hits = self._misses = 0

    def __repr__(self) -> str:
        return f"RedisCache({self.url!r}, ttl={self.ttl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(RedisCache, self.url, ttl=self.ttl, timeout=self.timeout), ()

    def __deepcopy__(self, memo: object) -> RedisCache:
        return self

    @property
    def location(self) -> str:
        """The server and its database."""
        return self.url

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries there are."""
        found: dict[bytes, bytes] = {}
        for at in range(0, len(keys), _CHUNK):
            part = keys[at : at + _CHUNK]
            values: list[bytes | None] = self._ask("mget", [PREFIX + key for key in part])
            found.update((key, value) for key, value in zip(part, values, strict=True) if value is not None)
        self._hits += len(found)
        self._misses += len(keys) - len(found)
        return found

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items."""
        pairs = list(items.items())
        life = None if self.ttl is None else max(1, int(self.ttl * 1000))
        for at in range(0, len(pairs), _CHUNK):
            with self._errors(), self._connected().pipeline(transaction=False) as pipeline:
                for key, value in pairs[at : at + _CHUNK]:
                    pipeline.set(PREFIX + key, value, px=life)
                # Raised by redis-py, an error would quote the command: keys and vectors.
                for answer in pipeline.execute(raise_on_error=False):
                    if isinstance(answer, Exception):
                        raise answer

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """As `BaseCache.hold_width`, apart from the entries."""
        held = self.hold(key, None if width is None else seal_width(key, width), label=label)
        return width_of(key, held) if held is not None else None

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """As `BaseCache.hold`, apart from the entries; a server that is told to evict whatever it likes may do so."""
        name = WIDTHS + key
        if value is not None and self._ask("set", name, value, nx=True):
            return value
        held: bytes | None = self._ask("get", name)
        return held

    def stats(self) -> CacheStats:
        """Entries are counted one scan at a time; what they occupy only the server knows."""
        return CacheStats(sum(len(keys) for keys in self._keys()), -1, self._hits, self._misses)

    def clear(self) -> None:
        """Delete this package's keys, and no others."""
        for prefix in (PREFIX, WIDTHS):
            for keys in self._keys(prefix):
                self._ask("unlink", *keys)

    def close(self) -> None:
        """Close the sockets."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _keys(self, prefix: bytes = PREFIX) -> Iterator[list[bytes]]:
        cursor = 0
        while True:
            cursor, keys = self._ask("scan", cursor, match=prefix + b"*", count=1000)
            if keys:
                yield keys
            if cursor == 0:
                return

    def _ask(self, command: str, *args: Any, **options: Any) -> Any:
        with self._errors():
            return getattr(self._connected(), command)(*args, **options)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        errors = _library().exceptions
        try:
            yield
        except (errors.RedisError, OSError) as error:
            raise CacheError(f"{self.url}: {type(error).__name__}: {error}") from None

    def _connected(self) -> redis.Redis:
        if self._client is None:
            self._client = self.connect(self.timeout)
        return self._client

    def connect(self, timeout: float) -> redis.Redis:
        """A client of its own for the same server and database.

        Args:
            timeout: seconds, as this class takes them.

        Returns:
            The client, which the caller closes. It raises redis-py's errors.
        """
        library = _library()
        client: redis.Redis = library.Redis.from_url(
            self.url,
            password=self._password.get_secret_value() if self._password else None,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            redis_connect_func=partial(_bound, _PIECES * timeout),
            retry=library.retry.Retry(library.backoff.NoBackoff(), 0),  # its own waits a minute for a frozen one
            protocol=2,  # one round trip fewer to connect, and every server speaks it
        )
        return client


@cache
def _library() -> Any:
    with importing():
        import redis.backoff
        import redis.exceptions
        import redis.retry

        return redis


def _bound(seconds: float, connection: Any) -> None:
    """What redis-py calls once a connection stands, in the place of its own greeting."""
    connection._sock = BoundedSocket(connection._sock, seconds)  # noqa: SLF001 - there is no other door
    connection.on_connect()


class BoundedSocket:
    """A connected socket. From the first byte of a command to the last of its answer no more than `seconds` pass.

    A timeout for each piece alone never passes when pieces drip.

    Methods raise TimeoutError, as a socket's do.
    """

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        self._socket = connected
        self._seconds = seconds
        self._sending = False
        self._end = float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: bytes) -> None:
        """Send a command, or the next part of one."""
        if not self._sending:
            self._sending, self._end = True, time.monotonic() + self._seconds
        self._in_time()
        self._socket.sendall(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """A piece of the answer; with flags, a look at it."""
        if not flags:
            self._in_time()
            self._sending = False
        return self._socket.recv(size, flags)

    def recv_into(self, buffer: bytearray) -> int:
        """A piece of the answer; hiredis reads so."""
        self._in_time()
        self._sending = False
        return self._socket.recv_into(buffer)

    def _in_time(self) -> None:
        # A socket that does not wait is redis-py's check of an idle connection, and reads no answer.
        if time.monotonic() > self._end and self._socket.gettimeout() != 0:
            raise TimeoutError(f"the answer was not whole after {self._seconds} seconds")


def _without_password(url: str) -> tuple[str, str | None]:
    """The URL as redis-py takes it, less the password, and the password."""
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        password = query.pop("password", None) or (unquote(parts.password) if parts.password else None)
        databases = (parts.path, query.get("db", ""))
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0 and "ssl_password" not in query
        usable = usable and all(map(_DATABASE.fullmatch, databases))
        foreign = sorted(name for name in query if name not in _IN_URL and not name.startswith("ssl_"))
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise ConfigurationError("a Redis cache is written redis://host:6379/0 (or rediss://, valkey://)")
    if foreign:  # redis-py would obey it in the place of what is set here
        raise ConfigurationError(
            f"a Redis cache's address cannot set {foreign[0]!r}; it takes {', '.join(_IN_URL)} and ssl_…, and "
            "RedisCache(url, timeout=…) bounds its answers"
        )
    user = f"{parts.username}@" if parts.username else ""
    place = parts.netloc.rpartition("@")[2]
    clean = parts._replace(scheme=SCHEMES[parts.scheme], netloc=user + place, query=urlencode(query))
    return clean.geturl(), password
