"""llama.cpp's own server over a GGUF file, in this process, on a free loopback port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODEL = "minilm"


def llama(
    path: Path, *, context: int = 512, threads: int = 1, api_keys: tuple[str, ...] = (), pooling: str = "UNSPECIFIED"
) -> Any:
    """A running server; it lives as long as the object, whose `listening_address` is its URL.

    `pooling` is "MEAN", "CLS" or "LAST"; as the file says where it is not specified.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.model_alias = {MODEL}
    settings.embedding = True
    settings.n_ctx = settings.n_batch = settings.n_ubatch = context
    settings.n_parallel = 1
    settings.port = 0
    settings.pooling_type = xllamacpp.llama_pooling_type[f"LLAMA_POOLING_TYPE_{pooling}"]
    settings.api_keys = list(api_keys)
    settings.cpuparams.n_threads = threads
    settings.verbosity = 1  # errors
    settings.warmup = settings.ui = False
    return xllamacpp.Server(settings)
