"""Copies, dumps and pickles of a stand-in: its keywords and our options, without what is secret in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr, SecretStr, SerializationInfo, SerializerFunctionWrapHandler
from pydantic import model_serializer as serializer

from embedbridge._secrets import changed, plain
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions
from embedbridge.providers._own_options import MASK

from .face import Face
from .shown import without_secrets

__all__ = ["Portable"]


class Portable(Face):
    """A face whose fields are an original's keywords, with the options of ours beside them."""

    synonyms: ClassVar[Mapping[str, str]] = {}
    """A second keyword of the original → the field."""
    settable: ClassVar[frozenset[str]] = frozenset()
    """Fields of the original that decide nothing of a request, and may be set later."""

    _ours: dict[str, Any] = PrivateAttr(default_factory=dict)
    """The options of ours that were given."""
    _options: EmbedderOptions | None = PrivateAttr(default=None)

    def _decided(self) -> dict[str, Any]:
        """Keywords by which a copy elsewhere asks the same API, where secrets or the environment decide that here."""
        return {}

    def _embedder_options(self) -> EmbedderOptions:
        assert self._options is not None  # noqa: S101 - set whenever an object is made
        return self._options

    def _compared(self) -> tuple[Any, ...]:
        """As of every face; and the options of ours."""
        return *super()._compared(), self._ours

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
        """The keywords that were given, in the order of the fields; of headers those that `routing_headers` names."""
        model = self._embedder_options().model
        told = self.model_fields_set - self._secret_fields()
        given = {name: getattr(self, name) for name in type(self).model_fields if name in told}  # a set has no order
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
