"""A local embeddings server that misbehaves on request, and remembers what it was asked and what it billed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from embedbridge._core.prepare import check_container
from embedbridge._core.types import Vectors

from ._answering import JSON, Answering, is_for_batches
from ._batches import Batches
from ._pages import Page, side_page
from ._plan import Plan
from .connection import Connection
from .dialects import DIALECTS, Quirky
from .limits import Latency, Limits, RateLimit
from .quirks import find_quirks, limits_of
from .request import Request
from .stats import Requests, Stats
from .vectors import BYTES_PER_TOKEN, Item, vector_for

__all__ = ["FaultServer"]


class FaultServer(Answering):
    """Speaks the APIs of all hosted providers on one loopback port.

        with FaultServer() as server:
            server.script("429:retry-after=0.2", "reset:at=mid", "ok")  # the next three requests
            server.on(contains("poison"), "400:message=bad text")  # every request that holds the word
            embedder = Embedder("openai:text-embedding-3-small", base_url=server.url + "/v1", api_key="sk-test")
            ...
            assert server.stats.billed["some text"] == 1

    `base_url` is `url + "/v1"` for OpenAI, `url + "/voyage/v1"` for Voyage (Jina, Mistral and NVIDIA alike),
    `url + "/tei"` for Text Embeddings Inference, and `url` for the others.
    Vectors are a pure function of model, input type and text: `vector()` is what a right client must end up with.

    A fault comes from the first that has one: the header `x-fault: SPEC`, the query `?fault=SPEC`, the path
    `/~SPEC/v1/embeddings` (a `base_url` is all that some clients let you set), the rules of `on()`, and `script()`.
    `FAULTS` lists them, with their arguments.

    Args:
        port: 0 takes a free one.
        tls: serve https; a client must trust `certificate`.
        limits: by dialect, in place of the real service's.
        rate: rate buckets for all requests together.
        latency: how long an answer takes.
        api_keys: accept only these (Ollama asks for none); None accepts all. AWS's are written `ID:SECRET`.
        width: numbers in every model's vectors; None: as the real model has.
        max_concurrent: more requests at once are answered 503.
        bytes_per_token: bytes of a text that are billed as one token; 1 is the most that a byte-level tokenizer makes.
            How long a text may be is counted at four bytes in any case.
        seed: decides latency's jitter and the order of shuffled vectors.
        quirks: names in `QUIRKS`: what a server that copies OpenAI's API does otherwise. Faults are told in its words:

            with FaultServer(quirks=["gemini"]) as server:
                server.script("429:retry-after=1.2")  # a list with RetryInfo, and no header
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: bool = False,
        limits: Mapping[str, Limits] | None = None,
        rate: RateLimit | None = None,
        latency: Latency | None = None,
        api_keys: Iterable[str] | None = None,
        width: int | None = None,
        max_concurrent: int | None = None,
        bytes_per_token: int = BYTES_PER_TOKEN,
        seed: int = 0,
        quirks: Iterable[str] = (),
    ) -> None:
        super().__init__(port=port, tls=tls)
        found = find_quirks(quirks)
        self._quirky = Quirky(found)
        known = {dialect.name: dialect.limits for dialect in DIALECTS}
        self.limits = known | {"openai": limits_of(found, Quirky.limits)} | dict(limits or {})
        self.rate, self.latency = rate, latency or Latency()
        self.api_keys = None if api_keys is None else frozenset(api_keys)
        self.width, self.max_concurrent, self.bytes_per_token = width, max_concurrent, bytes_per_token
        self.stats, self.batches = Stats(), Batches()
        self._rng = Random(seed)  # noqa: S311 - not for secrets
        self._plan = Plan()

    # What a test says and asks.

    def script(self, *specs: str) -> None:
        """Queue faults for the next requests, in the order in which they arrive.

        Args:
            *specs: one for each request; `ok` is none.

        Raises:
            ValueError: a fault is not known.
        """
        self._plan.script(*specs)

    def on(self, applies: Callable[[Request], bool], spec: str, *, times: int = -1) -> None:
        """Put a fault into every request that a rule accepts.

        Args:
            applies: the rule, such as `contains("poison")`.
            spec: of the faults.
            times: how often; -1: always.

        Raises:
            ValueError: a fault is not known.
        """
        self._plan.on(applies, spec, times)

    def reset(self) -> None:
        """Forget counts, requests, rules and script."""
        self._plan.clear()
        self.stats, self.batches = Stats(), Batches()

    @property
    def requests(self) -> Requests:
        """Every request so far, in order: `server.requests.to("cohere").bodies`, `server.requests.counts`."""
        return Requests(self.stats.log)

    def vector(
        self,
        item: Item,
        *,
        dialect: str = "openai",
        model: str = "text-embedding-3-small",
        input_type: str = "",
        dims: int | None = None,
        context: Sequence[str] = (),
    ) -> Vectors:
        """What a right client must end up with for one text.

        Args:
            item: the text as sent, or its token ids.
            dialect: the API's name, as in `dialects`; decides the width of models not known by name.
            model: the model's name as sent; "" where the request names none.
            input_type: the role as sent (`search_query`), "" where the request has none.
            dims: numbers in the vector; None: the model's own.
            context: all chunks of the text's document (Voyage's contextualized embeddings only).

        Returns:
            Shape `(d,)`, float32.

        Raises:
            ValueError: there is no such dialect.
        """
        known = next((each for each in DIALECTS if each.name == dialect), None)
        if known is None:
            raise ValueError(f"no dialect {dialect!r}; there are: {', '.join(self.limits)}")
        dims = dims or self.width or known.model_width(model)
        return vector_for(item, model=model, input_type=input_type, dims=dims, context=context).copy()

    def vectors(self, items: Sequence[Item], **about: Any) -> Vectors:
        """`vector()` of each text.

        Args:
            items: texts as sent, or their token ids.
            **about: as of `vector`.

        Returns:
            Shape `(n, d)`, float32.
        """
        check_container(items)
        found = [self.vector(item, **about) for item in items]
        return np.stack(found) if found else np.zeros((0, len(self.vector("", **about))), np.float32)

    # What a client meets.

    def connected(self) -> None:
        """Count a connection."""
        self.stats.connections += 1

    async def answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request; True when the connection may carry another."""
        if connection.stale:
            connection.drop(reset=True)
            return False
        spec = request.headers.get("x-fault") or request.query.get("fault") or ""
        if request.path.startswith("/~"):
            prefix, _, rest = request.path[2:].partition("/")
            request.path, spec = "/" + rest, spec or prefix
        if request.path.startswith("/_control/"):
            await connection.send(*self._control(request))
            return True
        stats = self.stats
        stats.log.append(request)
        if is_for_batches(request.path):
            return await self._batches(connection, request, spec, stats)
        page = self._page(request)
        if page is not None or request.method == "GET":
            await connection.send(404 if page is None else 200, JSON, json.dumps(page).encode())
            return True
        stats.began(request)
        try:
            return await self._embeddings(connection, request, spec, stats)
        finally:
            stats.ended(request)

    def _page(self, request: Request) -> Any:
        """The JSON of a page besides embeddings; None when there is none."""
        first, _, rest = request.path.lstrip("/").partition("/")
        page = self._quirky.pages(self.limits["openai"]).get((request.method, request.path))
        for dialect in DIALECTS:
            if dialect.name == first:
                page = dialect.pages(self.limits[first]).get((request.method, f"/{rest}"))
        if page is None:
            return side_page(request, self.limits["ollama"], self.width)
        return page(json.loads(request.body) if request.body else {})

    def _control(self, request: Request) -> Page:
        """GET stats, POST script (a JSON list of specs), POST reset: for use from another process."""
        what, status, data = request.path.removeprefix("/_control/"), 200, {}
        if what == "stats":
            data = self.stats.summary()
        elif what == "script":
            self.script(*json.loads(request.body))
        elif what == "reset":
            self.reset()
        else:
            status = 404
        return status, JSON, json.dumps(data).encode()
