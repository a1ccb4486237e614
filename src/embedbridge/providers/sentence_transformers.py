"""Models on this machine, through sentence-transformers: loaded once, on the first batch."""

from __future__ import annotations

import os
import re
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from embedbridge._core.tokens import ByteCounter, Counter
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge._threads.background import run_in_background
from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, RequestFailed
from embedbridge.events import ModelLoading

from ._find_model import find_files
from ._lazy import lazy
from ._load_model import load_model, number_format
from ._loaded_model import LoadedModel
from ._local_options import LocalOptions, check_backend, likely_device
from ._model_files import ModelFiles, Settings
from ._pooled_model import PooledModel
from ._tokenizer_counter import TokenizerCounter
from .base import BaseProvider, ProviderConfig

__all__ = ["SentenceTransformersProvider"]

MOST_BATCHES = 8
"""Batches that one model may compute at once; never more than torch has threads."""
STATELESS = frozenset({"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"})
"""Architectures that keep no state between batches; others may, and compute one batch at a time."""
TRUSTED = "trust_remote_code"
"""The detail that says that the model's own code is run: where there is other code too, the numbers may differ."""
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
"""What an error quotes may be a text."""


class SentenceTransformersProvider(BaseProvider):
    """`sentence-transformers:all-MiniLM-L6-v2`, `local:BAAI/bge-small-en-v1.5`, `local:./folder`."""

    name = "sentence-transformers"
    asks_server = False
    package = "sentence_transformers"
    extra = "local"
    options_type = LocalOptions
    prefix_with_wire_type = True

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        check_backend(self.options.backend)
        self._loaded: LoadedModel | None = None
        self._loading = False

    @lazy
    def files(self) -> ModelFiles:
        """Where the model is."""
        return find_files(self.model, self.options.revision)

    def resolve(self) -> None:
        """Download the model if it is not here: only then its commit, its prompts and its limits are known."""
        if self.files.folder is None:
            self.__dict__.pop("files", None)  # another process may have downloaded it since
        if self.files.folder is None:
            self.load()

    @property
    def doing(self) -> str:
        """The model is loaded once for all calls, which may take longer than a call's deadline."""
        name = os.path.basename(self.files.name) if self.files.local else self.files.name  # noqa: PTH119
        return f"the model {name!r} was being loaded" if self._loading else "the model was at work"

    @property
    def identity(self) -> Identity:
        """A folder by its contents, a model of the hub by its name and revision; and what decides its numbers."""
        options, width = self.options, self._settings().dimensions
        details = [f"backend={options.backend}"] if options.backend != "torch" else []
        dtype = options.dtype or (number_format(options) if self.files.half else None)
        details += [f"dtype={dtype}"] if dtype else []
        details += [f"file_name={options.file_name}"] if options.file_name else []
        details += [f"truncate_dim={width}"] if width else []
        details += [TRUSTED] if options.trust_remote_code else []
        name = self.files.name if not self.files.local else os.path.basename(self.files.name)  # noqa: PTH119
        return Identity(self.name, name, revision=self.files.revision or options.revision or "", details=tuple(details))

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Releases before did not say whose code computed a vector."""
        return identity.details, TRUSTED not in identity.details

    @property
    def prefix_apart(self) -> bool:
        """True for models that leave the prompt out of the pooling."""
        return self.files.pools_without_prompt

    @property
    def limits(self) -> Limits:
        """At least two batches at once: the tokenizer works on one while the model computes the other."""
        return Limits(
            items=4096,
            tokens=self.options.tokens,
            text_tokens=self._max_tokens(),
            concurrency=1 if self.options.pooled else max(2, self._batches_at_once()),
            normalised=True,
            padded=True,
            model_truncates=True,
        )

    def _batches_at_once(self) -> int:
        options = self.options
        alike = options.backend == "torch" and not options.trust_remote_code
        on_processor = all(device == "cpu" for device in options.devices or [likely_device()])
        kind = self.files.json(f"{self.files.text_folder}/config.json").get("model_type")
        return MOST_BATCHES if alike and on_processor and kind in STATELESS else 1

    def _max_tokens(self) -> int | None:
        if self.files.folder is None:
            return int(self.load().model.max_seq_length or 0) or None
        return self.files.max_tokens or (self.config.card.max_tokens if self.config.card else None)

    def width(self) -> int | None:
        """From the model's files, else from the catalogue, else known after the first batch."""
        own, saved = self.files.dimensions or super().width(), self.files.settings.dimensions
        return min(own, saved) if own and saved else own

    @property
    def unit_length(self) -> bool | None:
        """Not known where the model's own setting cuts its vectors."""
        return None if self.files.settings.dimensions else super().unit_length

    def prompts(self) -> Mapping[str, str]:
        """As saved with the model; one that was never downloaded is loaded for them."""
        return self._settings().named(self.options.prompt_names or {})

    def follows_catalogue(self, input_type: InputType) -> bool:
        """Not for roles whose prompt the user names."""
        return input_type not in (self.options.prompt_names or {})

    def _settings(self) -> Settings:
        if self.files.folder is not None:
            return self.files.settings
        model = self.load().model
        return Settings(model.prompts, model.default_prompt_name, model.truncate_dim)

    @property
    def known_offline(self) -> bool:
        """False until the model is downloaded."""
        return self.files.folder is not None

    def wire_type(self, input_type: InputType) -> str | None:
        """The adapter or route of a role, for models that have several; None: the model's default route."""
        adapter = self.config.card.adapters.get(input_type) if self.config.card else None
        return adapter or (task_of(input_type) if self.files.roles_differ else None)

    @lazy
    def _counter(self) -> Counter:
        path = self.files.folder / self.files.text_folder / "tokenizer.json" if self.files.folder else None
        if path is not None and path.is_file():
            return TokenizerCounter.from_file(str(path), lower=self.files.lower)
        backend = getattr(self.load().model.tokenizer, "backend_tokenizer", None)
        return TokenizerCounter(backend.to_str()) if backend is not None else ByteCounter()

    def counter(self) -> Counter:
        """The model's own tokenizer, which needs no torch."""
        return self._counter

    def counter_name(self) -> str:
        """That of a fast tokenizer, which all but very old models have."""
        return TokenizerCounter.name

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Encode a batch. Raises `RequestFailed` when the model cannot."""
        prefix = batch.route.prefix
        texts = [text[len(prefix) :] for text in batch.texts] if prefix else list(batch.texts)
        task = batch.route.wire_type or task_of(batch.route.input_type)
        model = self.load()
        try:
            return Reply(model.encode(texts, prefix, task=task))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            kind = "too_much" if "out of memory" in str(error) else "model_failed"
            failure = RequestFailed(f"the model failed ({_reason(error, batch.texts)})", kind=kind)
        raise failure

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Encode a batch in a thread."""
        return await run_in_background(partial(self.ask, batch, timeout=timeout))

    def load(self) -> LoadedModel:
        """The model, loaded once a process for all embedders. Raises `ConfigurationError` when it is not to be had.

        Returns:
            The model, shared by all embedders of this process that use it.
        """
        options = self.options
        weights = (options.backend, options.dtype, options.file_name, str(options.device))  # which decide all others
        key = (str(self.files.folder or self.files.name), options.revision, self.files.revision, *weights)
        self._loading = self._loaded is None
        try:
            with _loading:
                self._loaded = self._loaded or _models.get(key)
                if self._loaded is None:
                    with importing():
                        loaded = self._wrap(self._load())
                    self._check_files()
                    self._loaded = _models[key] = loaded
                return self._loaded
        finally:
            self._loading = False

    def _wrap(self, model: Any) -> LoadedModel:
        if self.options.pooled:
            return PooledModel(model, self.options.devices)
        return LoadedModel(model, at_once=self._batches_at_once())

    def _check_files(self) -> None:
        """Check that the files which were loaded are those that cache keys name."""
        if self.files.folder is None:
            self.__dict__.pop("files", None)
        elif self.files.local and self.files.contents() != self.files.revision:
            raise ConfigurationError(f"{self.files.name} changed while this embedder was in use; make a new one")

    def close(self) -> None:
        """End the processes of several devices; a later batch starts them again."""
        if self._loaded is not None:
            self._loaded.close()

    def after_fork(self) -> None:
        """Drop the tokenizer: a thread of the parent may have held its lock."""
        self.__dict__.pop("_counter", None)
        if self._loaded is not None:
            self._loaded.after_fork()

    def _load(self) -> Any:
        source, begun = str(self.files.folder or self.files.name), time.perf_counter()
        self.config.notify(ModelLoading(self.files.name, source))
        model = load_model(self.files, self.options, self.config.card)
        self.config.notify(ModelLoading(self.files.name, str(model.device), time.perf_counter() - begun))
        return model


def task_of(input_type: InputType) -> str | None:
    """The task of `encode_query` and `encode_document`; `encode`, which other roles are for, has none."""
    return input_type if input_type in ("query", "document") else None


def _reason(error: Exception, texts: Sequence[str]) -> str:
    """An error's type and the first line of its message, without any text."""
    said = QUOTED.sub("'…'", (str(error).strip().splitlines() or [""])[0])
    for text in texts:
        if text.strip() and len(text) <= len(said):
            said = re.sub(rf"(?<!\w){re.escape(text.strip())}(?!\w)", "…", said)
    return f"{type(error).__name__}: {said[:200]}"


_models: weakref.WeakValueDictionary[tuple[Any, ...], LoadedModel] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _after_fork() -> None:
    global _loading  # noqa: PLW0603 - the parent may have held it
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
