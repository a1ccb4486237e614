"""A provider's own options: declared as fields, checked at construction, and told apart by what they are for."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator

from embedbridge._value_faults import told_fault
from embedbridge.errors import EMPTY, ConfigurationError

MASK = "**********"
"""What stands in a dump in JSON in place of a secret."""


OF_ALL = frozenset({"accept_model", "accept_zeros", "force_dimensions", "task"})
"""Options beside those of a provider that it is never given: what is done before and after its requests."""


class NoOptions(BaseModel):
    """The base of a provider's own options: a field for each; any other option is refused.

    A field whose type is `SecretStr`, or is made of it, is shown nowhere and stored nowhere.
    """

    from_environment: ClassVar[frozenset[str]] = frozenset()
    """Secrets that another process, which is sent an embedder, takes from its own environment."""
    unset_if_empty: ClassVar[frozenset[str]] = frozenset()
    """Options of which an empty string says nothing. Of any other it is refused: see `refuse_empty`."""
    aside: ClassVar[frozenset[str]] = frozenset()
    """Options that decide no vector: nothing that is stored beside vectors names them."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_not_a_bool(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool | np.bool_ | bytes):  # to pydantic, True is 1: a text in a request, or a token
            kind = cls.model_fields[str(info.field_name)].annotation
            if (_holds(kind, int) or _holds(kind, float)) and not _holds(kind, bool):
                raise ValueError(f"write a number, not {value!r}")
        return value

    @classmethod
    def deciding(cls) -> frozenset[str]:
        """The options that may decide a vector and are no secrets.

        Returns:
            Their names.
        """
        return frozenset(cls.model_fields) - cls.secrets() - cls.listed("aside")

    @classmethod
    def listed(cls, group: str) -> frozenset[str]:
        """The names in a class variable, those of all base classes included.

        Args:
            group: the class variable's name.

        Returns:
            Names of options.
        """
        return frozenset(name for base in cls.__mro__ for name in vars(base).get(group, ()))

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """The options that are declared as secrets.

        Returns:
            Their names.
        """
        return _declared_secrets(cls)


@cache  # each embedder asks
def _declared_secrets(options: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in options.model_fields.items() if _holds(field.annotation, SecretStr))


def refuse_empty(options: Mapping[str, Any], unset: Collection[str]) -> None:
    """Raise `ConfigurationError` for an empty string, which comes from an environment variable that is empty.

    As a path it would be the working directory, and as an address the vendor's own.
    """
    for name, value in options.items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and not text.strip() and name not in unset:
            raise ConfigurationError(f"provider_options: {name}: {EMPTY.format(INSTEAD.get(name, 'a value'))}")


INSTEAD = {
    "verify": "True, or the path of a file or folder of certificates",
    "cert": "the path of a certificate",
    "proxy": "its address; False for no proxy",
    "azure_endpoint": "the resource's address, https://NAME.openai.azure.com",
}
"""Option → what to write in place of an empty string."""


def _holds(kind: Any, sought: type) -> bool:
    """Whether a type is `sought` or made of it."""
    return kind is sought or any(_holds(part, sought) for part in get_args(kind))


def fault_in(name: str, faults: Sequence[Any], known: Iterable[str]) -> str:
    """What is wrong with one option, without its value.

    Args:
        name: of the option.
        faults: of pydantic.
        known: the options that there are.

    Returns:
        Words that go on after the option's name.
    """
    if faults[0]["type"] != "extra_forbidden":
        return told_fault(faults)
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown, did you mean {near[0]!r}?" if near else "unknown"
