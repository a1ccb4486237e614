"""A look for one text in the cache, before a call is made of it: without a job, a flow, and events that nobody takes.

Only for texts of which nothing has to be decided first. What is not found goes the whole way, but for this look.
"""

from __future__ import annotations

from typing import NamedTuple

from .keys import NEVER_REFUSED, make_key
from .shared import Role, Shared
from .types import Cut, EmbeddingResult, Report, Store


def plain_text(shared: Shared, role: Role, text: str) -> bytes | None:
    """A text that is sent as it is after the prefix of its role, in UTF-8; None where more has to be decided."""
    prefix = role.route.prefix
    if role.titled or not text or text.isspace() or (prefix and text.startswith(prefix)):
        return None
    try:
        encoded = (prefix + text).encode()
    except UnicodeEncodeError:
        return None
    return None if shared.may_be_cut(encoded) else encoded


class Missed(NamedTuple):
    """What is known of a text that the cache does not have, or not in a form that can be used."""

    key: bytes
    landings: int
    """Those of `Flights`, before the look."""
    everywhere: bool
    """Whether it was looked for under all keys that it may have."""


def recall(shared: Shared, store: Store, role: Role, encoded: bytes) -> EmbeddingResult | Missed:
    """The result of a call for one text that the cache has. Whoever gets it counts it in the embedder's total."""
    begun, landings = shared.clock(), shared.flights.landings
    key = make_key(role.rules.base, encoded)
    kept = store.read_one(key, shared.width)
    if kept is None:
        seems_long = shared.policy != "error" and len(encoded) > NEVER_REFUSED
        if seems_long or role.full_width_rules is not None:
            return Missed(key, landings, everywhere=False)
        if role.rules.former is not None:
            kept = store.read_one(make_key(role.rules.former, encoded), shared.width, again=True)
        if kept is None:
            return Missed(key, landings, everywhere=True)
    vectors, tokens, before = kept
    report = Report(1, 1, 1, tokens_saved=max(tokens, 0))
    if cut := shared.cut_of(tokens, before):
        report.cut, report.cut_texts = (Cut(0, *cut),), 1
    if shared.purse.priced:
        report.cost, report.saved = 0.0, shared.purse.dollars(report.tokens_saved)
    result = EmbeddingResult(shared.finish(vectors), report)
    report.seconds = shared.clock() - begun
    return result
