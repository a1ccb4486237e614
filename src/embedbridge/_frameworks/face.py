"""What the frameworks' classes share: an embedder behind them, the same after a copy or a pickle, and plain lists."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr
from pydantic_core import PydanticUndefined

from embedbridge._run.watches import Watch, check_watches
from embedbridge._secrets import given
from embedbridge._threads.background import run_in_thread
from embedbridge._value_faults import kind_of
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.keywords import Options
from embedbridge.options import EmbedderOptions

__all__ = ["Bridge", "Face", "alists", "key_from_environment", "lists"]

SLICE = 1 << 18
"""Numbers that are turned into Python floats at once, which takes a few milliseconds."""


class Face(BaseModel):  # noqa: PLW1641 - without a hash, as the originals
    """An object with an embedder behind it. Subclasses say of which options, and add a framework's methods."""

    model_config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    _embedder: Embedder | None = PrivateAttr(default=None)
    _space: dict[str, Any] | None = PrivateAttr(default=None)
    """What decided the vectors of the object that this is a pickle of."""
    _watches: tuple[Watch, ...] = PrivateAttr(default=())
    """Of the indexes that are guarded with this object."""

    def _embedder_options(self) -> EmbedderOptions:
        """What the embedder is made of."""
        raise NotImplementedError

    @property
    def embedder(self) -> Embedder:
        """The core: NumPy methods, reports, estimates."""
        # An object from a pickle has none yet. Of several threads that make one, all use the first: one set of limits.
        private: Any = self.__pydantic_private__
        embedder: Embedder | None = private.get("_embedder")
        if embedder is None:
            made = Embedder.from_options(self._embedder_options())
            made.check_space(private.get("_space"))
            embedder = private.setdefault("_embedder", made)
        return embedder

    def _asked(self) -> Embedder:
        """The embedder, for a query or a write, unless an index that is guarded with this object has moved."""
        if self._watches:
            check_watches(self._watches)
        return self.embedder

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same class, with the same options and what an application's class adds."""
        if type(self) is not type(other) or not isinstance(other, Face):
            return NotImplemented
        return self._compared() == other._compared()

    def _compared(self) -> tuple[Any, ...]:
        """What makes two objects of one class equal."""
        return self.__dict__, self._attributes()

    @classmethod
    def _own(cls) -> type[Face]:
        """Our class, where an application derives from it."""
        return next(kind for kind in cls.__mro__ if kind.__module__.startswith("embedbridge."))

    def _attributes(self) -> dict[str, Any]:
        """Private attributes that a class of an application adds."""
        private: Any = self.__pydantic_private__
        own = type(self).__private_attributes__.keys() - self._own().__private_attributes__.keys()
        return {name: private[name] for name in own if private.get(name, PydanticUndefined) is not PydanticUndefined}

    def _with_attributes(self, attributes: dict[str, Any], *, deep: bool = True) -> Self:
        """This object, with those of another."""
        private: Any = self.__pydantic_private__
        private |= deepcopy(attributes) if deep else attributes
        return self

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        made = self.model_copy(deep=True)
        made.embedder.check_space(self._space_known())
        made._watches = self._watches  # noqa: SLF001 - our own
        return made

    def _space_known(self) -> dict[str, Any] | None:
        """Of our embedder; of a pickle that was not used yet, that of its original."""
        private: Any = self.__pydantic_private__
        embedder: Embedder | None = private.get("_embedder")
        known: dict[str, Any] | None = embedder.space_known() if embedder else private.get("_space")
        return known

    def _restore(self, values: dict[str, Any], given: set[str], private: dict[str, Any]) -> None:
        """Take values that have been checked before."""
        attributes = self.__private_attributes__.items()
        usual = {name: part.get_default(call_default_factory=True) for name, part in attributes}
        del usual["_embedder"]  # `embedder` makes it, once
        state = {
            "__dict__": values,
            "__pydantic_fields_set__": given,
            "__pydantic_extra__": None,
            "__pydantic_private__": usual | private,
        }
        BaseModel.__setstate__(self, state)


