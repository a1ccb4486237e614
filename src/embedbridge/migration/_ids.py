"""Whether each document of an index has an id of its own: without one, a document would be lost beside another."""

from __future__ import annotations

from contextlib import closing

from ._forks import Connection
from ._stores.base import NO_ID, Store, pages

SHOWN = 10
"""Documents that are named."""
REPEATED = "FROM seen JOIN (SELECT id, min(place) AS first FROM seen GROUP BY id HAVING count(*) > 1) USING (id)"


def id_faults(store: Store, name: str) -> str:
    """Which documents of an index have no id of their own, in one sentence; "": all have.

    Args:
        store: of the index.
        name: of the index.
    """
    wrong: list[str] = []
    total = 0
    with closing(Connection("")) as seen:
        seen.execute("CREATE TABLE seen (id TEXT, place INTEGER)")
        for some in pages(store.ids(name)):
            kept = []
            for place, identity in some:
                if why := _why_none(identity):
                    total += 1
                    wrong += [f"{store.noun} {place}: {why}"] if total <= SHOWN else []
                else:
                    kept.append((str(identity), place))
            seen.executemany("INSERT INTO seen VALUES (?, ?)", kept)
        ((repeated,),) = seen.execute(f"SELECT count(*) {REPEATED} WHERE place != first")
        found = seen.execute(
            f"SELECT place, id, first {REPEATED} WHERE place != first ORDER BY place LIMIT ?", (SHOWN - len(wrong),)
        )
    wrong += [f"{store.noun} {place}: the id {each!r} is that of {store.noun} {first}" for place, each, first in found]
    if not wrong:
        return ""
    more = total + repeated - len(wrong)
    return (
        f"{name}, {'; '.join(wrong)}{f'; and {more:,} more' if more else ''}. An id is a text or a whole number, and "
        f"of one {store.noun} alone: change these ids, or delete what is too many"
    )


def _why_none(identity: object) -> str:
    if identity is NO_ID:
        return "it has no id"
    if type(identity) not in {str, int} or identity == "":
        return f"its id is {identity!r}"
    try:
        str(identity).encode()
    except UnicodeEncodeError:
        return f"the id {identity!r} holds a lone surrogate"
    return ""
