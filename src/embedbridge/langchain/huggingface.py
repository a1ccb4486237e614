"""A stand-in for `langchain_huggingface.HuggingFaceEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from pydantic import Field

from embedbridge._core.types import InputType
from embedbridge._frameworks.keywords import Ours, of_keyword
from embedbridge._frameworks.local_fields import FOLDER, cut, loading, only
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["HuggingFaceEmbeddings"]

PROMPTS = {"prompts", "default_prompt_name"}
"""Arguments of SentenceTransformer that say what is put before texts."""
ROLES: tuple[InputType, ...] = ("query", "document")
ENCODING = {"normalize_embeddings": "normalize", "batch_size": "batch_size", "truncate_dim": "dimensions"}
"""Argument of `encode` that both roles must share → our option."""
ENCODED = {*ENCODING, "device", "prompt", "prompt_name", "show_progress_bar"}
FORM = {"convert_to_numpy", "convert_to_tensor"}
"""Arguments of `encode` that change no number: the original makes lists of whatever comes."""


class HuggingFaceEmbeddings(StandIn, LangChainFace):
    """For `langchain_huggingface.HuggingFaceEmbeddings`: its keywords, attributes and vectors.

    Honoured: model_name, model, show_progress; of model_kwargs device, backend, revision, trust_remote_code,
    truncate_dim, prompts, default_prompt_name, and dtype and file_name of its model_kwargs; of encode_kwargs and
    query_encode_kwargs normalize_embeddings, batch_size, truncate_dim, device, prompt, prompt_name and
    show_progress_bar. Where neither names a prompt, the model's own default_prompt_name is obeyed; encode_kwargs hold
    for queries too, unless there are query_encode_kwargs.
    Idle, with a warning: multi_process.
    Refused: cache_folder, other arguments, and normalize_embeddings, truncate_dim or device that differ between roles.
    Newlines of a text are kept, where the original makes blanks of them.
    """

    package = "langchain-huggingface"
    provider = "sentence-transformers"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "sentence-transformers/all-mpnet-base-v2"
    cache_folder: str | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    encode_kwargs: dict[str, Any] = Field(default_factory=dict)
    query_encode_kwargs: dict[str, Any] = Field(default_factory=dict)
    multi_process: bool = False
    show_progress: bool = False

    def __init__(
        self,
        *,
        model: str = "sentence-transformers/all-mpnet-base-v2",
        model_name: str = "sentence-transformers/all-mpnet-base-v2",
        cache_folder: str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        encode_kwargs: dict[str, Any] | None = None,
        query_encode_kwargs: dict[str, Any] | None = None,
        multi_process: bool = False,
        show_progress: bool = False,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._refuse(FOLDER, "cache_folder")
        self._idle(
            "the model runs in this process, on all of its cores, or on the device that model_kwargs names",
            "multi_process",
        )
        loaded = {name: part for name, part in self.model_kwargs.items() if name not in PROMPTS}
        with of_keyword("model_kwargs"):
            own = loading(loaded)
        shared = self._shared_encoding()
        device, normal = shared.pop("device", None), self._ours.get("normalize", shared.get("normalize"))
        width = cut(shared.pop("dimensions", None) or self.model_kwargs.get("truncate_dim"), unit=normal)
        prefixes, names = self._prompts()
        more = {"device": device, "prompt_names": names or None}
        return {
            "show_progress": self.show_progress,
            **width,
            **shared,
            **prefixes,
            "model": f"sentence-transformers:{self.model_name}",
            "provider_options": own
            | width.get("provider_options", {})
            | {name: value for name, value in more.items() if value is not None},
        }

    def _encoding(self, role: InputType) -> Mapping[str, Any]:
        """What the original hands to `encode` for a role."""
        asked = role == "query" and bool(self.query_encode_kwargs)
        return self.query_encode_kwargs if asked else self.encode_kwargs

    def _shared_encoding(self) -> dict[str, Any]:
        """Our options for arguments of `encode` besides prompts. Raises `ConfigurationError` where roles differ."""
        of_roles = []
        for role, name in zip(ROLES, ("query_encode_kwargs", "encode_kwargs"), strict=True):
            told = {key: part for key, part in self._encoding(role).items() if key not in FORM}
            if told.get("precision") == "float32":
                del told["precision"]
            refusal = f"of encode's arguments only {', '.join(sorted(ENCODED))} are accepted"
            with of_keyword(name):
                only(told, ENCODED, refusal)
            of_roles.append(told)
        for key in ("normalize_embeddings", "truncate_dim", "device"):
            if of_roles[0].get(key) != of_roles[1].get(key):
                raise ConfigurationError(
                    f"query_encode_kwargs: {key} is {of_roles[0].get(key)!r} for queries and {of_roles[1].get(key)!r} "
                    "for documents, and holds for both here; write it into both"
                )
        documents = of_roles[1]
        found = {ours: documents.get(name) for name, ours in ENCODING.items()}
        found |= {"device": documents.get("device"), "show_progress": documents.get("show_progress_bar")}
        return {name: value for name, value in found.items() if value is not None}

    def _prompts(self) -> tuple[dict[str, str], dict[InputType, str]]:
        """Prefixes of roles, where they are written out, and else names of prompts that are saved with the model."""
        written, prefixes, names = self.model_kwargs.get("prompts") or {}, {}, {}
        for role in ROLES:
            if f"{role}_prefix" in self._ours:
                continue
            told = self._encoding(role)
            name = told.get("prompt_name") or self.model_kwargs.get("default_prompt_name")
            if told.get("prompt") is not None:
                prefixes[f"{role}_prefix"] = told["prompt"]
            elif name in written:
                prefixes[f"{role}_prefix"] = written[name]
            else:
                names[role] = name or ""
        return prefixes, names
