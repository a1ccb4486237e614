"""A stand-in for `llama_index.embeddings.text_embeddings_inference.TextEmbeddingsInference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import Ours
from embedbridge.errors import ConfigurationError

from .huggingface import instructions
from .stand_in import LlamaIndexStandIn

__all__ = ["TextEmbeddingsInference"]

ENDPOINT = "/embed"


class TextEmbeddingsInference(LlamaIndexStandIn):
    """For `llama_index.embeddings.text_embeddings_inference.TextEmbeddingsInference`: keywords, requests and vectors.

    Honoured: model_name, base_url, text_instruction and query_instruction (left out: what the original puts before the
    texts of BGE and Instructor models, and nothing for others; "" for nothing), embed_batch_size, timeout,
    callback_manager, num_workers, auth_token as text.
    Mapped: truncate_text has the server cut, and the report tells of it; False is too_long="error".
    Refused: a function as auth_token; another endpoint than "/embed".
    One thing differs: a server that has another model than `model_name` is told of, and its vectors are not stored.
    """

    package = "llama-index-embeddings-text-embeddings-inference"
    provider = "tei"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str
    base_url: str = "http://127.0.0.1:8080"
    text_instruction: str | None = None
    query_instruction: str | None = None
    embed_batch_size: int = Field(default=10, gt=0, le=2048)
    timeout: float = 60.0
    truncate_text: bool = True
    auth_token: Any = Field(default=None, exclude=True, repr=False)
    endpoint: str = ENDPOINT

    def __init__(
        self,
        model_name: str,
        base_url: str = "http://127.0.0.1:8080",
        text_instruction: str | None = None,
        query_instruction: str | None = None,
        embed_batch_size: int = 10,
        timeout: float = 60.0,
        truncate_text: bool = True,
        callback_manager: CallbackManager | None = None,
        auth_token: str | Callable[[str], str] | None = None,
        endpoint: str = ENDPOINT,
        *,
        num_workers: int | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        if callable(self.auth_token):
            raise ConfigurationError(
                "auth_token: give the token; a function is asked once, auth_token=make_token(base_url)"
            )
        if self.endpoint != ENDPOINT:
            raise ConfigurationError(f"endpoint: the server's own API is at {ENDPOINT!r}; leave it out")
        server_cuts = self.truncate_text and self._ours.get("too_long") in {None, "truncate"}
        usual = instructions(self.model_name)
        given = (self.query_instruction, self.text_instruction)
        query, document = (words if own is None else own for own, words in zip(given, usual, strict=True))
        return {
            "model": f"tei:{self.model_name}",
            "base_url": self.base_url if "base_url" in self.model_fields_set else None,
            "query_prefix": f"{query} ".lstrip(),
            "document_prefix": f"{document} ".lstrip(),
            "timeout": self.timeout,
            "too_long": "truncate" if self.truncate_text else "error",
            "api_key": self.auth_token,
            "provider_options": {"truncation_direction": "Right" if server_cuts else None},
        }
