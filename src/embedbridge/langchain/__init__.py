"""LangChain's face: `BridgeEmbeddings`, and stand-ins for integrations, one file each, with the originals' keywords."""

from embedbridge.errors import MissingExtraError

try:
    import langchain_core.embeddings  # noqa: F401 - only to see that it is there
except ImportError as error:
    raise MissingExtraError('LangChain is not installed; run: pip install "embedbridge[langchain]"') from error

from .aws import BedrockEmbeddings
from .azure import AzureOpenAIEmbeddings
from .bridge import BridgeEmbeddings
from .cohere import CohereEmbeddings
from .google_genai import GoogleGenerativeAIEmbeddings
from .huggingface import HuggingFaceEmbeddings
from .init import init_embeddings
from .jina import JinaEmbeddings
from .mistralai import MistralAIEmbeddings
from .nvidia_ai_endpoints import NVIDIAEmbeddings
from .ollama import OllamaEmbeddings
from .openai import OpenAIEmbeddings
from .voyageai import VoyageAIEmbeddings

__all__ = [
    "AzureOpenAIEmbeddings",
    "BedrockEmbeddings",
    "BridgeEmbeddings",
    "CohereEmbeddings",
    "GoogleGenerativeAIEmbeddings",
    "HuggingFaceEmbeddings",
    "JinaEmbeddings",
    "MistralAIEmbeddings",
    "NVIDIAEmbeddings",
    "OllamaEmbeddings",
    "OpenAIEmbeddings",
    "VoyageAIEmbeddings",
    "init_embeddings",
]
