"""What the soak test and its clients agree on, and the clients as processes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

THREADS, TASKS = 4, 6
BATCH, PLACES = 8, 4
"""Texts in a request, and requests at once."""
TEXTS = 20_000
"""Different ones of a client."""
WIDTH = 64
"""Numbers in a vector; the model's own 1,536 would measure the test's server."""


class Running:
    """A client that runs."""

    def __init__(self, url: str, folder: Path, seed: int, name: str) -> None:
        self._out, self._said = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 - `close` does
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.soak_client", url, str(folder), str(seed), name],
            cwd=Path(__file__).parents[1],
            stdout=self._out,
            stderr=self._said,
        )

    def seen(self) -> list[dict[str, float]]:
        """What it said of itself so far."""
        self._out.seek(0)
        return [json.loads(line) for line in self._out.read().splitlines(keepends=True) if line.endswith("\n")]

    def watch(self, seconds: float) -> list[dict[str, float]]:
        """What it says of itself in its first seconds."""
        while self.process.poll() is None:
            seen = self.seen()
            if seen and seen[-1]["seconds"] >= seconds:
                return seen
            time.sleep(0.2)
        raise AssertionError((self.process.returncode, self.end(signal.SIGKILL)))

    def end(self, by: signal.Signals) -> str:
        """End it; returns what it said on stderr."""
        self.process.send_signal(by)
        self.process.wait(60)
        self._said.seek(0)
        said = self._said.read()
        assert self.process.returncode in {0, -by, 128 + by}, (self.process.returncode, said)
        return said

    def close(self) -> None:
        """Kill it where it still runs."""
        self.process.kill()
        self.process.wait()
        self._out.close()
        self._said.close()


@contextlib.contextmanager
def running(url: str, folder: Path, seed: int, name: str) -> Iterator[Running]:
    """A client that is killed at the end, whatever happens."""
    client = Running(url, folder, seed, name)
    try:
        yield client
    finally:
        client.close()
