"""The options of ours that every stand-in takes beside its original's keywords, for type checkers and editors."""

from __future__ import annotations

from embedbridge.keywords import Common

__all__ = ["Ours"]


class Ours(Common, total=False):
    """The options that no original has too; the others stand in each constructor."""

    query_prefix: str | None
    """Put before queries; left out: what the original puts there; None: what the model needs; "" for nothing."""
    document_prefix: str | None
    """Put before documents; left out: what the original puts there; None: what the model needs; "" for nothing."""
