"""`BaseEmbedding` of which the options are the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, Unpack, cast

from llama_index.core.callbacks import CallbackManager
from pydantic import Field, field_validator

from embedbridge._frameworks.face import Bridge
from embedbridge._option_checks import check_number
from embedbridge._run.stored import FINGERPRINT, as_data, check_made
from embedbridge._secrets import changed
from embedbridge.catalogue.known import KnownModel
from embedbridge.errors import ConfigurationError
from embedbridge.keywords import Options
from embedbridge.options import DEFAULT_MODEL, EmbedderOptions, explain_options

from .face import LlamaIndexFace

__all__ = ["BridgeEmbedding"]

EVENT = 1_000_000
"""Texts that one event tells of, unless the user says otherwise."""
SYNONYMS = {"model_name": "model", "num_workers": "concurrency"}
"""LlamaIndex's name → the option that it is another name for."""
CHANGING = {"model", "dimensions", "reduction", "normalize", "query_prefix", "document_prefix", "too_long", "base_url"}
"""Options that make another embedder of stored data on purpose."""
EMBEDDINGS_CACHE = (
    "embeddings_cache: LlamaIndex files vectors there under the bare text, so that queries, documents and models are "
    "given each other's; use cache=, which keeps them apart, on disk or in Redis"
)


class LlamaIndexOptions(Options, total=False):
    """Our options and LlamaIndex's own."""

    model_name: str
    """Another name for `model`, as stored data of LlamaIndex have it."""
    num_workers: int | None
    """Another name for `concurrency`."""
    embed_batch_size: int
    """Texts that one event of the instrumentation tells of."""
    callback_manager: CallbackManager | None
    """LlamaIndex's own handlers of events."""


@explain_options
class BridgeEmbedding(Bridge, LlamaIndexFace):
    """LlamaIndex `BaseEmbedding` by any provider: `BridgeEmbedding(model="openai:text-embedding-3-small")`.

    Of LlamaIndex's own options it takes `callback_manager`; `embed_batch_size`, the texts that one event of the
    instrumentation tells of; `num_workers`, another name for `concurrency`. `embeddings_cache` is refused.

    Raises:
        ConfigurationError: at construction, for unknown options, providers and bad values; nothing is opened yet.
    """

    framework = "llama-index"
    fixed = frozenset({"model_name", "num_workers", "embeddings_cache", "embed_batch_size"})

    embed_batch_size: int = Field(default=EVENT, gt=0)
    num_workers: int | None = Field(default=None, ge=1)

    def __init__(self, model: KnownModel | str = DEFAULT_MODEL, **options: Unpack[LlamaIndexOptions]) -> None:
        """Check the options; nothing is opened yet."""
        EmbedderOptions.__init__(self, model, **cast("Options", options))

    def model_post_init(self, context: Any, /) -> None:
        """Make the embedder."""
        if self.embeddings_cache is not None:
            raise ConfigurationError(EMBEDDINGS_CACHE)
        for name, ours in SYNONYMS.items():
            given, wanted = getattr(self, name), getattr(self, ours)
            if name in self.model_fields_set and given not in {None, wanted} and (wanted or name == "model_name"):
                raise ConfigurationError(f"{name}={given!r}: it is another name for {ours}, which is {wanted!r} here")
        self.__dict__ |= {"concurrency": self.concurrency or self.num_workers, "model_name": self.model}
        self.__dict__ |= {"num_workers": self.concurrency}
        super().model_post_init(context)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As of `EmbedderOptions`; a name of LlamaIndex's follows the option that it is another name for."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name not in SYNONYMS}
        if "num_workers" in (update or {}):
            kept["concurrency"] = None
        made = self._made(**changed(kept, update or {}))
        return made._with_attributes(self._attributes(), deep=deep)  # noqa: SLF001 - our own

    @classmethod
    def class_name(cls) -> str:
        """Under which LlamaIndex stores it."""
        return "BridgeEmbedding"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """What decides vectors, without secrets: an ingestion cache files them under this."""
        return as_data(self.embedder) | {"class_name": self.class_name()}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """What `to_dict` gave, with a cache, limits and keys of its own.

        Args:
            data: of `to_dict`.
            **kwargs: options besides; headers that are no part of `data` among `provider_options`.

        Raises:
            ConfigurationError: this makes another embedder, because of something that is not stored.
        """
        own = {"provider_options": {**data.get("provider_options", {}), **kwargs.get("provider_options", {})}}
        stored = {name: value for name, value in data.items() if name not in {FINGERPRINT, "class_name"}}
        made = cls._made(**changed(stored, kwargs) | own)
        if not CHANGING & set(kwargs):
            check_made(made.embedder, data)
        return made

    _counts = field_validator("embed_batch_size", "num_workers", mode="before")(check_number)

    def __getstate__(self) -> dict[Any, Any]:
        # Handlers belong to the process in which they were set.
        return super().__getstate__() | {"callback_manager": CallbackManager([])}

    def _restore(self, values: dict[str, Any], given: set[str], private: dict[str, Any]) -> None:
        super()._restore(values | {name: values[ours] for name, ours in SYNONYMS.items()}, given, private)
