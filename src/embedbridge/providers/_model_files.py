"""A sentence-transformers model as files: what its small JSON files say, without torch and without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedbridge._core.routing import SAVED_NAMES
from embedbridge._core.types import InputType
from embedbridge.errors import ConfigurationError

from ._lazy import lazy

SETTINGS, DENSE = "config_sentence_transformers.json", "SentenceTransformer"
PROMPT_APART = frozenset({"hkunlp/instructor-base", "hkunlp/instructor-large", "hkunlp/instructor-xl"})
"""Models that sentence-transformers knows by these names to leave the prompt out of the pooling."""
FULL = frozenset({"F32", "I64", "I32", "I16", "I8", "U8", "BOOL"})
"""Number formats of tensors that float32 is, and of those that are no weights."""
ENDLESS = 10**7
"""Tokens; tokenizers that have no limit say a number like 10**30."""
WHOLE = 8 << 20
"""Bytes; a smaller file is read whole to tell a folder's contents, of a larger one `SAMPLES` pieces."""
SAMPLES, PIECE = 64, 1 << 16


@dataclass(frozen=True, slots=True)
class Settings:
    """What `encode` does around the model, unless it is told otherwise."""

    prompts: Mapping[str, str]
    """Name → prompt."""
    default_prompt: str | None
    """The name of the prompt where a role has none of its own."""
    dimensions: int | None
    """The width that vectors are cut to."""

    def by_role(self) -> dict[str, str]:
        """The prompts with the default one for each role that has none; sentence-transformers saves "" for those."""
        found = {name: prompt for name, prompt in self.prompts.items() if prompt}
        if default := self.prompts.get(self.default_prompt or ""):
            for names in SAVED_NAMES.values():
                if not any(name in found for name in names):
                    found[names[0]] = default
        return found

    def named(self, names: Mapping[InputType, str]) -> dict[str, str]:
        """`by_role`, but for these roles the prompt of that name; "" is the default one.

        Raises:
            ConfigurationError: the model has no prompt of that name.
        """
        found, prompts = self.by_role(), {**UNSAID, **self.prompts}
        for role, name in names.items():
            if name and name not in prompts:
                known = ", ".join(map(repr, sorted(prompts)))
                raise ConfigurationError(f"prompt_name={name!r}: the model's prompts are {known}")
            for alias in SAVED_NAMES[role]:
                found.pop(alias, None)
            found[SAVED_NAMES[role][0]] = prompts.get(name or self.default_prompt or "", "")
        return found


UNSAID = {"query": "", "document": ""}
"""Prompts that sentence-transformers gives every model."""


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
    def settings(self) -> Settings:
        """What is saved for `encode`. Raises `ConfigurationError` when it is for a model of another kind."""
        saved = self.json(SETTINGS)
        if (kind := saved.get("model_type", DENSE)) != DENSE:
            raise ConfigurationError(f"{self.name!r} is a {kind}, which gives no dense vectors; name a {DENSE} model")
        prompts, width = saved.get("prompts"), saved.get("truncate_dim")
        if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
            raise self._unsound(SETTINGS, f"has truncate_dim={width!r}, which is no number of dimensions")
        return Settings(
            {name: prompt or "" for name, prompt in prompts.items() if isinstance(prompt, str | None)}
            if isinstance(prompts, dict)
            else {},
            saved.get("default_prompt_name"),
            width,
        )

    @lazy
    def text_folder(self) -> str:
        """Where tokenizer and transformer are, within the folder: models of long ago keep them apart."""
        return (self.modules[0].get("path") if self.modules else "") or "."

    @lazy
    def max_tokens(self) -> int | None:
        """Tokens it reads of a text, special ones included: as saved, else what tokenizer and weights both allow.

        Where it reads more in some role than in others, the most: nothing that it would read is cut off.
        """
        saved, *by_role = (
            self._limit("sentence_bert_config.json", f"{kind}_length") for kind in ("max_seq", "query", "document")
        )
        own = (
            self._limit("tokenizer_config.json", "model_max_length"),
            self._limit("config.json", "max_position_embeddings"),
        )
        usual = saved or min((limit for limit in own if limit is not None), default=None)
        return usual and max(usual, *(limit or 0 for limit in by_role))

    @property
    def lower(self) -> bool:
        """Whether texts are brought to lower case before its tokenizer has them."""
        return self.json(f"{self.text_folder}/sentence_bert_config.json").get("do_lower_case") is True

    def _limit(self, file: str, field: str) -> int | None:
        limit = self.json(f"{self.text_folder}/{file}").get(field)
        return limit if isinstance(limit, int) and 0 < limit < ENDLESS else None

    @lazy
    def half(self) -> bool:
        """Whether its weights are in another number format than float32, as far as files tell: where unsure, yes."""
        config = self.json(f"{self.text_folder}/config.json")
        named = config.get("dtype") or config.get("torch_dtype")
        if named:
            return bool(named != "float32")
        files = sorted(self.folder.rglob("*.safetensors")) if self.folder else []
        return not files or not all(map(_is_float32, files))

    @lazy
    def dimensions(self) -> int | None:
        """Width of its layers' vectors, where a pooling layer is the last word on it."""
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
        return self.name in PROMPT_APART or any(stored.get("include_prompt") is False for stored in pooling)


def _is_float32(path: Path) -> bool:
    """Whether a safetensors file has no floating-point numbers but float32."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), WHOLE)))
        return all(tensor["dtype"] in FULL for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False  # its loading will tell
