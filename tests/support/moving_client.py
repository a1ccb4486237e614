"""A program that moves an index to another model, in children of which each is killed at another point.

`python moving_client.py KIND URL FOLDER DOCUMENTS PAGE ENDS` prints what was done, and all faults. ENDS is "both" if
each kill of a switch is undone, and then once more, and completed; else they are undone and completed in turn.
"""

import json
import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from functools import cached_property, partial
from importlib import import_module
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from embedbridge import Embedder, guard, migration
from embedbridge.cache import GuardedStore
from embedbridge.errors import SpaceMismatchError
from embedbridge.migration import _building, _stamps, open_index
from embedbridge.migration._journal import Journal
from embedbridge.migration._stores import chroma, faiss, jsonl, lancedb, persist_dir, pgvector, qdrant
from migrations.engine_kinds import ENGINE_KINDS, another_database
from migrations.stores import KINDS

WIDTHS = {"old": 16, "new": 32}
STEPS = ("create", "upsert", "delete", "commit", "rename", "switch", "back")
WITHIN = ("_overwrite", "_restore", "_name", "_exchange_in")
"""Methods of an adapter, at whose begin and end the process is killed; and those of some that have more steps."""
LEAST = 10
"""Points at which a run is killed."""
QUESTIONS = [f"which is number {number}?" for number in range(0, 100, 7)]


def documents_of(most, changed=0):
    """Documents of different lengths, some of them in their second version."""
    version = "in its second version" if changed else "of a corpus"
    return [
        (
            f"d{number}",
            f"text {number} {version if number < changed else 'of a corpus'}{'.' * (number % 50)}",
            meta(number),
        )
        for number in range(most)
    ]


def meta(number):
    """Metadata of all sorts that each of the stores takes."""
    return {"number": number, "even": number % 2 == 0, "share": number / 7, "name": f"näme {number}"}


def embedder(url, folder, which):
    """Of the old model or the new one."""
    if which == "old":
        return Embedder("fake:16", cache=folder / "old-cache")
    return Embedder(
        "openai:text-embedding-3-small",
        base_url=url,
        api_key="sk-none",
        cache=folder / "cache",
        dimensions=WIDTHS["new"],
        batch_size=100,
        concurrency=1,  # so that nothing is in flight when the process is killed after a store
    )


def die_at(number, store):
    """Have this process killed at the so manyth begin or end of a step, or after a batch's vectors were stored."""
    left = number

    def tick():
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(step, *, begin=True):
        def run(*args, **options):
            if begin:
                tick()
            outcome = step(*args, **options)
            tick()
            return outcome

        return run

    for name in (*STEPS, *(name for name in WITHIN if hasattr(store, name))):
        setattr(store, name, watched(getattr(store, name)))
    for name in ("mark", "drop", "write", "forget"):
        setattr(Journal, name, watched(getattr(Journal, name)))
    _stamps.put = watched(_stamps.put)
    GuardedStore.store_now = watched(GuardedStore.store_now, begin=False)


class Move:
    """An index, its two models, and what is done with them, each step in a child of its own."""

    def __init__(self, kind, url, folder):
        self.kind, self.url, self.folder, self.faults, self.kills = {**KINDS, **ENGINE_KINDS}[kind], url, folder, [], 0
        self.address = self.kind.address.format(folder, **os.environ)
        self.options = {name: text.format(folder) for name, text in self.kind.options.items()}

    @cached_property
    def index(self):
        """As the user says it; opened once in each child, which may be killed before it is closed."""
        return open_index(self.address, **self.options)

    def in_child(self, *steps):
        """What steps give, one after the other in one child; fewer of them where it was killed."""
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(ours)
                with os.fdopen(theirs, "w") as pipe:
                    for step in steps:
                        print(json.dumps(step()), file=pipe, flush=True)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            told = [json.loads(line) for line in pipe]
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self.kills += 1
        elif status:
            self.faults.append("a step failed")
            sys.exit(self.report())
        return told

    # Steps.

    def migrate(self, name, point=0):
        """A call of the library's, killed at a point."""

        def step():
            if point:
                die_at(point, type(self.index.store))
            if name == "run":
                done = migration.run(self.index, embedder(self.url, self.folder, "new"))
                return [done.written, done.removed]
            getattr(migration, name)(self.index)
            return []

        return step

    def content(self, which="current"):
        """The digest of an index."""

        def step():
            name = self.index.store.name
            if which == "new":
                with Journal(self.index.journal) as journal:
                    name = journal.read().names.new
            return self.kind.content(self.folder, name)

        return step

    def put(self, documents, removed):
        """What an application does with the old index, under the guard."""

        def step():
            old = embedder(self.url, self.folder, "old")
            self.kind.write(self.folder, documents, old)
            if removed:
                self.kind.remove(self.folder, list(removed), old)
            guard(self.kind.guard.format(self.folder), old)

        return step

    def readers(self):
        """Which of the two models the guard lets ask the current index, and that index where there is one to ask."""
        name = self.index.store.name
        current = self.index.store.exists(name)
        let = []
        for which in WIDTHS:
            with suppress(SpaceMismatchError):
                guard(self.kind.guard.format(self.folder), embedder(self.url, self.folder, which))
                let.append(which)
        return [let, self.kind.content(self.folder, name) if current and let else None]

    def ask(self, folder):
        """What the application finds with the new model."""
        return lambda: self.kind.ask(folder, QUESTIONS, embedder(self.url, self.folder, "new"))

    # What must hold.

    def expect(self, told, found, expected):
        """Note a fault."""
        if found != expected:
            self.faults.append(f"{told}: {found!r}, expected {expected!r}")

    def report(self):
        """Print all."""
        print(json.dumps({"kills": self.kills, "faults": self.faults}))  # noqa: T201 - what the test reads
        return len(self.faults)


