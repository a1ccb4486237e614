"""A progress bar for each call, which counts distinct texts, and one for each stream, which counts all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm

from embedbridge.core import events
from embedbridge.core.events import Event

from . import in_stream


class ProgressBar:
    """Draws on stderr, and in notebooks with widgets where they are installed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: dict[int, Any] = {}

    def __call__(self, event: Event) -> None:
        """Move the bar of the event's call."""
        with self._lock:
            match event:
                case events.ModelLoading(model, where, None):
                    tqdm.write(f"loading {model} from {where} …", file=sys.stderr)
                case events.CallStarted() if not in_stream.get():
                    self._bars[event.call] = tqdm(
                        total=event.unique, desc=f"embedding ({event.input_type})", unit="text"
                    )
                case events.CacheRead(call, hits, _) if call in self._bars:
                    self._bars[call].set_postfix(cached=hits, refresh=False)
                    self._bars[call].update(hits)
                case events.BatchFinished(call, texts) if call in self._bars:
                    self._bars[call].update(texts)
                case events.CallFinished(call) | events.CallFailed(call) if call in self._bars:
                    self._bars.pop(call).close()


@contextmanager
def stream_bar(input_type: str) -> Iterator[Callable[[int], object]]:
    """A bar without an end: the block is given a function that moves it by a number of texts."""
    with tqdm(desc=f"embedding ({input_type})", unit="text") as bar:
        yield bar.update
