"""Several servers behind one embedder: what each was asked, what all of them billed, and servers that answer nearly."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from embedbridge import Embedder
from embedbridge.testing import FaultServer, vector_for
from embedbridge.testing.request import Request

MODEL = "nobodys-model"
WIDTH = 64


class NearlyServer(FaultServer):
    """A server that changes texts before its model reads them."""

    def __init__(self, change: Callable[[str], str] = str, **more: Any) -> None:
        super().__init__(**{"width": WIDTH} | more)
        self.change = change

    async def _work(self, request: Request, *rest: Any) -> Any:
        request.read = [self.change(item) for item in request.read]
        return await super()._work(request, *rest)


class Scene:
    """Servers of one model, each with a key of its own."""

    def __init__(self, *servers: FaultServer) -> None:
        self.servers = servers

    def entries(self, **more: Any) -> list[dict[str, Any]]:
        """What `endpoints=` takes."""
        return [
            {"base_url": f"{server.url}/v1", "api_key": f"sk-{at}"} | more for at, server in enumerate(self.servers)
        ]

    def embedder(self, **options: Any) -> Embedder:
        """An embedder over all of them."""
        usual: dict[str, Any] = {"cache": False, "endpoints": self.entries()}
        return Embedder(f"openai:{MODEL}", **usual | options)

    def check(self, texts: Sequence[str], vectors: Any) -> None:
        """Nothing is lost, and nothing is wrong."""
        expected = np.stack([vector_for(text, model=MODEL, dims=WIDTH) for text in texts])
        np.testing.assert_array_equal(vectors, expected)

    def billed(self, texts: Iterable[str]) -> Counter[str]:
        """How often each of the texts was worked out, by whichever server; what proves a server is not among them."""
        asked, total = set(texts), Counter[str]()
        for server in self.servers:
            total.update({text: times for text, times in server.stats.billed.items() if text in asked})
        return total


@contextlib.contextmanager
def scene(*servers: FaultServer) -> Iterator[Scene]:
    """Runs them."""
    with contextlib.ExitStack() as stack:
        yield Scene(*[stack.enter_context(server) for server in servers])


def corpus(count: int, name: str = "text") -> list[str]:
    """Texts that can be told apart."""
    return [f"{name} {number} of a corpus" for number in range(count)]
