"""A cache of a user's own."""

from __future__ import annotations

from embedbridge.cache import CacheStats


class Own:
    """A cache of the user's own, which has nothing but what the protocol asks for."""

    blocking = True

    def __init__(self):
        self.kept = {}

    def get_many(self, keys):
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put_many(self, items, *, label=""):  # noqa: ARG002
        self.kept.update(items)

    def stats(self):
        return CacheStats(len(self.kept))

    def clear(self):
        self.kept.clear()

    def close(self):
        pass
