"""Stand-ins for the frameworks' own integrations: a table maps each keyword of an original to options of ours.

A stand-in makes the same vectors as its original, so that an index of the one can be used with the other. Two things
differ: newlines and outer blanks of a text are kept, and a role is sent wherever the API has one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedbridge._threads.telling import warn
from embedbridge.catalogue import look_up
from embedbridge.errors import ConfigurationError
from embedbridge.providers import canonical_name

__all__ = [
    "CLIENT",
    "FLOAT",
    "LENGTH",
    "NO_PREFIX",
    "OLLAMA_CLIENT",
    "SENT",
    "SENTENCE_TRANSFORMER",
    "SERVER_TRUNCATION",
    "TEXT",
    "Original",
    "given_only",
    "refuse",
    "refuse_fields",
    "request_fields",
    "under",
]

NO_PREFIX: Mapping[str, Any] = {"query_prefix": "", "document_prefix": ""}
"""Defaults for originals that put nothing before a text, whatever the model was trained with."""

CLIENT = (
    "requests go through a client of embedbridge's own, which bounds answers and follows no redirect; "
    "use base_url, timeout, and provider_options={'verify': 'ca.pem', 'proxy': 'http://…', 'cert': 'client.pem', "
    "'http2': True}, of which each is optional"
)
LENGTH = "too long texts are told by the catalogue's limit and treated by too_long='truncate', 'mean' or 'error'"
TEXT = "text is sent, and no token ids"

Convert = Callable[[Any], Mapping[str, Any]]
"""An original's value → options of ours; "provider_options.x" names one within `provider_options`."""


