"""The files and batches of a vendor, as its batch API keeps them: what goes in, how far it is, and what comes out.

A batch takes `seconds` on a clock that a test can move on. It is worked out, and billed, when somebody first hears that
it has ended.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import BATCH_FAULTS, Faults, parse_faults
from .request import Refusal

Work = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
"""The body of an ordinary request → status and JSON of its answer."""

EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
CANCELLED = {"code": "batch_cancelled", "message": "This request was cancelled."}


@dataclass(slots=True)
class Line:
    """One line of a file, and what came of it."""

    name: str
    status: int
    body: dict[str, Any]
    error: dict[str, Any] | None = None
    """Why nothing came of it; the batch ended before its turn."""


@dataclass(slots=True)
class Batch:
    """One batch."""

    id: str
    file: str
    metadata: dict[str, str]
    created: float
    """On the clock of `Batches`."""
    about: dict[str, Any]
    """What else was asked for."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and body of each line of its file."""
    faults: Faults = field(default_factory=Faults)
    refused: list[dict[str, Any]] = field(default_factory=list)
    """What is wrong with its file, if it is not begun at all."""
    cancelled: bool = False
    lines: list[Line] | None = None
    """What came of it, once it is worked out."""

    def has(self, fault: str) -> bool:
        """Whether a fault is put into it."""
        return self.faults.get(fault) is not None


class Batches:
    """All files and batches of a server.

    Attributes:
        files: content by name.
        made: every batch, in order.
        moved: where the content of files is instead, by name.
        seconds: that a batch takes.
        lag: seconds after which the list of all batches has a batch.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[Batch] = []
        self.moved: dict[str, str] = {}
        self.seconds = self.lag = 0.0
        self.shortened: set[str] = set()
        """Names of files of which a part has been sent in place of the whole."""
        self._moved = 0.0
        self._script: deque[Faults] = deque()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    # What a test says.

    def script(self, *specs: str) -> None:
        """Queue faults for the next batches that are made."""
        with self._lock:
            self._script.extend(parse_faults(spec, BATCH_FAULTS) for spec in specs)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._moved += seconds

    # What a client meets.

    def keep(self, content: bytes) -> str:
        """Keep a file."""
        name = f"file-{next(self._numbers):04}"
        self.files[name] = content
        return name

    def make(
        self,
        file: str,
        metadata: Mapping[str, str],
        about: dict[str, Any],
        read: Callable[[Batch], None],
        *,
        prefix: str = "",
    ) -> Batch:
        """Make a batch of a file; `read` works out its lines, unless a fault is in the way. Raises `Refusal`."""
        with self._lock:
            faults = self._script.popleft() if self._script else Faults()
        batch = Batch(f"{prefix}batch_{next(self._numbers):04}", file, dict(metadata), self.now(), about, faults=faults)
        if (queue := faults.get("queuefull")) is not None:
            batch.refused = [
                {"code": "token_limit_exceeded", "message": f"Enqueued token limit of {queue.args['n']} reached"}
            ]
        elif faults.get("invalid") is not None:
            batch.refused = [{"code": "invalid_json_line", "message": "This line is not parseable.", "line": 1}]
        else:
            read(batch)
        self.made.append(batch)
        if (unheard := faults.get("unheard")) is not None:
            raise Refusal(int(unheard.args["status"]), "the batch is made, and this says that it is not")
        return batch

    def find(self, name: str) -> Batch | None:
        """A batch by its name."""
        return next((batch for batch in self.made if batch.id == name), None)

    def listed(self) -> list[Batch]:
        """What the list of all batches has now, newest first."""
        return [batch for batch in self.made[::-1] if self.now() - batch.created >= self.lag]

    def now(self) -> float:
        """Seconds on the clock."""
        return time.monotonic() + self._moved

    def is_over(self, batch: Batch) -> bool:
        """Whether a batch has ended."""
        return (
            bool(batch.refused)
            or batch.cancelled
            or (not batch.has("never") and self.now() - batch.created >= self.seconds)
        )

    def sent(self, batch: Batch | None, name: str) -> bytes:
        """The content of a file as it is sent now. Raises `Refusal`."""
        if name not in self.files or (batch is not None and batch.has("gone")):
            raise Refusal(404, "No such File object", code="not_found")
        short = None if batch is None else batch.faults.get("short")
        if short is None or name in self.shortened:
            return self.files[name]
        self.shortened.add(name)
        return b"".join(self.files[name].splitlines(keepends=True)[: -int(short.args["n"])])

    def counts(self, batch: Batch, work: Work) -> tuple[int, int]:
        """How many lines of a batch that has ended were answered, and failed, however often they are in a file."""
        asked = {name for name, _ in batch.asked}
        good, bad = ({line.name for line in lines} & asked for lines in self.outcome(batch, work))
        return len(good), len(bad)

    def outcome(self, batch: Batch, work: Work) -> tuple[list[Line], list[Line]]:
        """The lines of a batch that has ended: answers, and errors."""
        if batch.lines is None:
            early = EXPIRED if batch.has("expire") else CANCELLED if batch.cancelled else None
            share = float(fault.args["share"]) if (fault := batch.faults.get("expire")) else 0.0
            done = len(batch.asked) if early is None else int(len(batch.asked) * share)
            batch.lines = [Line(name, *work(body)) for name, body in batch.asked[:done]]
            batch.lines += [Line(name, 0, {}, early) for name, _ in batch.asked[done:]]
            for fault in batch.faults:
                batch.lines = _spoiled(batch.lines, fault.name, fault.args)
        good = [line for line in batch.lines if line.error is None and line.status == 200]
        return good, [line for line in batch.lines if line.error is not None or line.status != 200]


def _spoiled(lines: list[Line], name: str, args: Mapping[str, str]) -> list[Line]:
    """The lines under a fault."""
    match name:
        case "reverse":
            return lines[::-1]
        case "lose":
            return lines[int(args["n"]) :]
        case "again":
            return [*lines, *lines[: int(args["n"])]]
        case "foreign":
            return [Line("of-another-batch", 200, lines[0].body), *lines]
        case "errors":
            count = int(args["n"])
            refused = {"error": {"code": "server_error", "message": "it is about a text"}}
            return [*(Line(line.name, 500, refused) for line in lines[:count]), *lines[count:]]
    return lines


def content(lines: list[Line]) -> bytes:
    """Lines as OpenAI's answer files have them."""
    return b"".join(
        json.dumps(
            {
                "id": f"batch_req_{number}",
                "custom_id": line.name,
                "response": None if line.error else {"status_code": line.status, "request_id": "", "body": line.body},
                "error": line.error,
            }
        ).encode()
        + b"\n"
        for number, line in enumerate(lines)
    )
