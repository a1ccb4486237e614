"""What the keywords of both frameworks' integrations of Bedrock mean here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge._core.types import INPUT_TYPES
from embedbridge.catalogue import foundation_model
from embedbridge.errors import ConfigurationError
from embedbridge.providers._bedrock_models import family_of

from .keywords import of_keyword

__all__ = ["CREDENTIALS", "NO_PURPOSES", "NO_PURPOSES_TOLD", "foundation", "is_nova", "request_options"]

CREDENTIALS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
NO_PURPOSES = {role: {"embeddingPurpose": "GENERIC_INDEX"} for role in INPUT_TYPES}
"""As LangChain's integration asks Nova, whatever the role."""
NO_PURPOSES_TOLD = (
    "{model} tells queries from documents by embeddingPurpose, and {package} sends GENERIC_INDEX for both; so does its "
    "stand-in: an index made with the one serves the other. For a new index pass provider_options={{'role_body': None}}"
)
WIDTHS = ("dimensions", "output_dimension", "embeddingDimension")
CUTS = {"NONE": "error", "END": "truncate", "RIGHT": "truncate", None: None}


def foundation(keyword: str, model: str) -> str:
    """The foundation model that a keyword names. Raises `ConfigurationError` for what is none that is known."""
    named = foundation_model(model)
    with of_keyword(keyword):
        family_of(named)
    return named


def is_nova(model: str) -> bool:
    """Whether a model is one of Nova's."""
    return foundation_model(model).startswith("amazon.nova")


def request_options(model: str, fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """Our options for fields that a request is to have besides its own.

    Raises:
        ConfigurationError: for what would replace the request or cut the beginning of texts.
    """
    body = dict(fields or {})
    if body and is_nova(model):
        raise ConfigurationError(
            f"{next(iter(body))}: give Nova fields of its parameters by provider_options={{'body': …}}"
        )
    widths = [body.pop(name) for name in WIDTHS if name in body]
    if isinstance(nested := body.get("embeddingConfig"), Mapping) and nested.keys() == {"outputEmbeddingLength"}:
        widths.append(body.pop("embeddingConfig")["outputEmbeddingLength"])
    cut = body.pop("truncate", None)
    if cut not in CUTS:
        raise ConfigurationError(f"truncate={cut!r}: a text is cut at its end or not at all")
    options: dict[str, Any] = {"too_long": CUTS[cut], "provider_options": {"body": body or None}}
    return options | ({"dimensions": widths[0]} if widths else {})
