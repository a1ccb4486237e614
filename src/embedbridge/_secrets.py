"""What of an embedder's options may be shown, stored, and sent to another process.

A secret is what its provider declares as one, by the type `SecretStr`; nothing is hidden by its name or its looks. What
has the name or the looks of a credential where no secret may stand is never stored, because a provider refuses it when
it is made: see `providers.credentials`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from ._endpoint_options import EndpointOptions, with_placeholder_keys
from .errors import ConfigurationError
from .providers import canonical_name, placeholder_key, provider_class
from .providers._credentials import CREDENTIAL_HEADERS, FIELDS, place_of_credential
from .providers._own_options import MASK, OF_ALL, NoOptions

__all__ = ["CREDENTIALS", "changed", "given", "plain", "portable", "shown", "with_placeholders"]

CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]+@")
"""A user and a password in an address."""
_PASSWORD = re.compile(r"(?<=[?&])password=[^&]*&?")  # as Redis clients take it in an address
_PLAIN = (str, int, float, bool, list, tuple, dict, SecretStr, type(None))


def with_placeholders(options: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Options for an embedder that sends nothing, so that it needs none of the keys: not those of `key_env` either."""
    found = {**options, **placeholder_key(model)}
    if found.get("endpoints"):
        found["endpoints"] = with_placeholder_keys(found["endpoints"])
    return found


def portable(model: str, name: str, value: Any) -> Any:
    """An option's value for another process, without keys, passwords and credentials in addresses.

    Raises `ConfigurationError` for a secret without which the other process would ask otherwise.
    """
    if name == "endpoints":
        return tuple(_sent(model, place, entry) for place, entry in enumerate(value)) if value else None
    if name != "provider_options":
        return _open(name, value)
    kind = _options_type(model, value)
    return {
        option: _carried(kind, option, part, value)
        for option, part in value.items()
        if option not in kind.from_environment
    }


def _sent(model: str, place: int, entry: EndpointOptions) -> EndpointOptions:
    """An endpoint for another process. Raises `ConfigurationError` for a key that it would not find there."""
    if entry.headers or (entry.api_key is not None and not _is_own(model, entry)):
        raise ConfigurationError(
            f"endpoints: entry {place}: {'headers' if entry.headers else 'api_key'} may be a secret, which cannot go "
            "to another process; name an environment variable in key_env that both have, or make the embedder there"
        )
    return entry.model_copy(update={"api_key": None})


def _is_own(model: str, entry: EndpointOptions) -> bool:
    """Whether an endpoint of the vendor's own has the key that the environment has for it."""
    elsewhere = entry.base_url or entry.deployment or entry.api_version
    return not elsewhere and _is_in_environment(canonical_name(model.partition(":")[0]), str(_bare(entry.api_key)))


