"""What both frameworks' classes for NVIDIA mean in our options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge.errors import ConfigurationError

__all__ = ["DEFAULT_MODEL", "OFFICIAL", "nvidia_options"]

OFFICIAL = "https://integrate.api.nvidia.com/v1"
DEFAULT_MODEL = "nvidia/llama-nemotron-embed-1b-v2"
"""Of NVIDIA's hosted API."""


def nvidia_options(
    model: str | None,
    url: str | None,
    truncate: str,
    headers: Mapping[str, Any] | None = None,
    usual: str = DEFAULT_MODEL,
) -> dict[str, Any]:
    """Model, address, what becomes of long texts, and headers.

    Args:
        model: None where none was named.
        url: the API's.
        truncate: "NONE", "START" or "END".
        headers: sent with every request.
        usual: the model that is meant where none is named.

    Raises:
        ConfigurationError: a server of one's own, and no model.
    """
    official = url in {None, OFFICIAL}
    if model is None and not official:
        raise ConfigurationError("model: name the one that the server at base_url has; it is not asked for its models")
    return {
        "model": f"nvidia:{model or usual}",
        "base_url": None if official else url,
        "too_long": "error" if truncate == "NONE" else "truncate",
        "provider_options": {"truncate": "START" if truncate == "START" else None, "default_headers": headers or None},
    }
