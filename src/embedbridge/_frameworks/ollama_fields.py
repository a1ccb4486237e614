"""What both frameworks' classes for Ollama hand to its SDK, in our options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .local_fields import only
from .openai_fields import whole_seconds
from .stand_in import CLIENT

__all__ = ["client_options"]

TRANSPORT = ("headers", "verify", "proxy", "cert", "http2")


def client_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options for arguments of httpx's clients. Raises `ConfigurationError` for those that we do not take."""
    only(
        settings,
        {*TRANSPORT, "timeout", "trust_env", "follow_redirects"},
        "of the client's settings headers, timeout, verify, proxy, cert, http2 and trust_env are accepted; " + CLIENT,
    )
    own = {name: settings[name] for name in TRANSPORT if settings.get(name) is not None}
    if settings.get("trust_env") is False:  # httpx takes proxies from the environment only where it may
        own.setdefault("proxy", False)
    return {"timeout": whole_seconds(settings.get("timeout")), "provider_options": own}