def changed(
    options: Mapping[str, Any], update: Mapping[str, Any], *, kept: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Options of an embedder, some of them changed. What is meant for one server is never sent to another.

    A key that is in the environment of the former provider is left out, for the new one finds its own.

    Args:
        options: the former ones.
        update: the new ones.
        kept: where options follow from other keywords, those that stay, without the key.

    Raises:
        ConfigurationError: a key, a credential or an address that was given for another server is not given anew.
    """
    made = {**options, **update}
    before, after = _addressee(options), _addressee(made)
    if before == after:
        return made
    if options.get("base_url") and before[0] != after[0] and "base_url" not in update:
        raise ConfigurationError(
            f"base_url was given for {before[0]!r}, and {after[0]!r} would send its key there: give base_url in the "
            "same update; None is the provider's own address"
        )
    own = {} if "provider_options" in update else options.get("provider_options") or {}
    if (credential := _credential(own if kept is None else kept)) is not None:
        place, keyword = ("provider_options: ", "provider_options") if kept is None else ("", credential.split(".")[0])
        raise ConfigurationError(
            f"{place}{credential} was given for another server: give {keyword} in the same update, with what the new "
            "one may know"
        )
    if "endpoints" not in update and any(entry.api_key or entry.headers for entry in options.get("endpoints") or ()):
        raise ConfigurationError("endpoints have keys or headers for another server: give endpoints in the same update")
    key = options.get("api_key")
    if key and "api_key" not in update:
        if not _is_in_environment(before[0], _bare(key)):
            raise ConfigurationError(
                "api_key was given for another server: give api_key in the same update; None is the environment's"
            )
        made["api_key"] = None
    return made


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without a key that is in the environment of their provider."""
    key = options.get("api_key")
    found = key and _is_in_environment(_addressee(options)[0], _bare(key))
    return {**options, "api_key": None} if found else dict(options)


def _addressee(options: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """Who is asked: the provider's name, and the addresses that are given."""
    endpoint = (options.get("provider_options") or {}).get("azure_endpoint")
    name = canonical_name(str(options.get("model", "")).partition(":")[0])
    return "azure" if name == "openai" and endpoint else name, options.get("base_url") or None, endpoint or None


def _credential(own: Mapping[str, Any]) -> str | None:
    """The place of a credential in a provider's options."""
    functions = ("api_key_provider", "azure_ad_token_provider", "azure_ad_async_token_provider", "credentials")
    objects = (name for name in functions if own.get(name) is not None)
    if (found := next(objects, None)) is not None:
        return found
    named = {str(header).lower().replace("_", "-") for header in own.get("credential_headers") or ()}
    sent = {name: value for name, value in own.items() if name not in {"proxy", "cert"}}
    return place_of_credential(sent, FIELDS | named | {"auth"})


def _is_in_environment(provider: str, key: str) -> bool:
    try:
        variables = provider_class(provider).key_variables
    except ConfigurationError:
        return False
    return key in {os.environ.get(variable) for variable in variables}


def plain(model: str, name: str, value: Any, *, masked: bool) -> Any:
    """An option's value as data that the option accepts again; objects that have no such form are left out.

    Secrets are objects that do not show themselves; or, where `masked`, words that nobody takes for a value.
    """
    if name == "endpoints":
        return [entry.plain(masked=masked) for entry in value] if value else None
    if name == "observers":
        return []
    if name == "provider_options":
        return {
            option: _masked(part) if masked else part
            for option, part in _wrapped(model, value).items()
            if isinstance(part, _PLAIN)
        }
    value = _open(name, value)
    if name == "cache" and not isinstance(value, _PLAIN):
        return str(value) if isinstance(value, os.PathLike) else True
    return str(value) if isinstance(value, os.PathLike) else value


def shown(model: str, name: str, value: Any) -> Any:
    """An option's value for `repr`: secrets do not show, and objects are named by their type."""
    if name == "endpoints":
        return list(value or ())
    if name == "observers":
        return []
    if name == "provider_options":
        return {
            option: part if isinstance(part, _PLAIN) else type(part).__name__
            for option, part in _wrapped(model, value).items()
        }
    value = _open(name, value)
    if isinstance(value, _PLAIN):
        return value
    return str(value) if isinstance(value, os.PathLike) else type(value).__name__


def _open(name: str, value: Any) -> Any:
    """The value of an option that every provider has, without what is secret in it."""
    if name == "api_key":
        return None
    if isinstance(value, str):
        return _PASSWORD.sub("", CREDENTIALS.sub("", value)) if name == "cache" else CREDENTIALS.sub("", value)
    if name == "cache" and isinstance(value, list | tuple):
        return [_open(name, part) for part in value]
    return value


def _options_type(model: str, options: Mapping[str, Any]) -> type[NoOptions]:
    """What declares the provider's options; where it cannot be known, a type that declares none."""
    name = canonical_name(model.partition(":")[0])
    try:
        return provider_class("azure" if name == "openai" and options.get("azure_endpoint") else name).options_type
    except ConfigurationError:
        return NoOptions


def _wrapped(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    kind = _options_type(model, options)
    return {
        name: _hidden(value) if _is_secret(kind, name) else _open(name, value) if isinstance(value, str) else value
        for name, value in options.items()
    }


def _is_secret(kind: type[NoOptions], name: str) -> bool:
    """Whether an option is declared as a secret, or not declared at all."""
    return name in kind.secrets() or (name not in kind.model_fields and name not in OF_ALL)


def _hidden(value: Any) -> Any:
    """All text of a value as secrets."""
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, Mapping):
        return {name: _hidden(part) for name, part in value.items()}
    return type(value)(map(_hidden, value)) if isinstance(value, list | tuple) else value


def _masked(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Mapping):
        return {name: _masked(part) for name, part in value.items()}
    return type(value)(map(_masked, value)) if isinstance(value, list | tuple) else value


def _carried(kind: type[NoOptions], name: str, value: Any, options: Mapping[str, Any]) -> Any:
    """A provider's option as it travels. Raises `ConfigurationError` where it cannot."""
    if not _is_secret(kind, name) or value is None:
        return _open(name, value) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        told = {str(header).lower() for header in options.get("routing_headers", ())} - CREDENTIAL_HEADERS
        for header in value:
            if str(header).lower() not in told:
                raise ConfigurationError(
                    f"the header {header!r} of provider_options cannot go to another process, because it may be a "
                    "secret, and without it another model might be asked. Name it in routing_headers if it is none; "
                    "for OpenAI and Azure set it in OPENAI_CUSTOM_HEADERS in both processes instead; or make the "
                    "embedder in the other process"
                )
        return {header: _bare(part) for header, part in value.items()}
    if name == "proxy" and urlsplit(str(_bare(value))).username is None:
        return _bare(value)
    if name == "cert" and not (isinstance(value, list | tuple) and len(value) > 2 and value[2]):
        return value
    raise ConfigurationError(
        f"provider_options: {name} holds a secret, which cannot go to another process; leave it out and set it in the "
        "environment of both processes, or make the embedder in the other process"
    )


def _bare(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
