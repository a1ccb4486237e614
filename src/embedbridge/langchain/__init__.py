"""LangChain's face: `BridgeEmbeddings`, and stand-ins for integrations that take the keywords of the originals."""

from embedbridge.errors import MissingExtraError

try:
    import langchain_core.embeddings  # noqa: F401 - only to see that it is there
except ImportError as error:
    raise MissingExtraError('LangChain is not installed; run: pip install "embedbridge[langchain]"') from error

from .bridge import BridgeEmbeddings
from .jina import JinaEmbeddings
from .nvidia_ai_endpoints import NVIDIAEmbeddings
from .openai import OpenAIEmbeddings
from .originals import (
    AzureOpenAIEmbeddings,
    CohereEmbeddings,
    HuggingFaceEmbeddings,
    OllamaEmbeddings,
    VoyageAIEmbeddings,
)

__all__ = [
    "AzureOpenAIEmbeddings",
    "BridgeEmbeddings",
    "CohereEmbeddings",
    "HuggingFaceEmbeddings",
    "JinaEmbeddings",
    "NVIDIAEmbeddings",
    "OllamaEmbeddings",
    "OpenAIEmbeddings",
    "VoyageAIEmbeddings",
]
