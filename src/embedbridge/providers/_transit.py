"""What can go wrong with an answer on its way (too slow, too large, badly compressed, cut off) as `RequestFailed`."""

from __future__ import annotations

import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

from embedbridge._core.kinds import Kind
from embedbridge._core.rate_headers import retry_after
from embedbridge.errors import RequestFailed

from ._network import RECEIVING, SENDING, WAITING, Progress

ERROR_PAGE = 65_536
"""Bytes that are read of an answer whose status is not success."""
STEP = 1 << 20
"""Bytes that are unpacked in one step."""
FOREIGN = {"br", "compress", "dcb", "dcz", "deflate", "exi", "pack200-gzip", "x-compress", "zstd"}
"""Codings of which none is asked for. What is not among them names no coding: `utf-8`, `aws-chunked`, `none` …"""
PROXY_REFUSES = "the proxy refuses its user and password; look at those in proxy, or in HTTP_PROXY and HTTPS_PROXY"
PROXY_AWAY = "the proxy cannot be reached; look at proxy, or at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"
TO_PROXY = "connecting to the proxy"
TLS_ALERT = b"\x15\x03"
SPEAKS_TLS = "the server speaks TLS; write https:// in base_url"
IF_TLS = " without an answer; where the server speaks TLS, write https:// in base_url"
_SQUID = re.compile(rb"(?im)^x-squid-error:[ \t]*([A-Z_]{1,40})\b")
_RETRY_AFTER = re.compile(rb"(?im)^retry-after:[ \t]*([^\r\n]{1,60})")
Error = TypeVar("Error", bound=BaseException)


class Body:
    """An answer's bytes, decompressed here up to a limit; the HTTP library would decompress any amount at once."""

    def __init__(self, status: int, headers: dict[str, str], *, most: int, sink: BinaryIO | None = None) -> None:
        self.data = bytearray()
        self._sink = sink if status < 300 else None
        self.full = False
        """Whether to stop reading, as an error page is long enough, or data follow the end of the gzip."""
        self._success = status < 300
        self._left = most if self._success else ERROR_PAGE
        codings = {part.strip().lower() for part in headers.get("content-encoding", "").split(",")}
        if self._success and codings & FOREIGN:
            named = ", ".join(sorted(codings & FOREIGN))
            raise RequestFailed(f"the answer is compressed as {named!r}, which was not asked for", kind="encoding")
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if codings & {"gzip", "x-gzip"} else None

    def takes(self, chunk: bytes) -> Iterator[None]:
        """Add a piece, in steps of a few milliseconds, between which an event loop can do something else."""
        if self._gzip is None:
            self._add(chunk)
            return
        unpacked, most = b"", 0
        while (chunk or len(unpacked) == most) and not self.full:
            most = min(STEP, self._left + 1)
            unpacked = self._gzip.decompress(chunk, most)
            chunk = self._gzip.unconsumed_tail
            self.full = bool(self._gzip.unused_data)  # which grows with every piece
            self._add(unpacked)
            yield

    def _add(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0 and self._success:
            raise RequestFailed("the answer is far larger than its vectors can be", kind="too_large", billed=True)
        if self._sink is not None:
            try:
                self._sink.write(chunk)
            except OSError as error:
                told = f"what came cannot be written to a temporary file ({error}): make room, or set TMPDIR"
                raise RequestFailed(told, kind="configuration") from None
        else:
            self.data += chunk
        self.full |= self._left < 0


@contextmanager
def transport_errors(core: Any, progress: Progress) -> Iterator[None]:
    """What `httpcore` or `httpcore2` raises, as `RequestFailed`."""
    try:
        yield
    except (core.TimeoutException, TimeoutError):
        why = "the server is that slow, or loads its model first" if progress.step == WAITING else "that takes so long"
        told = f"the timeout of {progress.timeout:.3g} s ended while {progress.step}; raise timeout= if {why}"
        billed = progress.step in (WAITING, RECEIVING)
        raise RequestFailed(told, kind="timeout", billed=billed, doing=progress.step) from None
    except core.ProxyError as error:
        raise _refused_by_proxy(str(error), progress.head) from None
    except core.LocalProtocolError:
        told = (
            "the request's headers are not valid HTTP; look for line breaks and blanks in api_key and default_headers"
        )
        raise RequestFailed(told, kind="configuration") from None
    except (core.ConnectError, OSError) as error:
        refused = in_chain(error, ssl.SSLError)
        if refused is None or isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            told, doing = (PROXY_AWAY, TO_PROXY) if progress.proxied else (f"no connection{_why(error)}", "")
            raise RequestFailed(told, kind="connection", doing=doing) from None
        why = getattr(refused, "verify_message", "") or (refused.reason or "handshake failed").lower().replace("_", " ")
        unknown = "self" in why or "issuer" in why
        hint = "; name the file of the certificate, or of its authority's, in verify" if unknown else ""
        raise RequestFailed(f"no secure connection: {why}{hint}", kind="tls") from None
    except (core.NetworkError, core.ProtocolError) as error:
        if progress.head.startswith(TLS_ALERT):
            raise RequestFailed(SPEAKS_TLS, kind="configuration") from None
        unheard = not (progress.head or progress.secure or progress.step == SENDING)
        told = f"the connection broke ({type(error).__name__}){IF_TLS if unheard else ''}"
        raise RequestFailed(told, kind="connection", billed=True) from None
    except zlib.error:
        raise RequestFailed("the answer's compression is broken", kind="encoding", billed=True) from None


def _why(error: BaseException) -> str:
    """Why there is no connection, where the system says it in a way that helps."""
    if in_chain(error, socket.gaierror) is not None:
        return ": the host's name is not known"
    return ": refused" if in_chain(error, ConnectionRefusedError) is not None else ""


def _refused_by_proxy(said: str, head: bytes) -> RequestFailed:
    """The failure that a proxy's answer to a request for a tunnel means."""
    status = int(said[:3]) if re.match(r"\d{3}\b", said) else None
    if status == 407:
        return RequestFailed(PROXY_REFUSES, kind="configuration")
    squid, after = (re.search(pattern, head) for pattern in (_SQUID, _RETRY_AFTER))
    why = f" ({squid[1].decode()})" if squid else ""
    told = f"the proxy refuses the connection{f': status {status}' if status else ''}{why}"
    wait = retry_after({"retry-after": after[1].decode("latin-1")}, time.time()) if after else None
    if Kind.NONE.is_of_rates(status):
        return RequestFailed(told, kind=Kind.RATE, retry_after=wait, doing=TO_PROXY)
    if status is not None and status < 500 and status not in {408, 425}:
        return RequestFailed(f"{told}; look at proxy, base_url, and what the proxy allows", kind="configuration")
    return RequestFailed(told, kind="connection", retry_after=wait, doing=TO_PROXY)


def in_chain(error: BaseException | None, kind: type[Error]) -> Error | None:
    """The first error of a kind in a chain."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error
