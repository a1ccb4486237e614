"""The families of embedding models on Bedrock: each has a request, an answer and limits of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedbridge._core.types import Batch, InputType
from embedbridge.errors import ConfigurationError

from .cohere import WIRE_TYPES

PURPOSES: Mapping[InputType, str] = {
    "query": "TEXT_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Nova's. An index that holds images too is asked with GENERIC_RETRIEVAL, by `role_body`."""
COHERE_WIDTH = "output_dimension"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, besides its texts."""

    batch: Batch
    dimensions: int | None
    truncates: bool
    """Whether the model shall cut a text that is too long, and not refuse it."""
    role: Mapping[str, Any]
    """Fields that tell the role."""
    body: Mapping[str, Any]
    """Fields of the user's."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are asked in one way."""

    heads: tuple[str, ...]
    """What their names begin with."""
    items: int
    """Texts in a request."""
    write: Callable[[Asked], dict[str, Any]]
    """The request's JSON."""
    read: Callable[[Mapping[str, Any]], list[Any]]
    """The vectors of an answer's JSON. A KeyError or TypeError means that there are none."""
    role_field: str = ""
    """The field that tells the role; "": there is none."""
    roles: Mapping[InputType, str] = field(default_factory=dict)
    widths: bool = True
    """Whether narrower vectors can be asked for."""
    truncates: bool = False
    """Whether the model can be told to cut a text that is too long."""


def _titan(asked: Asked) -> dict[str, Any]:
    width = {"dimensions": asked.dimensions} if asked.dimensions else {}
    return {"inputText": asked.batch.texts[0], **width, **asked.body, **asked.role}


def _titan_image(asked: Asked) -> dict[str, Any]:
    width = {"embeddingConfig": {"outputEmbeddingLength": asked.dimensions}} if asked.dimensions else {}
    return {"inputText": asked.batch.texts[0], **width, **asked.body, **asked.role}


def _nova(asked: Asked) -> dict[str, Any]:
    width = {"embeddingDimension": asked.dimensions} if asked.dimensions else {}
    text = {"truncationMode": "END" if asked.truncates else "NONE", "value": asked.batch.texts[0]}
    return {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {**asked.role, "text": text, **width, **asked.body},
    }


def _cohere(end: str) -> Callable[[Asked], dict[str, Any]]:
    """The request of a version, which calls the end of a text so."""

    def write(asked: Asked) -> dict[str, Any]:
        width = {COHERE_WIDTH: asked.dimensions} if asked.dimensions else {}
        return {
            "texts": list(asked.batch.texts),
            "truncate": end if asked.truncates else "NONE",
            "embedding_types": ["float"],
            **width,
            **asked.body,
            **asked.role,
        }

    return write


def _one(payload: Mapping[str, Any]) -> list[Any]:
    return [payload["embedding"]]


def _entries(payload: Mapping[str, Any]) -> list[Any]:
    return [entry["embedding"] for entry in payload["embeddings"]]


def _by_type(payload: Mapping[str, Any]) -> list[Any]:
    found: Any = payload["embeddings"]
    vectors: list[Any] = found["float"] if isinstance(found, dict) else found
    return vectors


_COHERE: dict[str, Any] = {"read": _by_type, "role_field": "input_type", "roles": WIRE_TYPES, "truncates": True}
FAMILIES = (
    Family(("amazon.titan-embed-text-v1", "amazon.titan-embed-g1-text-02"), 1, _titan, _one, widths=False),
    Family(("amazon.titan-embed-text-",), 1, _titan, _one),
    Family(("amazon.titan-embed-image-",), 1, _titan_image, _one),
    Family(("amazon.nova-",), 1, _nova, _entries, "embeddingPurpose", PURPOSES, truncates=True),
    Family(("cohere.embed-english-v3", "cohere.embed-multilingual-v3"), 96, _cohere("END"), widths=False, **_COHERE),
    Family(("cohere.embed-",), 96, _cohere("RIGHT"), **_COHERE),
)
OWNED: Mapping[str, str] = {
    **dict.fromkeys(("dimensions", "embeddingDimension", "embeddingConfig", COHERE_WIDTH), "dimensions=…"),
    **dict.fromkeys(("inputText", "texts", "inputs", "text", "value"), "the texts of the call"),
    **dict.fromkeys(("inputImage", "images"), "another library for images: embedbridge embeds text alone"),
    **dict.fromkeys(("truncate", "truncationMode", "max_tokens"), "too_long=…"),
    **dict.fromkeys(("embedding_types", "embeddingTypes"), "embedbridge.quantization, after the fact"),
    **dict.fromkeys(("taskType", "singleEmbeddingParams"), "the fields inside of singleEmbeddingParams"),
    **dict.fromkeys(("input_type", "embeddingPurpose"), "input_type=… of a call, or role_body"),
}
"""Fields of requests that `body` cannot have, and what to use in their place."""
OF_ROLES: Collection[str] = ("input_type", "embeddingPurpose")
"""Those of them that `role_body` may have."""


def family_of(model: str) -> Family:
    """The family of a foundation model. Raises `ConfigurationError` for one that is not known here."""
    found = next((family for family in FAMILIES if model.startswith(family.heads)), None)
    if found is None:
        known = ", ".join(sorted(f"{head}…" for family in FAMILIES for head in family.heads))
        raise ConfigurationError(
            f"model: {model!r} is no embedding model that is known here; known are {known}. An ARN that does not name "
            "its model goes into provider_options={'model_arn': …} beside the model's own id"
        )
    return found
