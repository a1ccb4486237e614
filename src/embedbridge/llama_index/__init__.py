"""LlamaIndex's face: `BridgeEmbedding`, and stand-ins for its integrations that take the keywords of the originals."""

from embedbridge.errors import MissingExtraError

try:
    import llama_index.core  # noqa: F401 - only to see that it is there
except ImportError as error:
    raise MissingExtraError('LlamaIndex is not installed; run: pip install "embedbridge[llama-index]"') from error

from llama_index.core.embeddings.loading import RECOGNIZED_EMBEDDINGS

from .bridge import BridgeEmbedding
from .jinaai import JinaEmbedding
from .nvidia import NVIDIAEmbedding
from .openai import OpenAIEmbedding
from .originals import CohereEmbedding, HuggingFaceEmbedding, OllamaEmbedding, VoyageEmbedding
from .stand_in import recognise
from .text_embeddings_inference import TextEmbeddingsInference

__all__ = [
    "BridgeEmbedding",
    "CohereEmbedding",
    "HuggingFaceEmbedding",
    "JinaEmbedding",
    "NVIDIAEmbedding",
    "OllamaEmbedding",
    "OpenAIEmbedding",
    "TextEmbeddingsInference",
    "VoyageEmbedding",
]

RECOGNIZED_EMBEDDINGS[BridgeEmbedding.class_name()] = BridgeEmbedding  # for LlamaIndex's load_embed_model
recognise(JinaEmbedding, NVIDIAEmbedding, OpenAIEmbedding, TextEmbeddingsInference)
