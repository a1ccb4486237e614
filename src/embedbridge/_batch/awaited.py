"""Texts that are on their way, as an ordinary call sees them that does not want to pay for them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, EmbeddingError

from .collecting import collect, find_lost, find_surplus
from .desk import Desk
from .ledger import CREATING, WRITTEN, Entry
from .statuses import status_of


@dataclass(frozen=True, slots=True)
class Awaited:
    """`OnTheirWay` of `_core.seams`."""

    desk: Desk
    waits: bool

    def find(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those that are on their way; none where the ledger cannot be read, of which is warned."""
        try:
            return set(self.desk.ledger.pending(keys))
        except EmbeddingError as error:
            warn(f"{error}; what batches hold may be paid for again", CacheWarning)
            return set()

    def collect(self, keys: Sequence[bytes]) -> None:
        """Take in what came back of batches that have some of `keys`, by whichever process it was handed over.

        Raises `EmbeddingError` where one of these is wrong, or nothing can come any more.
        """
        if any(entry.stage in {WRITTEN, CREATING} for entry in self._batches_of(keys)):
            find_lost(self.desk)
        mine = self._batches_of(keys)
        collect(self.desk, mine)
        find_surplus(self.desk, mine)
        left = [status_of(entry) for entry in self._batches_of(keys)]
        if left and all(each.lost for each in left):
            raise EmbeddingError(f"{self.desk.where}: batch {left[0].id}: {left[0].reason}")

    def _batches_of(self, keys: Sequence[bytes]) -> list[Entry]:
        """The batches that some of `keys` are on their way in."""
        tags = set(self.desk.ledger.pending(keys).values())
        return [entry for entry in self.desk.awaited() if entry.tag in tags]
