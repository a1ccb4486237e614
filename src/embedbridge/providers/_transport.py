"""The way to a server: which certificates are trusted and shown, which proxy is taken, and the pool of connections."""

from __future__ import annotations

import codecs
import os
import re
import ssl
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import SecretStr, field_validator

from embedbridge._threads.telling import warn
from embedbridge.errors import EMPTY

from ._urls import can_be_host
from .base import NoOptions, require

CONNECTIONS = {"max_connections": 1000, "max_keepalive_connections": 100, "keepalive_expiry": 5.0}
"""More than `concurrency` ever needs: the driver limits requests, and none waits for a connection here."""


BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")


class TransportOptions(NoOptions):
    """How requests travel. None of it changes a vector, so none of it is part of a cache key."""

    aside = frozenset({"verify", "http2"})

    verify: bool | Path = True
    """A file of certificates, or a folder of such files, that are trusted besides the usual ones: those of the system
    and of certifi, or in their place those that SSL_CERT_FILE and SSL_CERT_DIR name. False: any server is trusted."""
    proxy: SecretStr | Literal[False] | None = None
    """`http://user:password@host:port`, also with https, socks5 or socks5h; False: none. None: HTTP_PROXY, HTTPS_PROXY,
    ALL_PROXY and NO_PROXY decide."""
    cert: tuple[Path, Path | None, SecretStr | None] | None = None
    """The client's own certificate: the path of a file that holds its key too, or `(certificate, key)`, or
    `(certificate, key, password of the key)`."""
    http2: bool = False
    """Speak HTTP/2 to servers that can. It pays where a gateway limits connections; large answers take longer by it."""

    @field_validator("verify", mode="before")
    @classmethod
    def _authorities_are_readable(cls, verify: Any) -> Any:
        if isinstance(verify, str | os.PathLike):
            if str(Path(verify)) == ".":  # what Path makes of an empty string
                raise ValueError("the working directory itself is not trusted; write its name or its whole path")
            _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Path(verify))
        elif not isinstance(verify, bool):
            raise ValueError("write True, False, or the path of a file or folder of certificates")  # noqa: TRY004
        return verify

    @field_validator("cert", mode="before")
    @classmethod
    def _certificate_is_readable(cls, cert: Any) -> Any:
        if cert is None:
            return None
        parts = tuple(cert) if isinstance(cert, list | tuple) else (cert,)
        if not 1 <= len(parts) <= 3 or not all(isinstance(part, str | os.PathLike) for part in parts[:2]):
            raise ValueError("write a path, (certificate, key) or (certificate, key, password of the key)")
        if not all(str(part).strip() for part in parts[:2]):
            raise ValueError(EMPTY.format("the path of a certificate, and of its key or None"))
        file, key, password = (*parts, None, None)[:3]
        password = SecretStr(password) if isinstance(password, str) else password
        _identify(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file, key, password)
        return file, key, password

    @field_validator("proxy")
    @classmethod
    def _proxy_is_an_address(cls, proxy: SecretStr | Literal[False] | None) -> SecretStr | Literal[False] | None:
        if proxy:
            _proxy_parts(proxy.get_secret_value())
        return proxy

    @field_validator("http2")
    @classmethod
    def _http2_is_installed(cls, http2: bool) -> bool:  # noqa: FBT001
        require("h2" if http2 else None, "http2")
        return http2

    def warn(self, name: str) -> None:
        """Warn of what is unsafe.

        Args:
            name: of the provider.
        """
        if self.verify is False:
            told = f"verify=False: whoever is between here and {name!r} can read texts and key, and change vectors"
            warn(told, stacklevel=2)


