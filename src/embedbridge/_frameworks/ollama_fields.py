"""What both frameworks' classes for Ollama hand to its SDK, in our options."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from embedbridge.errors import ConfigurationError

from .keywords import CLIENT
from .local_fields import only
from .openai_fields import whole_seconds

__all__ = ["client_options"]

KNOWN = "headers, auth, timeout, verify, proxy, cert, http2 and trust_env"
TRANSPORT = ("headers", "verify", "proxy", "cert", "http2")


def client_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options for arguments of httpx's clients. Raises `ConfigurationError` for those that we do not take."""
    only(
        settings,
        {*TRANSPORT, "auth", "timeout", "trust_env", "follow_redirects"},
        "of the client's settings headers, auth, timeout, verify, proxy, cert, http2 and trust_env are accepted; "
        + CLIENT,
    )
    own = {name: settings[name] for name in TRANSPORT if settings.get(name) is not None}
    if settings.get("auth") is not None:
        own["headers"] = {**own.get("headers", {}), "Authorization": basic(settings["auth"])}
    if settings.get("trust_env") is False:  # httpx takes proxies from the environment only where it may
        own.setdefault("proxy", False)
    return {"timeout": whole_seconds(settings.get("timeout")), "provider_options": own}


def basic(pair: Any) -> str:
    """The header for a name and a password. Raises `ConfigurationError` for any other way to prove who one is."""
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise ConfigurationError("'auth': write a tuple of name and password, or the header as headers")
    return f"Basic {b64encode(':'.join(pair).encode()).decode()}"