class Bridge(Face, EmbedderOptions):
    """A face whose fields are the options themselves."""

    framework: ClassVar[str] = ""
    """The provider that wraps this framework's own objects."""

    def model_post_init(self, context: Any, /) -> None:
        """Make the embedder: wrong options fail here, and not at the first call."""
        super().model_post_init(context)
        self._embedder = Embedder.from_options(self)
        self.__dict__["api_key"] = self.api_key or key_from_environment(self._embedder)

    def _embedder_options(self) -> EmbedderOptions:
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As of `EmbedderOptions`; what an application's class adds is copied too."""
        made = super().model_copy(update=update, deep=deep)
        return made._with_attributes(self._attributes(), deep=deep)  # noqa: SLF001 - our own

    @classmethod
    def of(cls, embedder: Embedder) -> Self:
        """This framework's class over an embedder that exists already; the two share everything."""
        if not isinstance(embedder, Embedder):
            raise ConfigurationError(f"embedder: give an Embedder, not {kind_of(embedder)}")
        face = cls.__new__(cls)
        defaults = {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}
        values = defaults | embedder.options.shared()
        face._restore(values, set(values), {"_embedder": embedder})  # noqa: SLF001 - our own
        return face

    @classmethod
    def wrap(cls, embeddings: Any, *, name: str, **options: Unpack[Options]) -> Self:
        """Any other embedding object of the framework behind our cache, batches and checks.

        Args:
            embeddings: the object that does the work.
            name: takes part in the cache key, so it must change when the object's model does.
            **options: as for this class.

        Returns:
            An object of this class, of which `model` reads `langchain:NAME` or `llama-index:NAME`.

        Raises:
            ConfigurationError: for options that this class refuses, and where `model` is given beside `name`.
        """
        if "model" in options or not isinstance(name, str):
            raise ConfigurationError("name: the wrapped object's name is a text, and takes the place of model")
        own = options.pop("provider_options", {})
        if not isinstance(own, Mapping):
            raise ConfigurationError(f"provider_options: write a dict, not {type(own).__name__}")
        own = {**own, "embeddings": embeddings}
        return cls._made(model=f"{cls.framework}:{name}", provider_options=own, **options)

    def __iter__(self) -> Generator[tuple[str, Any]]:
        """As pydantic's, for `dict(face)`; a key of the environment is found anew by what is made of it."""
        yield from given(dict(super().__iter__())).items()

    def __getstate__(self) -> dict[Any, Any]:
        # The embedder is made again at the first call: an error while a pickle is read would hang a pool of processes.
        private = {"_space": self._space_known(), "_watches": self._watches}
        return self.__dict__ | self.portable() | private | {"_attributes": self._attributes()}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        private = {"_space": state.get("_space"), "_watches": state.get("_watches", ())}
        values = {name: value for name, value in state.items() if name not in {*private, "_attributes"}}
        self._restore(values, set(values), private | state.get("_attributes", {}))


def lists(vectors: NDArray[np.float32]) -> list[list[float]]:
    """`vectors.tolist()`, in four fifths of the time, and in pieces between which other threads can go on.

    Up to Python 3.11 the garbage collector goes through the lists again and again while they are made, although none
    can be garbage. From 3.12 on it waits until a call like this one is over.
    """
    paused = sys.version_info < (3, 12) and gc.isenabled()
    rows, size = list[list[float]](), max(1, SLICE // max(1, vectors.shape[1]))
    try:
        if paused:
            gc.disable()
        for at in range(0, len(vectors), size):
            rows += vectors[at : at + size].tolist()
    finally:
        if paused:
            gc.enable()
    return rows


async def alists(vectors: NDArray[np.float32]) -> list[list[float]]:
    """`lists` for an event loop: many vectors would hold it up for a good part of a second."""
    return lists(vectors) if vectors.size <= SLICE else await run_in_thread(partial(lists, vectors))


def key_from_environment(embedder: Embedder) -> SecretStr | None:
    """The key that the provider found by itself, as LangChain's classes show it."""
    provider = embedder._parts.provider  # noqa: SLF001 - our own
    key: SecretStr | None = getattr(provider, "key", None)
    found = {os.environ.get(variable) for variable in provider.key_variables}
    return key if key is not None and key.get_secret_value() in found else None
