"""The ledgers of several caches that are used as one: what any of them has on its way is on its way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .ledger import Entry, Ledger, Text


@dataclass(slots=True)
class SeveralLedgers:
    """See `Ledger`. New batches are written down in the last one, whatever others are before it."""

    ledgers: Sequence[Ledger]
    _of: dict[str, Ledger] = field(default_factory=dict)
    """Tag → where the batch is written down."""

    def now(self) -> float:
        return self.ledgers[-1].now()

    def entries(self) -> list[Entry]:
        """All batches, those of the nearest tier first."""
        found = [(entry, ledger) for ledger in self.ledgers for entry in ledger.entries()]
        self._of.update((entry.tag, ledger) for entry, ledger in found)
        return [entry for entry, _ in found]

    def pending(self, keys: Sequence[bytes], *, stored: bool = False) -> dict[bytes, str]:
        """Those that are on their way by any of them."""
        return {key: tag for each in self.ledgers for key, tag in each.pending(keys, stored=stored).items()}

    def texts(self, tag: str, line: str) -> list[Text]:
        return self._at(tag).texts(tag, line)

    def write_down(self, entry: Entry, texts: Iterable[Text]) -> None:
        """Write a batch down in the last one."""
        self._of[entry.tag] = self.ledgers[-1]
        self.ledgers[-1].write_down(entry, texts)

    def creating(self, tag: str) -> None:
        self._at(tag).creating(tag)

    def made(self, tag: str, remote: str, state: str) -> bool:
        return self._at(tag).made(tag, remote, state)

    def heard(self, tag: str, state: str, reason: str = "") -> None:
        self._at(tag).heard(tag, state, reason)

    def drop(self, tag: str) -> None:
        self._at(tag).drop(tag)

    def mark_stored(self, tag: str, texts: Sequence[Text], billed: Sequence[int]) -> None:
        self._at(tag).mark_stored(tag, texts, billed)

    def end(self, tag: str) -> bool:
        return self._at(tag).end(tag)

    @contextmanager
    def submitting(self, patience: float) -> Iterator[None]:
        """The right to hand over by any of them, farthest first, as those have it that use fewer tiers."""
        with ExitStack() as held:
            for ledger in reversed(self.ledgers):
                held.enter_context(ledger.submitting(patience))
            yield

    def _at(self, tag: str) -> Ledger:
        if tag not in self._of:
            self.entries()
        return self._of.get(tag, self.ledgers[-1])