@dataclass(frozen=True, slots=True)
class Original:
    """A class of another package, as far as its constructor goes."""

    package: str
    provider: str
    model: str | None = None
    """Its default model; None: one has to be named."""
    positional: tuple[str, ...] = ()
    """Its positional arguments, in order."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Its keyword → our option."""
    converted: Mapping[str, Convert] = field(default_factory=dict)
    """Its keyword → a function that gives our options; for values that have to be translated."""
    idle: Mapping[str, str] = field(default_factory=dict)
    """Its keyword → why it has no effect here. A value other than the original's default is warned of."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Its keyword → why it is not supported, and what to do instead."""
    transferred: frozenset[str] = frozenset()
    """Names that it has no keyword for, and moves into model_kwargs with a warning, from where they are sent."""
    unset: Mapping[str, Any] = field(default_factory=dict)
    """The original's defaults of idle and refused keywords, where they are not None, False or empty."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The original's defaults for options of ours, where they differ from our defaults."""
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Option → environment variables that the original reads and our provider does not."""
    implied: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """Adds keywords that the original derives from others."""
    by_model: Convert = field(default=lambda _: {})
    """Defaults that depend on the model's name."""

    def keywords(self) -> set[str]:
        """All keywords of the original that the table knows."""
        return {*self.renamed, *self.converted, *self.idle, *self.refused}

    def options(self, placed: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """Our options for the original's positional and keyword arguments, among which may be options of ours.

        Raises:
            ConfigurationError: an argument is not supported, or two set the same option differently.
        """
        if len(placed) > len(self.positional):
            raise ConfigurationError(f"write arguments beyond the first {len(self.positional)} by name")
        found: dict[str, Any] = {}
        keywords = self.implied(dict(zip(self.positional, placed, strict=False)) | dict(given))
        for name, value in keywords.items():
            for option, ours in self._translated(name, value).items():
                set_before = found.get(option)
                if ours is None and set_before is not None:  # None is "not given"
                    continue
                if set_before is not None and set_before != ours:
                    raise ConfigurationError(
                        f"{name} sets {option}, which another keyword has set already; give one of them"
                    )
                found[option] = ours
        found["model"] = self._model(found.get("model", self.model))
        plain = found["model"].partition(":")[2]
        defaults = {**self.defaults, **self.by_model(plain), **self._from_environment()}
        self._warn_of_prefixes(plain, found, defaults)
        return _nested(defaults | found)

    def _translated(self, name: str, value: Any) -> Mapping[str, Any]:
        if name in self.renamed:
            return {} if value is None else {self.renamed[name]: value}
        if name in self.converted:
            return {} if value is None else self._converted(name, value)
        if name in self.transferred:
            warn(
                f"{name} is no keyword of {self.package}'s class, which moves it to model_kwargs and sends it, and so "
                f"does its stand-in; write model_kwargs={{{name!r}: …}} if that is meant",
                stacklevel=4,
            )
            return request_fields({name: value})
        if name not in self.idle and name not in self.refused:
            return {name: value}
        unset = value is None or value is False or value in ("", {}, [], ()) or value == self.unset.get(name)
        if not unset and name in self.refused:
            raise ConfigurationError(f"{name}: {self.refused[name]}")
        if not unset:
            warn(f"{name} of {self.package} has no effect here: {self.idle[name]}", stacklevel=4)
        return {}

    def _converted(self, name: str, value: Any) -> Mapping[str, Any]:
        try:
            return self.converted[name](value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None
        except (AttributeError, TypeError, ValueError):  # of a value that is nothing like what the original takes
            raise ConfigurationError(f"{name}: {self.package} takes no {type(value).__name__} here") from None

    def _model(self, model: Any) -> str:
        if model is None:
            raise ConfigurationError(f"name a model, as {self.package} wants it too")
        name = getattr(model, "value", model)
        if not isinstance(name, str):
            raise ConfigurationError(f"model: a model's name is a text, and no {type(model).__name__}")
        return name if name.startswith(f"{self.provider}:") else f"{self.provider}:{name}"

    def _from_environment(self) -> dict[str, Any]:
        found = {}
        for option, variables in self.environment.items():
            value = next((os.environ[name] for name in variables if os.environ.get(name)), None)
            if value is not None:
                found[option] = value
        return found

    def _warn_of_prefixes(self, model: str, found: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        card = look_up(canonical_name(self.provider), model)
        wanted = {f"{role}_prefix": (card.prefix(role) or "") if card else "" for role in ("query", "document")}
        missing = [
            name for name, prefix in wanted.items() if name not in found and defaults.get(name, prefix) != prefix
        ]
        if missing:
            told = " and ".join(f"{name}={wanted[name]!r}" for name in missing)
            warn(
                f"{model} was trained with {told}, and {self.package} does not send that; nor does its stand-in: "
                "an index made with the one serves the other. For a new index pass "
                + ", ".join(f"{name}=None" for name in missing),
                stacklevel=4,
            )


def given_only(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a stand-in's dump: its defaults are its original's, so that ours cannot be left out as defaults."""
    excluding = {"exclude_unset": True} if dump.get("exclude_defaults") else {}
    return {**dump, "exclude_defaults": False, **excluding}


def under(table: Mapping[str, str], refusal: str) -> Convert:
    """A `Convert` for a keyword that holds a dict: its keys → our options; any other key that is set is refused."""

    def convert(value: Mapping[str, Any]) -> Mapping[str, Any]:
        unknown = sorted(key for key, part in value.items() if key not in table and part is not None and part != {})
        if unknown:
            raise ConfigurationError(f"{', '.join(map(repr, unknown))}: {refusal}")
        return {table[key]: part for key, part in value.items() if key in table and part is not None}

    return convert


def request_fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `Convert` for what an original hands to `embeddings.create` of OpenAI's SDK: what is no option is a field."""
    fields = dict(value)
    fields |= fields.pop("extra_body", None) or {}  # the SDK lays it over the rest
    found = {option: fields.pop(name) for name, option in _CREATE.items() if name in fields}
    if fields:
        found["provider_options.body"] = fields
    return {option: part for option, part in found.items() if part is not None or option == _ENCODING}


def refuse_fields(fields: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for fields of a request that are given to one call of an original's method."""
    if fields:
        names = ", ".join(map(repr, sorted(fields)))
        raise ConfigurationError(
            f"{names}: one call has no fields of its own here, because they may decide the vectors; give them to the "
            "class, as model_kwargs={…}"
        )


_ENCODING = "provider_options.encoding_format"
_CREATE = {
    "user": "provider_options.user",
    "encoding_format": _ENCODING,
    "dimensions": "dimensions",
    "extra_headers": "provider_options.default_headers",
    "extra_query": "provider_options.query",
    "timeout": "timeout",
}


SENT = frozenset(_CREATE) - {"dimensions", "timeout"} | {"extra_body"}
"""What OpenAI's `embeddings.create` takes by keywords that no original has one for."""


def refuse(allowed: Mapping[Any, Mapping[str, Any]], why: str) -> Convert:
    """A `Convert` for a keyword of which only some values are supported: value → our options."""

    def convert(value: Any) -> Mapping[str, Any]:
        for known, options in allowed.items():
            if value == known:
                return options
        raise ConfigurationError(why)

    return convert


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """`{"provider_options.x": 1}` → `{"provider_options": {"x": 1}}`; a value given in a dict has precedence."""
    nested: dict[str, Any] = {name: value for name, value in options.items() if "." not in name}
    for name, value in options.items():
        *path, last = name.split(".")
        place = nested
        for part in path:
            place[part] = dict(place.get(part) or {})
            place = place[part]
        if path:
            place.setdefault(last, value)
    return nested


FLOAT = refuse({"float": {}}, "vectors are of float32; for smaller ones see embedbridge.quantization")

OLLAMA_CLIENT = under(
    {"timeout": "timeout"}
    | {name: f"provider_options.{name}" for name in ("headers", "verify", "proxy", "cert", "http2")},
    "of the client's settings headers, timeout, verify, proxy, cert and http2 can be had; " + CLIENT,
)

SERVER_TRUNCATION = refuse(
    {
        "END": {"too_long": "truncate"},
        "NONE": {"too_long": "error"},
        True: {"too_long": "truncate"},
        False: {"too_long": "error"},
    },
    "a text is cut at its end or not at all: 'END' or 'NONE'",
)

_WEIGHTS = under(
    {
        "torch_dtype": "provider_options.dtype",
        "dtype": "provider_options.dtype",
        "file_name": "provider_options.file_name",
    },
    "of the arguments for loading weights only dtype, torch_dtype and file_name can be had",
)


def _sentence_transformer(value: Mapping[str, Any]) -> Mapping[str, Any]:
    value = dict(value)
    weights = {name: str(part).removeprefix("torch.") for name, part in (value.pop("model_kwargs", None) or {}).items()}
    return {**_KNOWN(value), **_WEIGHTS(weights)}


_KNOWN = under(
    {name: f"provider_options.{name}" for name in ("device", "backend", "revision", "trust_remote_code")}
    | {"truncate_dim": "dimensions"},
    "of SentenceTransformer's arguments device, backend, revision, trust_remote_code, truncate_dim and model_kwargs "
    "can be had. Prompts are query_prefix and document_prefix, a token is the variable HF_TOKEN",
)

SENTENCE_TRANSFORMER: Convert = _sentence_transformer
"""Arguments of the class SentenceTransformer."""
