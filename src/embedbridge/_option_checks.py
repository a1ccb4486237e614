"""The checks of options by themselves: each gives the value, or raises ValueError, which says what to write instead."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import SecretStr

from ._core.prepare import is_utf8
from ._option_faults import check_path, flat
from .errors import EMPTY


def check_number(number: Any) -> Any:
    """A number, and no truth."""
    if isinstance(number, bool | np.bool_ | bytes):  # to pydantic, True is 1: a second, or a byte
        raise ValueError(f"write a number, not {number!r}")  # noqa: TRY004 - pydantic wants this one
    return number


def check_key(key: Any) -> Any:
    """A key, and no function that gives one."""
    if callable(key):
        raise ValueError(  # noqa: TRY004 - pydantic wants this one
            "a function cannot be called for each request, except as provider_options={'api_key_provider': …} of "
            "'openai' and {'azure_ad_token_provider': …} of 'azure'; pass the key that it gives"
        )
    return key


def check_address(address: str | None) -> str | None:
    """An address that is not empty."""
    if address is not None and not address.strip():  # the vendor's own server would get what is meant for another
        raise ValueError(EMPTY.format("an address"))
    return address


def check_words(words: str | None) -> str | None:
    """Text that can be sent."""
    if words is not None and not is_utf8(words):
        raise ValueError("it holds a lone surrogate, which no UTF-8 text can")
    return words


def check_paths(value: Any) -> Any:
    """Paths that a file system can have."""
    for path in flat(value):
        if isinstance(path, str | os.PathLike):
            check_path(path)
    return value


def check_reduction(reduction: Any) -> Any:
    """The path of a saved reduction."""
    if reduction is not None and not isinstance(reduction, str | os.PathLike):
        raise ValueError("it is the path of a saved PCA: pca.save('pca.npz'), then reduction='pca.npz'")
    if isinstance(reduction, str) and not reduction.strip():
        raise ValueError(EMPTY.format("the path of a saved PCA"))
    return reduction


def check_observers(observers: Any) -> Any:
    """A tuple of plain functions."""
    listed = () if observers is None else tuple(observers) if isinstance(observers, list | tuple) else (None,)
    if not all(callable(each) and not inspect.iscoroutinefunction(each) for each in listed):
        raise ValueError("it is a list of plain functions, as in [print], and not of coroutine functions")
    return listed


def check_cache(cache: Any) -> Any:
    """What a cache can be named by."""
    usable = isinstance(cache, bool | str | os.PathLike | list | tuple) or (
        hasattr(cache, "get_many") and not isinstance(cache, type)
    )
    if any(isinstance(part, str) and not part.strip() for part in flat(cache)):
        raise ValueError(EMPTY.format("a directory, 'redis://…' or False"))
    if not usable:
        raise ValueError("use True, False, a directory, 'redis://…', a Cache object, or a list of these")
    return cache


def hide_password(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options of a provider in which the password of a certificate is typed as a secret."""
    match options.get("cert"):
        case [file, key, str() as password]:
            return {**options, "cert": (file, key, SecretStr(password))}
    return options
