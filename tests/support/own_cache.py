"""A cache of a user's own."""

from __future__ import annotations

from collections import Counter

from embedbridge.cache import CacheStats


class Own:
    """A cache of the user's own, with nothing but what the protocol asks for; it counts how often each key is read."""

    blocking = True

    def __init__(self):
        self.kept, self.read = {}, Counter()

    def get_many(self, keys):
        self.read.update(keys)
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put_many(self, items, *, label=""):
        self.kept.update(items)

    def stats(self):
        return CacheStats(len(self.kept))

    def clear(self):
        self.kept.clear()

    def close(self):
        pass
