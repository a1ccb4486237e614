"""A stand-in: a class of another package by name, keywords, attributes and vectors, over an embedder of ours.

How to write one (`langchain/openai.py` and `llama_index/openai.py` are the pattern):

1. One file per original, named like the original's package. The class derives from the framework's `StandIn` and sets
   `package` (of the original, as one installs it) and `provider` (ours).
2. Fields: each keyword of the original's constructor once, with the original's name, type and default. A key is
   `SecretStr` by `secret`, or `str` with `exclude=True, repr=False` where the original has `str`. What else the
   original takes from the environment is a `default_factory`. A keyword for an HTTP client's arguments stands in
   `shown.py`. A second name of a field stands in `synonyms`: keyword → field.
3. `__init__`: the original's keywords in its order with its types and defaults (by place where it takes them so), then
   those of our options that have no keyword yet (of `model dimensions normalize batch_size max_retries timeout api_key
   base_url show_progress`), then `**ours: Unpack[Ours]`. Its whole body is `super().__init__(locals())`.
4. `_translate`: returns our options for the fields; a None says nothing. Prefixes are part of it wherever the original
   puts something else before texts than the catalogue would (mostly "" for nothing). Call `self._refuse(why, *names)`
   for what cannot be had and `self._idle(why, *names)` for what has no effect: both look whether it was given.
5. The class's docstring lists: honoured, mapped, idle, refused. A case goes into tests/faces/grid_of_….py, calls into
   tests/typed_stand_ins.py, a line into the README's table.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, ClassVar, NoReturn, Self

from pydantic import PrivateAttr, ValidationError

from embedbridge._option_faults import explain, own_error
from embedbridge._threads.telling import warn
from embedbridge.catalogue import look_up
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions
from embedbridge.providers import canonical_name

from .keywords import Ours
from .portable import Portable

__all__ = ["StandIn", "ano_media", "no_media"]

MOST_CALLS = 16
"""Sets of per-call keywords of which copies are kept ready."""


class StandIn(Portable):
    """Subclasses name the original, have its keywords as fields, and say what they mean here."""

    package: ClassVar[str] = ""
    """The original's package."""
    provider: ClassVar[str] = ""
    """Ours, before the colon of a model."""

    _for_calls: dict[str, tuple[Mapping[str, Any], Self]] = PrivateAttr(default_factory=dict)
    """Copies with the keywords of a call, ready for the next one."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Take the constructor's `locals()`.

        Raises:
            ConfigurationError: a keyword is unknown, wrong or not supported, or two say different things.
        """
        keywords = {name: value for name, value in given.items() if name not in {"self", "__class__", "ours"}}
        fields, ours = self._sorted(keywords | given.get("ours", {}))
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise own_error(error) or ConfigurationError(
                explain(error, type(self), EmbedderOptions.model_fields)
            ) from None
        self._ours = ours
        options = self._all_options()
        try:
            self._options = EmbedderOptions(**options)
            self._embedder = Embedder.from_options(self._options)
        except ConfigurationError as error:
            error.args = (f"{error}{self._by_keyword(str(error), options)}",)
            raise

    def _translate(self) -> dict[str, Any]:
        """Our options for the original's keywords; a None, and an absent one, says nothing."""
        raise NotImplementedError

    def _for_call(self, told: str, update: Mapping[str, Any]) -> Self:
        """This object, or a copy with other keywords for one call, of which errors say `told`.

        Raises:
            ConfigurationError: options bound this object, and would not bound what a copy sends.
        """
        if not update:
            return self
        bounded = [name for name in ("max_cost", "requests_per_minute", "tokens_per_minute") if self._ours.get(name)]
        if bounded:
            raise ConfigurationError(
                f"{told}: a copy would send this, which {bounded[0]} would not bound; give it to the class"
            )
        key = repr(update)
        known, made = self._for_calls.get(key, (None, None))
        if made is None or known != update:  # two secrets look alike
            if len(self._for_calls) >= MOST_CALLS:
                self._for_calls.clear()
            made = self.model_copy(update=update)
            self._for_calls[key] = (update, made)
        return made

    # What `_translate` asks.

    def _given(self, name: str) -> bool:
        """Whether a keyword says anything else than the original's default."""
        return name in self.model_fields_set and getattr(self, name) not in (False, "", {}, [], ())

    def _refuse(self, why: str, *names: str) -> None:
        """Raise `ConfigurationError` where one of these keywords is given."""
        for name in filter(self._given, names):
            raise ConfigurationError(f"{name}: {why}")

    def _idle(self, why: str, *names: str) -> None:
        """Have it said that these keywords have no effect here, where they are given."""
        for name in names:
            if name in self.model_fields_set:
                self._say(f"{name} of {self.package} has no effect here: {why}")

    @staticmethod
    def _say(warning: str) -> None:
        """Warn, of the line in the application."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - public
        level = 2
        while frame is not None and str(frame.f_globals.get("__name__")).startswith(("embedbridge.", "pydantic.")):
            frame, level = frame.f_back, level + 1
        warn(warning, stacklevel=level)

    # From keywords to fields, and from fields to options.

    def _by_keyword(self, said: str, options: Mapping[str, Any]) -> str:
        """The keyword whose value an error is about, where that calls it by the name of our option."""
        values = {**options, **options["provider_options"]}
        del values["provider_options"]
        values["base_url"] = values.get("azure_endpoint") or values.get("base_url")
        about = min((name for name in values if name in said), key=said.find, default=None)
        given = [name for name in type(self).model_fields if name in self.model_fields_set]
        named = [name for name in given if about and getattr(self, name) is values[about]]
        return "" if about in given or not named else f" (it is given as {named[0]})"

    def _sorted(self, keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of fields that are no defaults, and options of ours. Raises `ConfigurationError` for any other."""
        fields: dict[str, Any] = {}
        ours: dict[str, Any] = {}
        for keyword, value in keywords.items():
            name = self.synonyms.get(keyword, keyword)
            if name in type(self).model_fields:
                usual = type(self).model_fields[name].get_default(call_default_factory=True)
                if value is None or (type(value) is type(usual) and value == usual):
                    continue
                if name in fields and fields[name] != value:
                    raise ConfigurationError(f"{keyword} sets {name}, which another keyword has set already; give one")
                fields[name] = value
            elif name in Ours.__annotations__:
                ours[name] = value
            elif name in EmbedderOptions.model_fields:
                ours |= {} if value is None else {name: value}
            else:
                raise self._unknown(keyword)
        return fields, ours

    def _unknown(self, keyword: str) -> ConfigurationError:
        known = sorted({*type(self).model_fields, *self.synonyms, *EmbedderOptions.model_fields})
        near = difflib.get_close_matches(keyword, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return ConfigurationError(
            f"unknown option {keyword!r}; {hint}{type(self).__name__} takes {', '.join(known)}; "
            "what only one provider knows, such as device, goes into provider_options"
        )

    def _all_options(self) -> dict[str, Any]:
        """Those that follow from the fields, with ours over them."""
        options, usual = self._stated(), self._as_usual()._stated()  # noqa: SLF001 - our own class
        own = {**options.pop("provider_options", {}), **(self._ours.get("provider_options") or {})}
        for name, ours in self._ours.items():
            if ours is not None and options.get(name) not in (None, ours, usual.get(name)):
                raise ConfigurationError(
                    f"{name} says another thing than a keyword of {self.package}'s own; give one of them"
                )
        self._warn_of_prefixes(options, usual)
        return options | self._ours | {"provider_options": own}

    def _stated(self) -> dict[str, Any]:
        found = {name: value for name, value in self._translate().items() if value is not None}
        own = {name: value for name, value in found.pop("provider_options", {}).items() if value is not None}
        return found | ({"provider_options": own} if own else {})

    def _as_usual(self) -> Self:
        """The same model, with the original's defaults for all else."""
        usual = {
            name: field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if not field.is_required() and name not in {"model", "model_name", "model_id"}
        }
        blank = self.__class__.__new__(self.__class__)
        blank._restore(self.__dict__ | usual, set(), {"_ours": self._ours})  # noqa: SLF001 - our own class
        return blank

    def _warn_of_prefixes(self, options: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
        model = options["model"].partition(":")[2]
        card = look_up(canonical_name(self.provider), model)
        for_roles = {f"{role}_prefix": (card.prefix(role) or "") if card else "" for role in ("query", "document")}
        missing = {
            name: prefix
            for name, prefix in for_roles.items()
            if name not in self._ours and options.get(name, prefix) == usual.get(name, prefix) != prefix
        }
        if missing:
            told = " and ".join(f"{name}={prefix!r}" for name, prefix in missing.items())
            self._say(
                f"{model} was trained with {told}, and {self.package} does not send that; nor does its stand-in: "
                "an index made with the one serves the other. For a new index pass "
                + ", ".join(f"{name}=None" for name in missing)
            )


def no_media(self: Any, *_: Any, **__: Any) -> NoReturn:
    """Refuse, as a method for pictures, sounds and films, which originals have and this package does not.

    Raises:
        NotImplementedError: names the package that embeds them.
    """
    raise NotImplementedError(
        f"embedbridge embeds text alone; for images, sounds and videos use {self.package}'s own {type(self).__name__}"
    )


async def ano_media(self: Any, *_: Any, **__: Any) -> NoReturn:
    """Refuse, as a method that is awaited."""
    no_media(self)
