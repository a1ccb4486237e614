"""A look for one text in the cache, before a call is made of it: without a job, a flow, and events that nobody takes.

Only for texts of which nothing has to be decided first. What is not found goes the whole way, but for this look.
"""

from __future__ import annotations

from .keys import make_keys
from .shared import Role, Shared
from .types import Cut, EmbeddingResult, Hits, Report, Store


class Look:
    """One look, at one key.

    Args:
        shared: of the embedder, which knows the dimensions of its vectors.
        store: its cache.
        keys: of the text, a single one.
    """

    __slots__ = ("_begun", "_keys", "_shared", "_store", "ended")

    def __init__(self, shared: Shared, store: Store, keys: list[bytes]) -> None:
        self._shared, self._store, self._keys = shared, store, keys
        self._begun, self.ended = shared.clock(), shared.flights.watch()

    @property
    def blocking(self) -> bool:
        """Whether reading touches a disk or a network."""
        return self._store.blocking

    def read(self) -> Hits:
        """What the cache has."""
        return self._store.read(self._keys, self._shared.width)

    def result(self, hits: Hits) -> EmbeddingResult | None:
        """The call's result, which counts in the embedder's total; None where nothing was found that can be used."""
        shared = self._shared
        if not len(hits.rows) or not shared.agree(hits.vectors.shape[1], cached=True):
            return None
        shared.flights.unwatch(self.ended)
        kept, whole = int(hits.tokens[0]), int(hits.before[0])
        report = Report(1, 1, 1, tokens_saved=max(kept, 0))
        if cut := shared.cut_of(kept, whole):
            report.cut, report.cut_texts = (Cut(0, *cut),), 1
        if shared.purse.priced:
            report.cost, report.saved = 0.0, shared.purse.dollars(report.tokens_saved)
        result = EmbeddingResult(shared.finish(hits.vectors), report)
        report.seconds = shared.clock() - self._begun
        shared.book(report)
        return result

    def end(self) -> None:
        """It was broken off."""
        self._shared.flights.unwatch(self.ended)


def plain_keys(shared: Shared, role: Role, text: str) -> list[bytes] | None:
    """The key of a text that is sent as it is after the prefix of its role; None where more has to be decided."""
    prefix = role.route.prefix
    if role.titled or not text or text.isspace() or (prefix and text.startswith(prefix)):
        return None
    try:
        encoded = (prefix + text).encode()
    except UnicodeEncodeError:
        return None
    return None if shared.may_be_cut(encoded) else make_keys(role.rules.base, (encoded,))
