"""What the stand-ins for Google's integrations share: which API is asked, where, and what they send for a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge._core.titles import NONE, PLACE, split_title
from embedbridge.errors import ConfigurationError

from .openai_fields import NO_ROLES

__all__ = ["HTTP_CLIENT", "PAUSES", "api_options", "client_options", "plain", "titled", "untitled"]

HTTP_CLIENT = ("proxy", "verify", "cert", "http2")
"""Keywords of an HTTP client that are options of ours."""
PAUSES = "pauses follow the wait that Google names in its answer"
GEMINI = "https://generativelanguage.googleapis.com"


def api_options(
    model: str,
    *,
    vertex: bool,
    project: str | None = None,
    location: str | None = None,
    credentials: Any = None,
    base_url: str | None = None,
    api_version: str | None = None,
    headers: Mapping[str, Any] | None = None,
    dimensions: int | None = None,
    raw: bool = True,
) -> dict[str, Any]:
    """Options of ours.

    Args:
        model: as the original takes it.
        vertex: whether Vertex AI is asked, else the Gemini API.
        project: of Google Cloud.
        location: of Vertex AI.
        credentials: of google-auth.
        base_url: an address.
        api_version: in place of the SDK's own.
        headers: sent with every request.
        dimensions: what vectors are narrowed to.
        raw: whether narrowed vectors are given as they come, as the originals do.
    """
    if not vertex and credentials is not None:
        raise ConfigurationError("credentials: the Gemini API is asked with a key; for Vertex AI pass vertexai=True")
    if api_version is not None and base_url is None:
        if vertex:
            raise ConfigurationError("api_version: give the address too, as base_url")
        base_url = GEMINI
    own = {"project": project, "location": location, "credentials": credentials} if vertex else {}
    return {
        **NO_ROLES,
        "model": f"{'vertex' if vertex else 'gemini'}:{model}",
        "base_url": f"{base_url.rstrip('/')}/{api_version}" if base_url and api_version else base_url,
        "dimensions": dimensions,
        "normalize": False if dimensions and raw else None,
        "provider_options": own | {"default_headers": dict(headers) if headers else None},
    }


def client_options(keyword: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Provider options for arguments of an HTTP client. Raises `ConfigurationError` for others."""
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError(f"{keyword}: write a dictionary")
    for name in given or {}:
        if name not in HTTP_CLIENT:
            raise ConfigurationError(
                f"{keyword}: of an HTTP client's arguments only {', '.join(HTTP_CLIENT)} are accepted"
            )
    return dict(given or {})


def titled(text: str, title: str, form: str, keyword: str) -> str:
    """A text as the provider takes it with a title, "" for none; a blank text has none.

    Args:
        text: the document.
        title: its own.
        form: what stands before the text, with `{title}` in the title's place.
        keyword: where the title was given, for an error.

    Raises:
        ConfigurationError: the title could not be told apart from the text.
    """
    whole = form.replace(PLACE, title or NONE) + text if text.strip() else text
    if whole != text and split_title(whole, form) != (title, text):
        raise ConfigurationError(
            f"{keyword} cannot be told apart from its text: a title has one line of at most 1000 characters, without "
            "' | text: ' in it"
        )
    return whole


def untitled(texts: list[str], form: str) -> list[str]:
    """Texts of which none has a title, though it may begin like one: the originals send it as it is."""
    return [titled(text, "", form, "") if split_title(text, form) else text for text in texts]


def plain(config: Any) -> dict[str, Any]:
    """A configuration of Google's SDK, or the dictionary for one, without what says nothing; names as in Python."""
    found = config if isinstance(config, Mapping) else config.model_dump() if config is not None else {}
    return {_snake(str(name)): value for name, value in found.items() if value is not None}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
