"""Addresses of servers: checked, and as keys, errors and logs may have them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
MOST_HOST = 255
"""Characters that a host's name has fewer of."""
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def check_url(url: str, library: str = "httpx2") -> str:
    """An http or https address. Raises `ConfigurationError` for any other, without showing credentials in it.

    Args:
        url: the address.
        library: what sends requests there; it writes names in other letters as it thinks right.
    """
    if re.search(r"[\s\x00-\x1f]", url):
        raise ConfigurationError("base_url holds blanks or line breaks")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigurationError("base_url is not an address that can be read; look at its port and brackets") from None
    if "://" not in url:
        raise ConfigurationError(f"base_url has no http:// or https:// before the host; write {_with_scheme(url)}")
    if parts.scheme not in {"http", "https"} or not usable:
        raise ConfigurationError(f"base_url must be an http or https address, not {parts.scheme}:…")
    host = str(parts.hostname)
    if not can_be_host(host if host.isascii() else _in_ascii(host, library)):
        raise ConfigurationError(
            "base_url: no host can have this name; between its points are 1 to 63 letters, digits, hyphens, underscores"
        )
    return url


def _with_scheme(url: str) -> str:
    """What was meant by an address without it: of this machine http. Credentials, and a query, are left out.

    What has no point as a host has, or no port, is not shown: it may be a key.
    """
    rest = re.split(r"[?#]", re.sub(r"^(https?:)?/*", "", url), maxsplit=1)[0].rpartition("@")[2]
    host = rest.partition("/")[0].partition(":")[0]
    if not (is_local(f"//{rest}") or (can_be_host(host) and ("." in host or re.match(r"[^/:]+:\d+(/|$)", rest)))):
        rest = "HOST"
    return f"'http{'' if is_local(f'//{rest}') else 's'}://{rest}'"


def can_be_host(name: str) -> bool:
    """Whether a name in ASCII, or an address, can be looked up at all."""
    return ":" in name or (len(name) < MOST_HOST and _HOST.fullmatch(name) is not None)


def _in_ascii(host: str, library: str) -> str:
    """A name as it is looked up; "" for one that cannot be."""
    with importing():
        http: Any = import_module(library)
    try:
        return str(http.URL(f"http://{host}").raw_host, "ascii")
    except http.InvalidURL:
        return ""


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def endpoint(url: str) -> str:
    """An address without credentials, query and trailing slash: fit for keys, errors and logs."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    place = host if parts.port in {None, {"http": 80, "https": 443}.get(parts.scheme)} else f"{host}:{parts.port}"
    path = parts.path
    if "/." in path and "//" not in path:  # requests go to a path without `..`
        path = urlsplit(urljoin(url, path)).path
    return urlunsplit((parts.scheme, place, path.rstrip("/"), "", ""))
