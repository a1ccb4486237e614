"""A disk cache against a dict, through whatever may happen to it."""

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cache.parts import WIDTH, hits_of, make_items, make_keys, make_vectors, tamper
from embedbridge.cache import DiskCache
from embedbridge.cache._codec import encode_many
from embedbridge.errors import CacheWarning

HOUR = 3600.0
TTL = 100 * HOUR
KEYS = make_keys(40)
numbers = st.integers(0, len(KEYS) - 1)
FLOOD = make_items(1500, width=256, start=1000)
some = st.lists(numbers, min_size=1, max_size=12)


def size_of(file):
    """Bytes of a file; 0 of one that SQLite has removed meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@dataclass
class Entry:
    """What the cache was last told about a key."""

    variant: int
    stored: float
    certain: bool = True
    """False once the cache may have dropped it."""


class CacheMachine(RuleBasedStateMachine):
    """Without a size limit nothing acknowledged may be missing, unless it was damaged or has expired."""

    size_limit: int | None = None

    @initialize()
    def start(self):
        self.place = Path(tempfile.mkdtemp())
        self.now, self.crashes = 1_800_000_000.0, 0
        self.model: dict[int, Entry] = {}
        self.left: list[DiskCache] = []  # not let go of, as a thread would close them at a moment that nobody chose
        self.cache, self.neighbour = self.open(), self.open()
        self.cache.get_many(KEYS)

    @property
    def directory(self):
        return self.place / str(self.crashes)

    def open(self):
        return DiskCache(self.directory, ttl=TTL, size_limit=self.size_limit, clock=lambda: self.now)

    def teardown(self):
        for cache in (self.cache, self.neighbour, *self.left):
            cache.close()
        shutil.rmtree(self.place)

    @rule(chosen=some, variant=st.integers(0, 5), by_neighbour=st.booleans())
    def store(self, chosen, variant, by_neighbour):
        items = {}
        for number in chosen:
            items |= encode_many([KEYS[number]], make_vectors(1, start=1000 * variant + number), [1], [1])
        with warnings.catch_warnings():
            warnings.simplefilter("error" if self.size_limit is None else "ignore", CacheWarning)
            (self.neighbour if by_neighbour else self.cache).put_many(items, label=f"fake:{variant}")
        for entry in self.model.values():
            entry.certain &= self.now - entry.stored < TTL  # an expired one may have made room
        self.model.update({number: Entry(variant, self.now) for number in chosen})

    @rule(chosen=some, by_neighbour=st.booleans())
    def look_up(self, chosen, by_neighbour):
        found = hits_of(self.neighbour if by_neighbour else self.cache, [KEYS[number] for number in chosen])
        for number in chosen:
            vector, entry = found.get(KEYS[number]), self.model.get(number)
            if vector is not None:
                assert entry is not None, "nobody has stored it"
                assert vector == tuple(make_vectors(1, start=1000 * entry.variant + number)[0].tolist())
                assert self.now - entry.stored < TTL, "it has expired"
            elif entry is not None and entry.certain and self.size_limit is None:
                assert self.now - entry.stored >= TTL, "it was lost"

    @rule(number=numbers, position=st.integers(1, 24 + 4 * WIDTH))
    def damage(self, number, position):
        tamper(
            self.directory,
            "UPDATE Cache SET value = CAST(substr(value, 1, ?) || x'5A' || substr(value, ?) AS BLOB)"
            " WHERE key = ? AND substr(value, ?, 1) <> x'5A'",
            values=(position - 1, position + 1, KEYS[number], position),
        )
        if number in self.model:
            self.model[number].certain = False

    @rule(hours=st.sampled_from([1, 50, 99, 101, -24, -1000, 10 * 365 * 24]))
    def move_the_clock(self, hours):
        self.now += hours * HOUR

    @rule()
    def close(self):
        self.cache.close()

    @rule()
    def open_again(self):
        self.left.append(self.cache)
        self.cache = self.open()

    @rule()
    def crash(self):
        """What is on disk at this moment, log and all, is what the next process finds."""
        before = self.directory
        self.cache.get_many(KEYS[:1])
        self.crashes += 1
        shutil.copytree(before, self.directory)
        for file in self.directory.rglob("*-shm"):
            file.unlink()
        old = self.cache, self.neighbour, *self.left
        self.cache, self.neighbour, self.left = self.open(), self.open(), []
        for cache in old:
            cache.close()

    @rule()
    def prune(self):
        self.cache.prune()
        for entry in self.model.values():
            entry.certain &= self.now - entry.stored < TTL

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()

    @invariant()
    def counts_fit(self):
        assert self.cache.stats().entries <= len(self.model)


class LimitedCacheMachine(CacheMachine):
    """With a size limit anything may be missing, and the limit holds."""

    size_limit = 2**20

    @rule()
    def flood(self):
        """More than fits."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            self.cache.put_many(FLOOD)

    @invariant()
    def counts_fit(self):
        size = sum(size_of(file) for file in self.directory.rglob("cache.db*") if file.suffix != ".db-shm")
        assert size < 1.2 * self.size_limit


COMMON = settings(deadline=None, stateful_step_count=25, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        (CacheMachine, 12),
        (LimitedCacheMachine, 3),
        pytest.param(CacheMachine, 200, marks=pytest.mark.slow),
        pytest.param(LimitedCacheMachine, 40, marks=pytest.mark.slow),
    ],
)
def test_a_disk_cache_is_a_dict_that_may_forget_and_never_lies(machine, examples):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=settings(COMMON, max_examples=examples))
