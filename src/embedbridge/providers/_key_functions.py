"""A function of the user's that gives a key for each request, as the SDK's clients call it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any

from embedbridge._threads.background import in_background, run_in_background
from embedbridge.errors import RequestFailed

from ._network import time_left

__all__ = ["KeyFunction", "key_function"]

KeyFunction = Callable[[], str | Awaitable[str]]


def key_function(give: KeyFunction, sendable: Callable[[str], Any], *, blocking: bool) -> Callable[[], Any]:
    """What the blocking client calls, or the async one awaits.

    Args:
        give: the user's. One that blocks is called in a thread of its own, for a deadline may pass meanwhile.
        sendable: whether a key can be sent.
        blocking: for which client.

    Returns:
        A function that raises `RequestFailed` where there is no key, without what was given in its place.
    """

    def now() -> str:
        asked = in_background(give)
        if not wait([asked], time_left()).done:
            raise _late()
        with _faults_named():
            key = asked.result()
        if inspect.isawaitable(key):
            getattr(key, "close", lambda: None)()  # a coroutine that nobody awaits warns
            raise _failed("is asynchronous: use the async methods, or give a function that returns the key")
        return checked(key)

    async def later() -> str:
        try:
            async with asyncio.timeout(time_left()):
                with _faults_named():
                    key = give() if inspect.iscoroutinefunction(give) else await run_in_background(give)
                    key = await key if inspect.isawaitable(key) else key
        except TimeoutError:
            raise _late() from None
        return checked(key)

    def checked(key: Any) -> str:
        if isinstance(key, str) and sendable(key):
            return key
        raise _failed(f"gave {'a text that no key can be' if isinstance(key, str) else type(key).__name__}")

    return now if blocking else later


@contextmanager
def _faults_named() -> Iterator[None]:
    """Names an error of the user's function by its kind, for its words may hold a secret."""
    try:
        yield
    except Exception as error:
        raise _failed(f"failed ({type(error).__name__})") from None


def _late() -> RequestFailed:
    return RequestFailed("the function that gives the key did not answer in time", kind="timeout")


def _failed(what: str) -> RequestFailed:
    return RequestFailed(f"the function that gives the key {what}", kind="configuration")
