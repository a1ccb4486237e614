"""A program that embeds without pause, in threads and tasks, and says what it sees of itself once a second.

    python -m support.soak_client URL FOLDER SEED NAME

Every vector is checked; a wrong one, or an error that is not the package's own, ends it with a line on stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from embedbridge import Embedder, EmbeddingError
from embedbridge.testing import FaultServer
from support.soak import BATCH, PLACES, TASKS, TEXTS, THREADS, WIDTH

Counts = dict[str, int]


class Client:
    """The work, and how much of it was done."""

    def __init__(self, url: str, folder: str, seed: str, name: str) -> None:
        self.rng, self.name = random.Random(seed), name
        self.truth = FaultServer()  # never started
        self.counts: Counts = {"vectors": 0, "failed": 0}
        own = {"dimensions": WIDTH, "batch_size": BATCH, "concurrency": PLACES, "timeout": 5.0, "deadline": 20.0}
        self.embedder = Embedder(
            "openai:text-embedding-3-small", base_url=f"{url}/v1", api_key="sk-soak", cache=folder, **own
        )

    def texts(self) -> list[str]:
        """Some of the corpus, a few of them twice."""
        return [f"{self.name} {self.rng.randrange(TEXTS)}" for _ in range(self.rng.randrange(1, 4 * BATCH))]

    def check(self, texts: list[str], vectors: Any) -> None:
        """End the program when a vector is not that of its text."""
        expected = self.truth.vectors(texts, dialect="openai", model="text-embedding-3-small", dims=WIDTH)
        if not np.array_equal(np.atleast_2d(vectors), expected):
            give_up(f"wrong vectors for {texts}")
        self.counts["vectors"] += len(texts)

    def in_a_thread(self) -> None:
        """Blocking calls of every kind."""
        while True:
            texts, kind = self.texts(), self.rng.randrange(4)
            try:
                if kind == 0:
                    self.check(texts[:1], self.embedder.embed_query(texts[0]))
                elif kind == 1:
                    results = self.embedder.stream(texts, chunk_size=BATCH)
                    with contextlib.closing(results):
                        first = next(results)
                    self.check(texts[: len(first.vectors)], first.vectors)
                else:
                    self.check(texts, self.embedder.embed_documents(texts))
            except EmbeddingError:
                self.counts["failed"] += 1

    async def in_a_task(self) -> None:
        """Coroutines of every kind, some of them cancelled."""
        while True:
            texts, kind = self.texts(), self.rng.randrange(5)
            try:
                if kind == 0:
                    self.check(texts[:1], await self.embedder.aembed_query(texts[0]))
                elif kind == 1:
                    at = 0
                    async for result in self.embedder.astream(texts, chunk_size=BATCH):
                        self.check(texts[at : at + len(result.vectors)], result.vectors)
                        at += len(result.vectors)
                elif kind == 2:
                    async with asyncio.timeout(self.rng.uniform(0.0, 0.5)):
                        self.check(texts, await self.embedder.aembed_documents(texts))
                else:
                    self.check(texts, await self.embedder.aembed_documents(texts))
            except (EmbeddingError, TimeoutError):
                self.counts["failed"] += 1

    async def run(self) -> None:
        """Everything at once, until the program is ended from outside."""
        for _ in range(THREADS):
            threading.Thread(target=guarded, args=(self.in_a_thread,), daemon=True).start()
        tasks = [asyncio.ensure_future(self.in_a_task()) for _ in range(TASKS)]
        begun = time.monotonic()
        while True:
            await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    give_up(repr(task.exception()))
            seen = {"seconds": time.monotonic() - begun, **self.counts, **resources()}
            sys.stdout.write(json.dumps(seen) + "\n")
            sys.stdout.flush()


def resources() -> Counts:
    """Threads, open files and bytes of this process."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "bytes": int(lines["VmRSS"].split()[0]) << 10,
    }


def guarded(work: Any) -> None:
    """A thread whose errors end the program."""
    try:
        work()
    except BaseException as error:  # nothing but the package's own errors may come out of it
        give_up(repr(error))


def give_up(why: str) -> None:
    """End the program with a reason."""
    sys.stderr.write(why + "\n")
    sys.stderr.flush()
    os._exit(3)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Client(*sys.argv[1:]).run())
