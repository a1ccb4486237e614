"""A stand-in: a class of another package by name, keywords, attributes and vectors, over an embedder of ours.

How to write one (`langchain/openai.py` and `llama_index/openai.py` are the pattern):

1. One file per original, named like the original's package. The class derives from the framework's `StandIn` and sets
   `package` (of the original, as one installs it) and `provider` (ours).
2. Fields: each keyword of the original's constructor once, with the original's name, type and default. A key is
   `SecretStr` with `exclude=True, repr=False`, or `str` with the same where the original has `str`. What the original
   takes from the environment is a `default_factory`. A keyword for an HTTP client's arguments stands in
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
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr, SecretStr, SerializationInfo, SerializerFunctionWrapHandler, ValidationError
from pydantic import model_serializer as serializer

from embedbridge._option_faults import explain, own_error
from embedbridge._secrets import changed, plain
from embedbridge._threads.telling import warn
from embedbridge.catalogue import look_up
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions
from embedbridge.providers import canonical_name
from embedbridge.providers._own_options import MASK

from .face import Face
from .keywords import Ours
from .shown import without_secrets

__all__ = ["CLIENT", "StandIn", "environment", "of_keyword", "refuse_copy", "secret_environment"]

CLIENT = (
    "requests go through a client of embedbridge's own, which bounds answers and follows no redirect; "
    "use base_url, timeout, and provider_options={'verify': 'ca.pem', 'proxy': 'http://…', 'cert': 'client.pem', "
    "'http2': True}, of which each is optional"
)


class StandIn(Face):
    """Subclasses name the original, have its keywords as fields, and say what they mean here."""

    package: ClassVar[str] = ""
    """The original's package."""
    provider: ClassVar[str] = ""
    """Ours, before the colon of a model."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """A second keyword of the original → the field."""
    settable: ClassVar[frozenset[str]] = frozenset()
    """Fields of the original that decide nothing of a request, and may be set later."""

    _ours: dict[str, Any] = PrivateAttr(default_factory=dict)
    """The options of ours that were given."""
    _options: EmbedderOptions | None = PrivateAttr(default=None)

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

    def _decided(self) -> dict[str, Any]:
        """Keywords by which a copy elsewhere asks the same API, where secrets or the environment decide that here."""
        return {}

    def _embedder_options(self) -> EmbedderOptions:
        assert self._options is not None  # noqa: S101 - set whenever an object is made
        return self._options

    def _compared(self) -> tuple[Any, ...]:
        """As of every face; and the options of ours."""
        return *super()._compared(), self._ours

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

    # Copies, dumps and pickles.

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same keywords, some of them changed, and checked as by the constructor.

        Raises:
            ConfigurationError: also where a key, a header with a credential or an address would go to another server:
                give it in the same update. A key of the environment is found anew.
        """
        new = dict(update or {})
        replaced = {self.synonyms.get(name, name) for name in new}
        kept = {name: getattr(self, name) for name in self.model_fields_set} | self._ours
        kept = {name: value for name, value in kept.items() if name not in replaced}
        made = type(self).__new__(type(self))
        self._own().__init__(made, **kept, **new)
        before, after = self._embedder_options().shared(), made._embedder_options().shared()  # noqa: SLF001
        mentioned = {name for name in after if after[name] != before[name]}
        mentioned |= {"api_key"} if any(name.endswith("api_key") for name in replaced) else set()
        stays = {**kept, **(kept.get("provider_options") or {})}  # one option may follow from several keywords
        stays = {name: value for name, value in stays.items() if not name.endswith("api_key") or callable(value)}
        changed(before, {name: after[name] for name in mentioned}, kept=stays)
        return made._with_attributes(self._attributes(), deep=deep)  # noqa: SLF001 - our own

    def copy(self, *, update: Mapping[str, Any] | None = None, **others: Any) -> Self:
        """`model_copy`, by its former name; fields cannot be left out."""
        if any(part for name, part in others.items() if name != "deep"):
            raise ConfigurationError("a copy has all options: leave include and exclude out")
        return self.model_copy(update=update)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """As the constructor: no options go unchecked."""
        return cls(**values)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own().model_fields and name not in self.settable:
            if type(value) is type(known := getattr(self, name, None)) and value == known:
                return
            raise ConfigurationError(f"{name} is fixed here; take a copy: model_copy(update={{{name!r}: …}})")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._own().model_fields:
            raise ConfigurationError(f"{name} cannot be deleted; take a copy: model_copy(update={{{name!r}: None}})")
        super().__delattr__(name)

    @serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """The fields, and the options of ours that were given; a key is left out."""
        return self._dumped(handler(self), masked=info.mode == "json")

    def _dumped(self, fields: dict[str, Any], *, masked: bool) -> dict[str, Any]:
        model = self._embedder_options().model
        shown = without_secrets(fields, lambda _, value: MASK if masked else SecretStr(value))
        return {**shown, **{name: plain(model, name, value, masked=masked) for name, value in self._ours.items()}}

    @classmethod
    def _secret_fields(cls) -> frozenset[str]:
        """Keywords that are in no dump: keys, tokens and clients."""
        return frozenset(name for name, field in cls.model_fields.items() if field.exclude)

    def stored(self) -> dict[str, Any]:
        """The keywords that were given, as plain data; of the headers those that `routing_headers` names."""
        model = self._embedder_options().model
        given = {name: getattr(self, name) for name in self.model_fields_set - self._secret_fields()}
        ours = {name: plain(model, name, value, masked=True) for name, value in self._ours.items()}
        return {**self._travelling(given), **ours}

    def _travelling(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields without secrets, and with the headers that `routing_headers` names."""
        routing = {header.lower() for header in self._embedder_options().provider_options.get("routing_headers", ())}
        found: dict[str, Any] = without_secrets(fields, lambda name, value: value if name.lower() in routing else None)
        return found

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        hidden = {name for name, field in type(self).model_fields.items() if not field.repr}
        given = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        yield from self._dumped(
            {name: value for name, value in given.items() if name not in hidden}, masked=True
        ).items()

    def __getstate__(self) -> dict[Any, Any]:
        # The embedder is made again at the first call: an error while a pickle is read would hang a pool of processes.
        portable = self._embedder_options().portable()  # without headers that may be secrets
        fields = self._travelling(self.__dict__ | self._decided())
        fields |= dict.fromkeys(self._secret_fields().intersection(fields))
        return {
            "fields": fields,
            "given": {name for name in {*self.model_fields_set, *self._decided()} if fields.get(name) is not None},
            "ours": {name: portable[name] for name in self._ours},
            "options": portable,
            "space": self._space_known(),
            "watches": self._watches,
            "attributes": self._attributes(),
        }

    def __setstate__(self, state: dict[Any, Any]) -> None:
        private = {"_ours": state["ours"], "_space": state["space"], "_watches": state.get("watches", ())}
        private |= {"_options": EmbedderOptions(**state["options"]), **state.get("attributes", {})}
        found = {name: type(self).model_fields[name] for name in self._secret_fields().intersection(state["fields"])}
        ambient = {
            name: field.get_default(call_default_factory=True)
            for name, field in found.items()
            if not field.is_required()
        }
        self._restore(state["fields"] | ambient, state["given"], private)


@contextmanager
def of_keyword(name: str) -> Iterator[None]:
    """Has an error begin with the name of the keyword that it is about."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def refuse_copy(ours: Mapping[str, Any], asked: str) -> None:
    """Raise `ConfigurationError` where options bound an object, and what is asked would be sent by a copy of it."""
    bounded = [name for name in ("max_cost", "requests_per_minute", "tokens_per_minute") if ours.get(name)]
    if bounded:
        raise ConfigurationError(
            f"{asked}: a copy would send this, which {bounded[0]} would not bound; give it to the class"
        )


def environment(*variables: str, default: str | None = None) -> Callable[[], Any]:
    """A default that the original takes from the first of these variables that is set."""
    return lambda: next((value for name in variables if (value := os.environ.get(name))), default)


def secret_environment(*variables: str) -> Callable[[], SecretStr | None]:
    """`environment`, for a key."""
    found = environment(*variables)
    return lambda: SecretStr(value) if (value := found()) else None
