"""A fast OpenAI-compatible server in a process of its own, for benchmarks: canned 1536-d vectors, simulated latency.

with BenchServer(latency=0.05, per_text=0.0001) as server: embed with base_url=server.base_url; then server.counts().
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import urllib.request
import zlib
from typing import Any, Self

import numpy as np

from embedbridge.testing.connection import Connection
from embedbridge.testing.loopback import LoopbackServer
from embedbridge.testing.request import Request

WIDTH = 1536
VECTORS = np.random.default_rng(0).standard_normal((64, WIDTH), dtype=np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
_JSON = {"content-type": "application/json"}


def _row(text: str | list[int]) -> int:
    """For a text, or its token ids: some peers send those."""
    told = text if isinstance(text, str) else repr(text)
    return zlib.crc32(told.encode("utf-8", "surrogatepass")) % len(VECTORS)


def vector(text: str) -> np.ndarray:
    """What the server gives for a text, whatever batch it is in."""
    return VECTORS[_row(text)]


class BenchServer:
    """Runs the server as a child process.

    Args:
        latency: seconds every answer takes.
        per_text: seconds added for each text.
    """

    def __init__(self, *, latency: float = 0.0, per_text: float = 0.0) -> None:
        self._arguments = [str(latency), str(per_text)]

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the child ends with its input

    @property
    def base_url(self) -> str:
        """What the official SDK takes."""
        return f"{self.url}/v1"

    def counts(self) -> dict[str, int]:
        """`calls`, `texts` and `most` (requests under way at once) since the last time this was asked."""
        with urllib.request.urlopen(f"{self.url}/counts") as reply:  # noqa: S310 - loopback
            return json.load(reply)


class _Canned(LoopbackServer):
    def __init__(self, latency: float, per_text: float) -> None:
        super().__init__()
        self._latency, self._per_text = latency, per_text
        self._packed = [b'"' + base64.b64encode(row.tobytes()) + b'"' for row in VECTORS]
        self._plain = [json.dumps(row.tolist()).encode() for row in VECTORS]
        self._under_way = 0
        self._counts = {"calls": 0, "texts": 0, "most": 0}

    async def answer(self, connection: Connection, request: Request) -> bool:
        if request.path == "/counts":
            body = json.dumps(self._counts).encode()
            self._counts = dict.fromkeys(self._counts, 0)
        else:
            body = await self._embed(json.loads(request.body))
        await connection.send(200, _JSON, body)
        return True

    async def _embed(self, payload: dict[str, Any]) -> bytes:
        texts = [payload["input"]] if isinstance(payload["input"], str) else payload["input"]
        self._under_way += 1
        counts = self._counts
        counts["calls"] += 1
        counts["texts"] += len(texts)
        counts["most"] = max(counts["most"], self._under_way)
        await asyncio.sleep(self._latency + self._per_text * len(texts))
        self._under_way -= 1
        vectors = self._packed if payload.get("encoding_format") == "base64" else self._plain
        entry = b'{"object":"embedding","index":%d,"embedding":%s}'
        data = b",".join(entry % (index, vectors[_row(text)]) for index, text in enumerate(texts))
        tail = json.dumps(
            {"model": payload["model"], "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}
        )
        return b'{"object":"list","data":[%s],%s' % (data, tail.encode()[1:])


if __name__ == "__main__":
    with _Canned(*map(float, sys.argv[1:])) as canned:
        print(canned.url, flush=True)  # noqa: T201 - the parent reads it
        sys.stdin.read()
