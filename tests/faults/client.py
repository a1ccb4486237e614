"""One provider against one server over one cache directory, called in one mode; and what every outcome promises."""

from __future__ import annotations

import contextlib
import pickle
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from embedbridge import Embedder, EmbeddingError
from embedbridge._core.types import EmbeddingResult
from embedbridge.testing import FaultServer
from support.caller import Caller

from .apis import KEY, Api

SECRET = "nobody may read"
Error = TypeVar("Error", bound=EmbeddingError)


def corpus(count: int, name: str = "text") -> list[str]:
    """Texts that can be told apart (`text 1 of …`), and found wherever they should not be."""
    return [f"{name} {i} of a corpus that {SECRET}" for i in range(count)]


@contextlib.contextmanager
def about(case: object) -> Iterator[None]:
    """Whatever goes wrong in the block says which of several cases it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"with {case!r}")
        raise


class Client:
    """Calls the provider. Every vector that it returns, and every error, has been checked."""

    def __init__(self, api: Api, server: FaultServer, caller: Caller, folder: Path) -> None:
        self.api, self.server, self.caller, self.folder = api, server, caller, folder
        self.events: list[Any] = []

    def open(self, **options: Any) -> Embedder:
        """An embedder over the cache directory."""
        return self.api.embedder(self.server, **{"cache": self.folder, "observers": [self.events.append]} | options)

    def embed(self, texts: Sequence[str], *, embedder: Embedder | None = None, **options: Any) -> EmbeddingResult:
        """The result for documents; each text has its own vector."""
        result = self.caller.embed(embedder or self.open(**options), texts)
        np.testing.assert_array_equal(result.vectors, self.api.vectors(self.server, texts))
        return result

    def fails(
        self, kind: type[Error], texts: Sequence[str], *, embedder: Embedder | None = None, **options: Any
    ) -> Error:
        """The error for documents: of this very kind, naming provider, model and places, and without any secret."""
        with pytest.raises(EmbeddingError) as caught:
            self.caller.embed(embedder or self.open(**options), texts)
        error = caught.value
        assert type(error) is kind, error
        assert (error.provider, error.model) == (self.api.name, self.api.model)
        assert not {*error.failed_indices} & {*error.completed}
        if self.server.stats.calls:  # else it is one of our own about some of the texts
            assert str(error).startswith(f"{self.api.name}:{self.api.model}")
            assert sorted({*error.failed_indices, *error.completed}) == list(range(len(texts)))
        told = "".join([*traceback.format_exception(error), *map(_inside, chain(error))])
        assert KEY not in told
        assert SECRET not in told
        return error

    def resume(self, texts: Sequence[str], error: EmbeddingError, **options: Any) -> None:
        """Nothing is lost: once the server is well, a second run asks for what failed and for nothing else."""
        self.server.reset()
        self.embed(texts, **options)
        assert self.server.stats.billed == self.once(texts[index] for index in error.failed_indices)

    def fill(self, count: int, **options: Any) -> list[str]:
        """Texts whose vectors are in the cache now, in a file that nobody has open; the bill begins anew."""
        texts, caller = corpus(count), Caller("sync")
        caller.embed(self.open(batch_size=20, **options), texts)
        caller.close()
        self.server.reset()
        return texts

    def pays_for(self, texts: Sequence[str], **options: Any) -> int:
        """How many of the texts a new embedder over the same folder pays for; none of them twice."""
        self.server.reset()
        self.embed(texts, **options)
        assert not self.server.stats.again()
        return len(self.server.stats.billed)

    def once(self, texts: Any) -> Counter[str]:
        """What the bill says when each of these was paid for once."""
        return Counter({self.api.sent(text) for text in texts})

    def twice(self, texts: Any) -> dict[str, int]:
        """What `stats.again()` says when each of these was paid for twice."""
        return {self.api.sent(text): 2 for text in texts}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and whatever led to it."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def _inside(error: BaseException) -> str:
    return f"{error!r} {error.args} {vars(error)} {pickle.dumps(error)!r}"
