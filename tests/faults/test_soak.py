"""Issue 13.5: threads and tasks, random faults, clients killed and started again: no vector wrong, little lost."""

from __future__ import annotations

import random
import signal
import threading
import time

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FAULTS, FaultServer, Latency
from support.soak import BATCH, PLACES, TASKS, TEXTS, THREADS, WIDTH, running

SHARE = 0.05
"""Of requests that meet a fault."""
UNSEEN = {"shufflelie"}
"""No client can see it."""
ARGUMENTS = {
    "<status>": [f"{status}" for status in (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529)],
    "hang": ["hang:s=0.5", "hang:s=6"],
    "stall": ["stall:s=0.5", "stall:s=6"],
    "drip": ["drip:bytes=256;s=0.01"],
    "gzipbomb": ["gzipbomb:mb=16"],
    "gziptail": ["gziptail:mb=2"],
    "huge": ["huge:mb=16"],
    "reset": ["reset", "reset:at=headers", "reset:at=mid"],
    "close": ["close", "close:at=headers", "close:at=mid"],
    "drop": ["drop", "drop:where=start", "drop:where=middle"],
    "header": ["429:retry-after=0.2", "header:x-ratelimit-remaining-requests=0;x-ratelimit-reset-requests=200ms"],
    "body": ["500"],
    "redirect": ["redirect"],
}
SPECS = [spec for name in FAULTS if name not in UNSEEN for spec in ARGUMENTS.get(name, [name])]
ENDS = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]
IN_HAND = (THREADS + TASKS) * 4 * BATCH
"""Texts of the calls of one client: no more can be under way, or answered and not yet stored."""


class Bill:
    """Folds the server's log into counts as it grows, so that the test itself does not."""

    def __init__(self, server: FaultServer) -> None:
        self.server, self.calls, self.spoilt = server, 0, 0
        """`spoilt`: texts that were billed in requests with a fault, whose answers may be lost."""

    def fold(self) -> None:
        """To be called now and then."""
        log = self.server.stats.log
        for _ in range(len(log) - 4 * PLACES):
            request = log.pop(0)
            self.calls += 1
            self.spoilt += len(request.items) if request.fault and request.read else 0


def soak(tmp_path, seconds, life):
    """Returns what was seen; asserts what holds."""
    rng = random.Random(1)
    with FaultServer(latency=Latency(base=0.01)) as server:
        for spec in SPECS:
            server.on(lambda _: rng.random() < SHARE / len(SPECS), spec)
        bill, over = Bill(server), threading.Event()

        def fold():
            while not over.wait(0.5):
                bill.fold()

        folding = threading.Thread(target=fold)
        folding.start()
        lives, begun, said = [], time.monotonic(), []
        try:
            with running(server.url, tmp_path, 0, "steady") as steady:
                while time.monotonic() - begun < seconds:
                    number = len(lives)
                    with running(server.url, tmp_path, number + 1, "killed") as killed:
                        lives.append(killed.watch(life))
                        said.append(killed.end(ENDS[number % len(ENDS)]))
                whole = steady.seen()
                said.append(steady.end(signal.SIGINT))
        finally:
            over.set()
            folding.join()
        time.sleep(6.5)  # the longest fault ends
        server._plan.clear()
        bill.fold()
        bill.spoilt += sum(len(request.items) for request in server.stats.log if request.fault and request.read)
        billed, distinct = server.stats.billed.total(), len(server.stats.billed)
        lost = billed - distinct
        in_flight = (len(lives) + 1) * IN_HAND
        assert "Traceback" not in "".join(said)
        assert "Fatal" not in "".join(said)
        assert lost <= bill.spoilt + in_flight
        # What was answered soundly before anything ended is there still.
        server.reset()
        texts = [f"{name} {number}" for name in ("steady", "killed") for number in range(TEXTS)]
        own = {"base_url": f"{server.url}/v1", "api_key": "sk-soak", "cache": tmp_path, "dimensions": WIDTH}
        with Embedder("openai:text-embedding-3-small", **own) as embedder:
            np.testing.assert_array_equal(embedder.embed_documents(texts), server.vectors(texts, dims=WIDTH))
            missing = server.stats.billed.total() - (len(texts) - distinct)
        assert missing <= bill.spoilt + in_flight
    for seen in (whole, *lives):
        assert_no_growth(seen)
    return {
        "seconds": round(time.monotonic() - begun),
        "clients": len(lives) + 1,
        "vectors": sum(seen[-1]["vectors"] for seen in (whole, *lives)),
        "failed calls": sum(seen[-1]["failed"] for seen in (whole, *lives)),
        "requests": bill.calls,
        "billed": billed,
        "paid twice": lost,
        "of them in spoilt answers, at most": bill.spoilt,
        "bound": bill.spoilt + in_flight,
        "answered and not found again": missing,
        "threads, files, MB of the steady one after a third, and at the end": [
            [int(one["threads"]), int(one["files"]), int(one["bytes"]) >> 20]
            for one in (whole[len(whole) // 3], whole[-1])
        ],
    }


def assert_no_growth(seen):
    """Neither threads nor open files nor memory: the least of the last third is hardly more than that of the second."""
    third = len(seen) // 3
    for name, more in (("threads", 8), ("files", 8), ("bytes", 32 << 20)):
        early, late = (min(one[name] for one in part) for part in (seen[third : 2 * third], seen[2 * third :]))
        assert late <= early + more, (name, early, late)


@pytest.mark.slow
def test_half_a_minute_of_faults_and_kills(tmp_path):
    print(soak(tmp_path, 20, 6))  # noqa: T201 - `pytest -s` shows the figures


@pytest.mark.long
def test_ten_minutes_of_faults_and_kills(tmp_path):
    print(soak(tmp_path, 600, 20))  # noqa: T201 - as above
