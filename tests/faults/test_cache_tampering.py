"""A cache that somebody has changed: nothing of theirs runs or is obeyed, and what is not ours is paid for again."""

import contextlib
import pickle
import sqlite3

import pytest

from cache.parts import database, one_warning, tamper
from embedbridge.cache._codec import seal

from . import case
from .apis import OPENAI
from .client import corpus

pytestmark = [pytest.mark.one_flow, pytest.mark.parametrize("api", [OPENAI], ids=str)]


class Bomb:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return open, (self.trace, "w")


@case(45)
def test_planted_pickles_do_not_run_and_their_texts_are_paid_again(client, tmp_path):
    """Row 45: one in the place of two vectors, one in the place of a key."""
    texts, trace = client.fill(20), tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    tamper(client.folder, "UPDATE Cache SET mode = 4, value = ? WHERE rowid < 3", values=(bomb,))
    tamper(client.folder, "UPDATE Cache SET raw = 0, key = ? WHERE rowid = 3", values=(bomb,))
    with one_warning("not bytes"):
        assert client.pays_for(texts) == 3
    assert client.pays_for(texts) == 0
    assert not trace.exists()


@case(46)
def test_tampered_settings_are_not_obeyed(client, tmp_path):
    """Row 46."""
    texts = client.fill(20)
    settings = {
        "disk_min_file_size": "x",
        "_directory": str(tmp_path / "elsewhere"),
        "get": 1,
        "size_limit": 1,
        "cull_limit": 1000,
        "sqlite_synchronous": 0,
        "sqlite_journal_mode": "off",
        "sqlite_query_only": 1,
        "sqlite_user_version = 7; --": 1,
    }
    for key, value in settings.items():
        tamper(client.folder, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", values=(key, value))
    assert client.pays_for(texts) == 0
    assert client.pays_for(corpus(40)) == 20
    assert client.pays_for(corpus(40)) == 0
    with contextlib.closing(sqlite3.connect(database(client.folder))) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "user_version")]
    assert pragmas == ["wal", 1]
    assert not (tmp_path / "elsewhere").exists()


@case(47)
def test_a_cache_of_a_later_version_is_left_exactly_as_it_is(client):
    """Row 47."""
    texts = client.fill(20)
    tamper(client.folder, "PRAGMA user_version = 2")
    before = database(client.folder).read_bytes()
    with one_warning("later version"):
        assert client.pays_for(texts) == 20
    assert database(client.folder).read_bytes() == before


@case(47)
@pytest.mark.parametrize("place", ["alone", "below a memory"])
def test_a_vector_of_a_later_version_is_paid_for_and_not_overwritten(client, place):
    """Row 47: it has a sound checksum, which tells it from a damaged one."""
    texts, later = client.fill(20), {}
    for key, value in rows(client.folder)[:2]:
        later[key] = seal(key, value[:2] + b"\x02" + value[3:-4])
        tamper(client.folder, "UPDATE Cache SET value = ? WHERE key = ?", values=(later[key], key))
    cache = client.folder if place == "alone" else ["memory", client.folder]
    for _ in range(2):
        with one_warning("later version"):
            assert client.pays_for(texts, cache=cache) == 2
    assert {key: value for key, value in rows(client.folder) if key in later} == later


def rows(folder):
    with contextlib.closing(sqlite3.connect(database(folder))) as connection:
        return connection.execute("SELECT key, value FROM Cache ORDER BY rowid").fetchall()


@case(47)
def test_a_vector_of_an_earlier_version_than_the_first_is_replaced(client):
    """Row 47: nothing of the kind was ever written."""
    texts = client.fill(20)
    key, value = rows(client.folder)[0]
    value = seal(key, value[:2] + b"\x00" + value[3:-4])
    tamper(client.folder, "UPDATE Cache SET value = ? WHERE key = ?", values=(value, key))
    assert client.pays_for(texts) == 1
    assert client.pays_for(texts) == 0
