"""What the frameworks embed of a document that lies in a vector store: LangChain its text, LlamaIndex metadata too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge.errors import InvalidInputError

from .base import package

NODE = "_node_content"
"""The key under which LlamaIndex keeps a node's JSON in the metadata of a store."""


def of_llama_index(module: str) -> Any:
    """A module of LlamaIndex's core. Raises `MissingExtraError`."""
    return package(
        f"llama_index.core.{module}", 'this index is LlamaIndex\'s; run: pip install "embedbridge[llama-index]"'
    )


def embedded_text(name: str, text: str | None, metadata: Mapping[str, Any] | None) -> str:
    """What its framework gives to an embedding model for a stored document.

    Args:
        name: the document's id, for messages.
        text: as the store has it.
        metadata: as the store has it; LlamaIndex's are known by `_node_content`.

    Returns:
        The text itself; of LlamaIndex's nodes what `get_content(MetadataMode.EMBED)` gives.

    Raises:
        InvalidInputError: the store keeps no text of it, so nothing can be embedded anew.
        MissingExtraError: it is LlamaIndex's, which is not installed.
    """
    if metadata and NODE in metadata:
        node = of_llama_index("vector_stores.utils").metadata_dict_to_node(dict(metadata), text)
        text = node.get_content(metadata_mode=of_llama_index("schema").MetadataMode.EMBED)
    if text is None:
        raise InvalidInputError(
            f"the store has no text of document {name!r}, so it cannot be embedded anew; delete it there, or export "
            "the texts from where they came from as JSONL with id, text and metadata"
        )
    return text
