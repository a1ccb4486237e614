"""One text for two ways of calling: a behaviour test runs through the sync methods and through their async twins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

Mode = Literal["sync", "async"]
MODES: tuple[Mode, ...] = ("sync", "async")


class Caller:
    """Calls `embed` in the mode "sync" and awaits `aembed` in the mode "async", on an event loop of its own.

    It closes whatever it called when it is closed itself, in the same mode. Tests that use it are plain functions.
    """

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self._called: list[Any] = []
        self._runner = asyncio.Runner() if mode == "async" else None

    def __repr__(self) -> str:
        return f"<Caller {self.mode}>"

    def call(self, target: Any, method: str, *args: Any, **options: Any) -> Any:
        """`target.method(…)`, or `await target.amethod(…)`."""
        self._remember(target)
        if self._runner is None:
            return getattr(target, method)(*args, **options)
        return self._runner.run(_awaited(target, method, args, options))

    def embed(self, embedder: Any, texts: Any, **options: Any) -> Any:
        """The embedder's `EmbeddingResult` for the texts."""
        return self.call(embedder, "embed", texts, **options)

    def embed_documents(self, embedder: Any, texts: Any, **options: Any) -> Any:
        """Vectors of documents."""
        return self.call(embedder, "embed_documents", texts, **options)

    def embed_query(self, embedder: Any, text: Any, **options: Any) -> Any:
        """The vector of one query."""
        return self.call(embedder, "embed_query", text, **options)

    def at_once(self, embedder: Any, calls: Sequence[Any], **options: Any) -> list[Any]:
        """`embed` of each, all at the same time, in threads or tasks; each one's result or exception, in order."""
        self._remember(embedder)
        if self._runner is not None:
            return self._runner.run(_gathered([_awaited(embedder, "embed", (texts,), options) for texts in calls]))
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(lambda texts: _outcome(lambda: embedder.embed(texts, **options)), calls))

    def close(self) -> None:
        """Close every object that was called and can be closed, then the loop."""
        called, self._called = self._called, []
        for target in called:
            if hasattr(target, "close" if self._runner is None else "aclose"):
                self.call(target, "close")
        self._called.clear()
        if self._runner is not None:
            self._runner.close()

    def _remember(self, target: Any) -> None:
        if not any(target is known for known in self._called):
            self._called.append(target)


async def _awaited(target: Any, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return await getattr(target, f"a{method}")(*args, **options)


async def _gathered(calls: list[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # as asyncio.gather hands them over
        return error
