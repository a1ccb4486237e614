"""Texts that are on their way, as an ordinary call sees them that does not want to pay for them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, EmbeddingError

from .collecting import collect, find_lost
from .desk import Desk
from .ledger import ENDED, Busy
from .statuses import status_of


@dataclass(frozen=True, slots=True)
class Awaited:
    """`OnTheirWay` of `_core.types`."""

    desk: Desk
    waits: bool

    def find(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those that are on their way; none where the ledger cannot be read, of which is warned."""
        try:
            return self.desk.ledger.pending(keys)
        except EmbeddingError as error:
            warn(f"{error}; what batches hold may be paid for again", CacheWarning)
            return set()

    def collect(self, keys: Sequence[bytes]) -> None:
        """Take in what came back, by whichever process it was handed over.

        Raises `EmbeddingError` where some of `keys` are still on their way, and a batch is wrong, or nothing can come
        any more. What is wrong with a batch that has none of them is no matter of a call for these.
        """
        with suppress(Busy):  # it is being handed over
            find_lost(self.desk)
        try:
            collect(self.desk, self.desk.entries())
        except EmbeddingError:
            if self.desk.ledger.pending(keys):
                raise
            return
        if not self.desk.ledger.pending(keys):
            return
        left = [status_of(entry) for entry in self.desk.entries() if entry.stage != ENDED]
        if left and all(each.lost for each in left):
            raise EmbeddingError(f"{self.desk.where}: batch {left[0].id}: {left[0].reason}")
