"""LlamaIndex's face: `BridgeEmbedding`, and stand-ins for integrations, one file each, with the originals' keywords."""

from embedbridge.errors import MissingExtraError

try:
    import llama_index.core  # noqa: F401 - only to see that it is there
except ImportError as error:
    raise MissingExtraError('LlamaIndex is not installed; run: pip install "embedbridge[llama-index]"') from error

from llama_index.core.embeddings.loading import RECOGNIZED_EMBEDDINGS

from .azure_openai import AzureOpenAIEmbedding
from .bedrock import BedrockEmbedding
from .bridge import BridgeEmbedding
from .cohere import CohereEmbedding
from .google_genai import GoogleGenAIEmbedding
from .huggingface import HuggingFaceEmbedding
from .jinaai import JinaEmbedding
from .mistralai import MistralAIEmbedding
from .nvidia import NVIDIAEmbedding
from .ollama import OllamaEmbedding
from .openai import OpenAIEmbedding
from .stand_in import recognise
from .text_embeddings_inference import TextEmbeddingsInference
from .voyageai import VoyageEmbedding

__all__ = [
    "AzureOpenAIEmbedding",
    "BedrockEmbedding",
    "BridgeEmbedding",
    "CohereEmbedding",
    "GoogleGenAIEmbedding",
    "HuggingFaceEmbedding",
    "JinaEmbedding",
    "MistralAIEmbedding",
    "NVIDIAEmbedding",
    "OllamaEmbedding",
    "OpenAIEmbedding",
    "TextEmbeddingsInference",
    "VoyageEmbedding",
]

RECOGNIZED_EMBEDDINGS[BridgeEmbedding.class_name()] = BridgeEmbedding  # for LlamaIndex's load_embed_model
recognise(
    AzureOpenAIEmbedding,
    BedrockEmbedding,
    MistralAIEmbedding,
    CohereEmbedding,
    HuggingFaceEmbedding,
    JinaEmbedding,
    NVIDIAEmbedding,
    OllamaEmbedding,
    OpenAIEmbedding,
    TextEmbeddingsInference,
    GoogleGenAIEmbedding,
    VoyageEmbedding,
)
