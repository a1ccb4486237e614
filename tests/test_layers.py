"""Imports run one way: frameworks and commands → embedder → its parts → core."""

from __future__ import annotations

import ast
import functools
import itertools
import sys
from pathlib import Path

from support.cases import each

PACKAGE = Path(__file__).parents[1] / "src" / "embedbridge"

PARTS = {
    "_arrays": {"_core", "errors"},
    "_batch": {"_core", "_files", "_threads", "cache", "errors", "events", "providers"},
    "_columns": set(),
    "_core": {"_files", "errors", "events"},
    "_endpoint_options": {"_meanings", "_option_checks", "_value_faults", "errors"},
    "_files": set(),
    "_meanings": {"_files", "_signatures"},
    "_secrets": {"_core", "_endpoint_options", "errors", "providers"},
    "_signatures": set(),
    "_threads": {"_core", "errors"},
    "_value_faults": set(),
    "cache": {"_core", "_files", "_threads", "errors", "events"},
    "catalogue": {"_core", "_files", "errors"},
    "collection": {"_core", "errors", "evaluation", "similarity"},
    "errors": {"_core"},
    "evaluation": {"_core", "errors"},
    "events": {"_core"},
    "keywords": {"_endpoint_options", "cache", "events"},
    "observers": {"_core", "_threads", "errors", "events"},
    "_option_checks": {"_core", "_option_faults", "errors"},
    "_option_faults": {"_value_faults", "errors"},
    "options": {
        "_core",
        "_endpoint_options",
        "_meanings",
        "_option_checks",
        "_option_faults",
        "_secrets",
        "_threads",
        "_value_faults",
        "catalogue",
        "errors",
        "keywords",
    },
    "providers": {"_core", "_files", "_threads", "_value_faults", "catalogue", "errors", "events"},
    "quantization": {"_arrays", "_core", "errors"},
    "reduction": {"_arrays", "_core", "_files", "errors"},
    "_measures": {"_arrays", "_core"},
    "similarity": {"_arrays", "_core", "_measures", "errors"},
    "testing": {"_core", "errors"},
}
"""Below the embedder each room has its own list, so that no provider knows a cache and no cache a provider."""
EMBEDDER = {"_run", "embedder"}
"""The embedder and what it is made of: may import the parts and each other. All other rooms are faces, above them."""
TOGETHER = {("embedder", "langchain"), ("embedder", "llama_index")}
"""`Embedder.as_langchain()` and `as_llama_index()` hand themselves over, and import only when they are called."""

ACTS = {
    *("asyncio", "ctypes", "http", "multiprocessing", "os", "select", "shelve", "signal", "socket", "sqlite3"),
    *("ssl", "subprocess", "tempfile", "time", "urllib"),
}
"""Modules that open, sleep or send, or ask the machine for the time."""


def place_of(path):
    """The room of the package that a file belongs to: `_core` for _core/flow.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@functools.cache
def imports_of(path):
    """Every import of a file as (dotted name in parts, whether it is inside a function or for type checkers alone)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("embedbridge", *path.relative_to(PACKAGE).parts[:-1])
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(function, ast.If) and getattr(function.test, "id", "") == "TYPE_CHECKING")
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(tuple(alias.name.split(".")), node in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            found += [((*base, alias.name), node in inside) for alias in node.names]
    return found


def may_import(place, target, *, inside):
    """Whether `place` may import `target`; `inside` a function, where that makes a difference."""
    if place == target or (inside and (place, target) in TOGETHER):
        return True
    if place in PARTS:
        return target in PARTS[place]
    return target != "testing" and (place not in EMBEDDER or target in {*PARTS, *EMBEDDER})


@each(
    ("place", "target"),
    [
        ("_core", "catalogue"),
        ("_core", "cache"),
        ("_threads", "providers"),
        ("providers", "cache"),
        ("cache", "providers"),
        ("catalogue", "providers"),
        ("_run", "langchain"),
        ("_run", "cli"),
        ("embedder", "_frameworks"),
        ("cli", "testing"),
    ],
)
def test_there_is_no_way_up(place, target):
    assert not may_import(place, target, inside=True)


def test_the_embedder_hands_itself_over_only_when_it_is_asked_to():
    assert may_import("embedder", "langchain", inside=True)
    assert not may_import("embedder", "langchain", inside=False)


@each("path", PACKAGE.rglob("*.py"))
def test_imports_run_one_way(path):
    place = place_of(path)
    ours = [(name, inside) for name, inside in imports_of(path) if name[0] == "embedbridge" and len(name) > 1]
    wrong = [name for name, inside in ours if not may_import(place, name[1], inside=inside)]
    assert wrong == []


def modules():
    """Dotted name of each module of ours → its file."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("embedbridge", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def needed(path, known):
    """The modules of ours that a file needs while it is imported."""
    for name, inside in imports_of(path):
        parents = itertools.accumulate(name, "{}.{}".format)
        module = max((each for each in parents if each in known), key=len, default=None)
        if module and known[module] != path and not inside:
            yield module


def in_circles(graph):
    """What is left of a graph when all that needs nothing more, or that nothing needs, is taken away."""
    left = {name: set(needs) for name, needs in graph.items()}
    while True:
        ends = {name for name, needs in left.items() if not needs} | (set(left) - set().union(*left.values()))
        if not ends:
            return sorted(left)
        left = {name: needs - ends for name, needs in left.items() if name not in ends}


def test_no_file_needs_one_that_needs_it():
    """What is imported for type checkers alone, or inside a function, is another matter."""
    known = modules()
    assert in_circles({name: set(needed(path, known)) for name, path in known.items()}) == []


def test_a_circle_is_found_and_what_leads_to_it_is_none():
    graph = {"door": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"a", "ground"}, "ground": set()}
    assert in_circles(graph) == ["a", "b", "c"]


def test_the_parts_and_the_embedder_are_all_there():
    assert {*PARTS, *EMBEDDER} <= {place_of(path) for path in PACKAGE.rglob("*.py")}


FASTER = {"pybase64"}
"""Taken where it is installed, in place of a module of Python's own."""


@each("path", sorted((PACKAGE / "_core").glob("*.py")))
def test_the_core_needs_nothing_but_numpy_and_does_nothing_but_decide(path):
    roots = {name[0] for name, _ in imports_of(path)}
    assert {root for root in roots if root not in sys.stdlib_module_names} <= {"numpy", "embedbridge", *FASTER}
    assert roots & ACTS == set()


def test_only_drivers_sleep_spawn_or_await():
    """Providers and caches have their own clients and locks; of what is ours between them only the drivers act."""
    between = EMBEDDER | {"_core", "catalogue", "observers", "options"}
    acting = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if place_of(path) in between
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"time.sleep", "threading.Thread", "asyncio.sleep"}
    }
    assert acting == set()


MOST_LINES = 300
LONGER = {
    "catalogue/known.py": "a list of models that a program writes, one a line",
    "embedder.py": "the public calls and nothing else: half of it is their docstrings",
}
"""Modules with more lines, and why."""


def test_a_module_has_at_most_300_lines():
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert [path for path, count in lines.items() if count == 0] == []
    assert {path: count for path, count in lines.items() if count > MOST_LINES and path not in LONGER} == {}
    assert [path for path in LONGER if lines.get(path, 0) <= MOST_LINES] == []  # it is no exception any more