def make_pool(core: Any, backend: Any, options: TransportOptions, url: str, *, blocking: bool) -> tuple[Any, list[str]]:
    """A pool of connections over a network backend, and the secrets that it holds.

    Args:
        core: the module `httpcore`, or `httpcore2`.
        backend: the network backend.
        options: see there.
        url: the one server that is asked.
        blocking: whether the pool is for threads, not for an event loop.
    """
    found = _find_proxy(options, url)
    encrypted = any(str(each).lower().startswith("https:") for each in (url, found))
    context = _context(options, encrypted=encrypted)
    settings = {**CONNECTIONS, "ssl_context": context, "http2": options.http2, "network_backend": backend}
    prefix = "" if blocking else "Async"
    if found is None:
        return getattr(core, f"{prefix}ConnectionPool")(**settings), []
    proxy = _proxy_parts(found)
    user, password = unquote(proxy.username or ""), unquote(proxy.password or "")
    settings["proxy_url"] = proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl()
    settings["proxy_auth"] = (user.encode(), password.encode()) if user or password else None
    if proxy.scheme == "https":
        settings["proxy_ssl_context"] = context
    kind = "SOCKSProxy" if proxy.scheme.startswith("socks") else "HTTPProxy"
    return getattr(core, prefix + kind)(**settings), [password, proxy.password or ""]


def _context(options: TransportOptions, *, encrypted: bool) -> ssl.SSLContext:
    """What decides whom to trust; nobody, where nothing is encrypted: to read the authorities takes 20 ms."""
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if encrypted or file or folder:
        context = ssl.create_default_context(cafile=file, capath=folder)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif encrypted and not (file or folder):
        import certifi

        context.load_verify_locations(certifi.where())
    if isinstance(options.verify, Path):
        _trust(context, options.verify)
    if options.cert is not None:
        _identify(context, *options.cert)
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    """Add the certificates of a file, or of all files of a folder. Raises ValueError when there is none."""
    loaded = 0
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with suppress(OSError, ValueError):  # ssl's errors are OSErrors too; a folder may hold other files
            _add(context, file)
            loaded += 1
    if not loaded:
        why = "holds no certificate in PEM format that can be read" if path.exists() else "does not exist"
        raise ValueError(f"{str(path)!r} {why}")
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # else a certificate that is no authority's is not enough


def _add(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:  # it begins with a byte order mark, or is in another encoding
        data = file.read_bytes()
        text = data.decode("utf-16" if data[:2] in BYTE_ORDER_MARKS else "utf-8", errors="replace")
        context.load_verify_locations(cadata="\n".join(_CERTIFICATE.findall(text)))


def _identify(context: ssl.SSLContext, file: Any, key: Any, password: SecretStr | None) -> None:
    """Show the server a certificate. Raises ValueError when it cannot be read."""
    for path in filter(None, (file, key)):
        if not os.path.isfile(path):  # noqa: PTH113 - it may be a string
            raise ValueError(f"there is no file {str(path)!r}")
    try:
        # With no password at all OpenSSL would ask for one at the terminal.
        context.load_cert_chain(file, key, password.get_secret_value() if password else "")
    except OSError as error:
        why = (getattr(error, "reason", None) or type(error).__name__).lower().replace("_", " ")
        raise ValueError(f"{str(file)!r} and its key cannot be read ({why}); is the password right?") from None


def _find_proxy(options: TransportOptions, url: str) -> str | None:
    """The address of the proxy for a server; None: there is none."""
    if options.proxy is not None:
        return options.proxy.get_secret_value() if options.proxy else None
    target, known = urlsplit(url), getproxies()
    found = known.get(target.scheme) or known.get("all")
    host = target.hostname or ""
    if not found or proxy_bypass(target.netloc.rpartition("@")[2]) or proxy_bypass(host):
        return None
    if any(_covers(entry, host) for entry in re.split(r"[,\s]+", known.get("no", ""))):
        return None
    return found if "://" in found else f"http://{found}"


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of NO_PROXY names a host by what `urllib` does not know: `*`, `*.name`, or a network."""
    if entry == "*" or (entry.startswith("*.") and host.endswith(entry[1:].lower())):
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _proxy_parts(proxy: str) -> SplitResult:
    """A proxy's address in parts. Raises ValueError, without showing it, when it is not one."""
    try:
        parts = urlsplit(proxy)
        known = parts.scheme in {"http", "https", "socks5", "socks5h"} and parts.port != 0
        usable = known and can_be_host(parts.hostname or "")
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            "write an address as http://user:password@host:port; https, socks5 and socks5h are accepted too"
        )
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError("a SOCKS proxy needs the package 'socksio'; run: pip install socksio")
    return parts
