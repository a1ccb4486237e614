"""A stand-in for `llama_index.embeddings.huggingface.HuggingFaceEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import Ours
from embedbridge._frameworks.local_fields import FOLDER, loading

from .images import NoImages
from .stand_in import LlamaIndexStandIn

__all__ = ["HuggingFaceEmbedding"]

BGE = {f"BAAI/bge-{size}-{kind}" for size in ("small", "base", "large") for kind in ("en", "en-v1.5", "zh", "zh-v1.5")}
INSTRUCTOR = {f"{owner}/instructor-{size}" for owner in ("hkunlp", "hku-nlp") for size in ("base", "large", "xl")}


class HuggingFaceEmbedding(NoImages, LlamaIndexStandIn):
    """For `llama_index.embeddings.huggingface.HuggingFaceEmbedding`: its keywords, attributes and vectors.

    Honoured: model_name, query_instruction and text_instruction (left out, or "": what the original puts before the
    texts of BGE and Instructor models, and nothing for others), normalize, embed_batch_size, trust_remote_code, device,
    callback_manager, show_progress_bar, and of model_kwargs revision, backend, truncate_dim and model_kwargs.
    Idle, with a warning: parallel_process, target_devices.
    Refused: max_length, cache_folder, other arguments of SentenceTransformer; what the original does not take any more
    (tokenizer_name, pooling, tokenizer); images.
    """

    package = "llama-index-embeddings-huggingface"
    provider = "sentence-transformers"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "BAAI/bge-small-en"
    tokenizer_name: str = Field(default="deprecated", exclude=True, repr=False)
    pooling: str = Field(default="deprecated", exclude=True, repr=False)
    tokenizer: Any = Field(default="deprecated", exclude=True, repr=False)
    max_length: int | None = Field(default=None, gt=0)
    query_instruction: str | None = None
    text_instruction: str | None = None
    normalize: bool = True
    embed_batch_size: int = Field(default=10, gt=0, le=2048)
    cache_folder: str | None = None
    trust_remote_code: bool = False
    device: str | None = None
    parallel_process: bool = False
    target_devices: list[str] | None = None
    show_progress_bar: bool = False
    revision: str | None = None
    backend: str = "torch"
    truncate_dim: int | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)

    def __init__(
        self,
        model_name: str = "BAAI/bge-small-en",
        tokenizer_name: str | None = "deprecated",
        pooling: str = "deprecated",
        max_length: int | None = None,
        query_instruction: str | None = None,
        text_instruction: str | None = None,
        normalize: bool = True,
        model: Any = "deprecated",
        tokenizer: Any = "deprecated",
        embed_batch_size: int = 10,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
        callback_manager: CallbackManager | None = None,
        parallel_process: bool = False,
        target_devices: list[str] | None = None,
        show_progress_bar: bool = False,
        *,
        revision: str | None = None,
        backend: str = "torch",
        truncate_dim: int | None = None,
        model_kwargs: dict[str, Any] | None = None,
        num_workers: int | None = None,
        dimensions: int | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__({**locals(), "model": None if model == "deprecated" else model})

    def _translate(self) -> dict[str, Any]:
        self._refuse("the original does not take it any more either", "tokenizer_name", "pooling", "tokenizer")
        self._refuse("texts are cut where the model's own limit is", "max_length")
        self._refuse(FOLDER, "cache_folder")
        self._idle("the model runs in this process, on all of its cores or on its device", "parallel_process")
        self._idle("the model runs on one device; name it as device", "target_devices")
        query, document = instructions(self.model_name)
        arguments = ("revision", "backend", "truncate_dim", "model_kwargs", "trust_remote_code", "device")
        given = {name: getattr(self, name) for name in arguments if name in self.model_fields_set}
        return {
            **loading(given),
            "model": f"sentence-transformers:{self.model_name}",
            "query_prefix": self.query_instruction or query,
            "document_prefix": self.text_instruction or document,
            "normalize": self.normalize,
            "show_progress": self.show_progress_bar,
        }


def instructions(model: str) -> tuple[str, str]:
    """What the original puts before queries and documents. For BGE its words are not those of the model's makers."""
    if model in INSTRUCTOR:
        return (
            "Represent the question for retrieving supporting documents: ",
            "Represent the document for retrieval: ",
        )
    if model not in BGE:
        return "", ""
    if "zh" in model:
        return "为这个句子生成表示以用于检索相关文章：", ""  # noqa: RUF001 - as it is sent
    return "Represent this question for searching relevant passages: ", ""
