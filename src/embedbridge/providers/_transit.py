"""What can go wrong on the way to a server and back (too slow, refused, cut off, badly packed), as `RequestFailed`."""

from __future__ import annotations

import re
import socket
import ssl
import time
import zlib
from typing import Any, TypeVar

from embedbridge._core.kinds import Kind
from embedbridge._core.rate_headers import retry_after
from embedbridge.errors import RequestFailed

from ._network import RECEIVING, SENDING, WAITING, Progress

PROXY_REFUSES = "the proxy refuses its user and password; look at those in proxy, or in HTTP_PROXY and HTTPS_PROXY"
PROXY_AWAY = "the proxy cannot be reached; look at proxy, or at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"
NO_HTTP = "the request's headers are not valid HTTP; look for line breaks and blanks in api_key and default_headers"
TO_PROXY = "connecting to the proxy"
TLS_ALERT = b"\x15\x03"
SPEAKS_TLS = "the server speaks TLS; write https:// in base_url"
WANTS_TLS = re.compile(
    "plain http request (was )?sent to (an )?(https|tls)|plain http to an ssl|http request to an https", re.IGNORECASE
)
"""What nginx, Apache and Go say to a request without TLS."""
IF_TLS = " without an answer; where the server speaks TLS, write https:// in base_url"
_SQUID = re.compile(rb"(?im)^x-squid-error:[ \t]*([A-Z_]{1,40})\b")
_RETRY_AFTER = re.compile(rb"(?im)^retry-after:[ \t]*([^\r\n]{1,60})")
Error = TypeVar("Error", bound=BaseException)


def transport_failure(error: Exception, core: Any, progress: Progress) -> Exception:  # noqa: PLR0911 - one line a case
    """What `httpcore` or `httpcore2` raised, as `RequestFailed`; any other error itself."""
    if isinstance(error, core.TimeoutException | TimeoutError):
        why = "the server is that slow, or loads its model first" if progress.step == WAITING else "that takes so long"
        told = f"the timeout of {progress.timeout:.3g} s ended while {progress.step}; raise timeout= if {why}"
        billed = progress.step in (WAITING, RECEIVING)
        return RequestFailed(told, kind="timeout", billed=billed, doing=progress.step)
    if isinstance(error, core.ProxyError):
        return _refused_by_proxy(str(error), progress.head)
    if isinstance(error, core.LocalProtocolError):
        told = (
            "the request's headers are not valid HTTP; look for line breaks and blanks in api_key and default_headers"
        )
        return RequestFailed(told, kind="configuration")
    if isinstance(error, core.ConnectError | OSError):
        refused = in_chain(error, ssl.SSLError)
        if refused is None or isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            told, doing = (PROXY_AWAY, TO_PROXY) if progress.proxied else (f"no connection{_why(error)}", "")
            return RequestFailed(told, kind="connection", doing=doing)
        why = getattr(refused, "verify_message", "") or (refused.reason or "handshake failed").lower().replace("_", " ")
        unknown = "self" in why or "issuer" in why
        hint = "; name the file of the certificate, or of its authority's, in verify" if unknown else ""
        return RequestFailed(f"no secure connection: {why}{hint}", kind="tls")
    if isinstance(error, core.NetworkError | core.ProtocolError):
        if progress.head.startswith(TLS_ALERT):
            return RequestFailed(SPEAKS_TLS, kind="configuration")
        unheard = not (progress.head or progress.secure or progress.step == SENDING)
        told = f"the connection broke ({type(error).__name__}){IF_TLS if unheard else ''}"
        return RequestFailed(told, kind="connection", billed=True)
    if isinstance(error, zlib.error):
        return RequestFailed("the answer's compression is broken", kind="encoding", billed=True)
    return error


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
