"""Texts that are on their way, as an ordinary call sees them that does not want to pay for them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from sqlite3 import Error

from embedbridge._threads.telling import warn
from embedbridge.cache import CacheError
from embedbridge.errors import CacheWarning

from .collecting import collect, find_lost
from .desk import Desk
from .ledger import Busy


@dataclass(frozen=True, slots=True)
class Awaited:
    """`OnTheirWay` of `_core.types`."""

    desk: Desk
    waits: bool

    def find(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those that are on their way; none where the ledger cannot be read, of which is warned."""
        try:
            return self.desk.ledger.pending(keys)
        except (CacheError, OSError, Error) as error:
            warn(f"the ledger of batches cannot be read ({error}); what they hold may be paid for again", CacheWarning)
            return set()

    def collect(self) -> None:
        """Take in what came back, by whichever process it was handed over."""
        with suppress(Busy):  # it is being handed over
            find_lost(self.desk)
        collect(self.desk, self.desk.entries())
