"""`Embeddings` of which the options are the fields."""

from __future__ import annotations

from typing import Unpack

from embedbridge._frameworks.face import Bridge
from embedbridge.catalogue.known import KnownModel
from embedbridge.keywords import Options
from embedbridge.options import DEFAULT_MODEL, EmbedderOptions, explain_options

from .face import LangChainFace

__all__ = ["BridgeEmbeddings"]


@explain_options
class BridgeEmbeddings(Bridge, LangChainFace):
    """LangChain `Embeddings` by any provider: `BridgeEmbeddings(model="openai:text-embedding-3-small")`.

    Raises:
        ConfigurationError: at construction, for unknown options, providers and bad values; nothing is opened yet.
    """

    framework = "langchain"

    def __init__(self, model: KnownModel | str = DEFAULT_MODEL, **options: Unpack[Options]) -> None:
        """Check the options; nothing is opened yet."""
        EmbedderOptions.__init__(self, model, **options)