def build(move, documents, removed=(), stride=1):
    """An application writes, and `run` is killed at every point until it comes to its end. What it wrote, digested."""
    _, old = move.in_child(move.put(documents, removed), move.content())
    point, before = 1, move.kills
    while True:
        told = move.in_child(move.content(), move.migrate("run", point))
        move.expect(f"the old index before {point}", told[0], old)
        if len(told) > 1:
            break
        point += stride
    if stride == 1 and move.kills - before < LEAST:
        move.faults.append(f"only {move.kills - before} kills of a run")
    return old


def attempts(*, both):
    """Points, each with whether what is killed there is brought to its end."""
    for point in count(1):
        yield from ((point, False), (point, True)) if both else ((point, point % 2 == 0),)


def change_names(move, contents, *, both):
    """`switch` and `back` are killed at every point, and then undone or brought to their end."""
    left, which = {step: attempts(both=both) for step in ("switch", "back")}, "old"
    while left:
        there, back = ("switch", "back") if which == "old" else ("back", "switch")
        point, completed = next(left[there]) if there in left else (0, True)
        ended = move.in_child(move.migrate(there, point))
        end = there if completed else back
        which = "new" if end == "switch" else "old"
        (let, current), _, after = move.in_child(move.readers, move.migrate(end), move.readers)
        told = f"{there} killed at {point}, then {end}"
        if len(let) > 1 or (let and current not in (None, contents[let[0]])):
            move.faults.append(f"{told}: {let} may ask {current}")
        move.expect(told, after, [[which], contents[which]])
        if ended:
            left.pop(there, None)


def load_once(kind, url, folder):
    """Import here, and not in each child again, what a whole move needs."""
    folder.mkdir()
    move, documents = (
        Move(kind, url, folder),
        [(f"l{number}", f"loading {number}", meta(number)) for number in range(9)],
    )
    steps = (move.put(documents, []), *map(move.migrate, ("run", "switch", "back")), move.readers)
    *_, modules = move.in_child(*steps, lambda: sorted(sys.modules))
    for module in modules:
        with suppress(Exception):  # some load only in their own ways
            import_module(module)


def main(kind, url, folder, documents, page, ends):
    """All of it. Nothing is paid for twice, which the server of the test knows."""
    for module in (_building, chroma, faiss, jsonl, lancedb, persist_dir, pgvector, qdrant):
        module.PAGE = page
    os.environ["LANCEDB_LOG"] = "error"  # LanceDB warns that a new table is new, and so does LlamaIndex's class
    logging.getLogger("llama_index.vector_stores.lancedb").setLevel(logging.ERROR)
    move = Move(kind, url, Path(folder))
    with another_database("loading"):
        load_once(kind, url, move.folder / "loading")
    first = documents_of(documents)
    build(move, first)
    gone = [name for name, _, _ in first[-3:]]
    second = [*documents_of(documents, changed=page // 2)[: page // 2], *documents_of(documents + 5)[documents:]]
    written = build(move, second, gone, stride=3)
    old, new = move.in_child(move.content(), move.content("new"))
    move.expect("the old index after the last run", old, written)
    contents = {"old": old, "new": new}
    change_names(move, contents, both=ends == "both")
    move.in_child(move.migrate("switch"))
    anew, whole = Path(folder) / "anew", {row[0]: row for row in [*first, *second] if row[0] not in gone}
    anew.mkdir()
    write = partial(move.kind.write, anew, list(whole.values()))
    _, expected, found = move.in_child(
        lambda: write(embedder(url, move.folder, "new")), move.ask(anew), move.ask(move.folder)
    )
    move.expect("answers", found, expected)
    return move.report()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]))
