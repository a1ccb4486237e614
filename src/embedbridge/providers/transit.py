"""What can go wrong with an answer on its way (too slow, too large, badly compressed, cut off) as `RequestFailed`."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx

from embedbridge.core.errors import RequestFailed

from .network import came_before

ERROR_PAGE = 65_536
"""Bytes that are read of an answer whose status is not success."""
Error = TypeVar("Error", bound=BaseException)


class Body:
    """An answer's bytes, decompressed here up to a limit; httpx would decompress any amount at once."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        if came_before(response):
            raise RequestFailed("the server answered the request before twice", kind="connection", billed=True)
        self.chunks: list[bytes] = []
        self._success = response.status_code < 300
        self._left = most if self._success else ERROR_PAGE
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if self._success and encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise RequestFailed(
                f"the answer is compressed as {encoding[:20]!r}, which nobody asked for", kind="encoding"
            )
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in encoding else None

    def takes(self, chunk: bytes) -> bool:
        """Add a piece. False: stop reading, as an error page is long enough, or data follow the end of the gzip."""
        ended = False
        if self._gzip is not None:
            chunk = self._gzip.decompress(chunk, self._left + 1)
            ended = bool(self._gzip.unused_data)  # which grows with every piece
        self._left -= len(chunk)
        if self._left < 0 and self._success:
            raise RequestFailed("the answer is far larger than its vectors can be", kind="too_large", billed=True)
        self.chunks.append(chunk)
        return self._left >= 0 and not ended


@contextmanager
def transport_errors() -> Iterator[None]:
    """What httpx raises, as `RequestFailed`."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise RequestFailed("no connection within the timeout", kind="timeout") from None
    except httpx.WriteTimeout:
        raise RequestFailed("the request could not be sent within the timeout", kind="timeout") from None
    except (httpx.TimeoutException, TimeoutError):
        raise RequestFailed("no whole answer within the timeout", kind="timeout", billed=True) from None
    except httpx.ConnectError as error:
        refused = in_chain(error, ssl.SSLError)
        if refused is None or isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            raise RequestFailed("no connection", kind="connection") from None
        why = getattr(refused, "verify_message", "") or (refused.reason or "handshake failed").lower().replace("_", " ")
        raise RequestFailed(f"no secure connection: {why}", kind="tls") from None
    except httpx.ProxyError:
        raise RequestFailed("the proxy refuses the connection", kind="connection") from None
    except httpx.LocalProtocolError:
        told = (
            "the request's headers are not valid HTTP; look for line breaks and blanks in api_key and default_headers"
        )
        raise RequestFailed(told, kind="configuration") from None
    except httpx.TransportError as error:
        raise RequestFailed(f"the connection broke ({type(error).__name__})", kind="connection", billed=True) from None
    except zlib.error:
        raise RequestFailed("the answer's compression is broken", kind="encoding", billed=True) from None


def in_chain(error: BaseException | None, kind: type[Error]) -> Error | None:
    """The first error of a kind in a chain."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
