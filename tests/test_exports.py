"""What the outside sees: each public module says what is its own, every public name is explained, and no page names
what is private.

A module is public where no name of its path begins with `_`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import re
import subprocess
import sys
import textwrap
import warnings
from importlib import import_module
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

import embedbridge
from embedbridge import MissingExtraError, protocols

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "embedbridge"
SIGNED = (
    *("batch", "cache", "catalogue", "cli", "langchain", "llama_index", "migration", "observers", "providers"),
    "testing",
)
"""Public folders, each with a README.md as its door sign."""
PRIVATE = re.compile(r"embedbridge(?:\.\w+)*\._\w+|(?<![\w.])\._core\b|from \.*_\w+ import|\b(_core|_run)\.|`_[^_]\w+")
"""How a page would name what is private: a dotted path with an underscore in it, or a name that begins with one."""
RIDDLE = re.compile(r"\b[Ll]ikewise\b|\AAs \S+(?: \S+)?\.\Z|\b[Ss]hall\b|[Uu]nless told\b")
"""What a docstring says in place of a sentence."""


def public_modules():
    """Dotted name → path of each public module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found[".".join(parts)] = path
    found.pop("embedbridge.core", None)  # old names, which warn when they are imported
    for framework in ("langchain", "llama_index"):  # what stands behind the names that the folders export
        found.pop(f"embedbridge.{framework}.tables", None)
        found.pop(f"embedbridge.{framework}.originals", None)
    return found


MODULES = public_modules()


def listed(path):
    """A module's `__all__`, read without importing it; None where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def load(module):
    """The module; None where an extra is not installed. What other packages warn of at import is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module(module)
        except MissingExtraError:
            return None


def public_names():
    """Module, name and value of each name in a list of a module that can be imported here."""
    for module, path in MODULES.items():
        loaded = load(module)
        for name in (listed(path) or ()) if loaded else ():
            yield module, name, getattr(loaded, name, None)


def in_order(names):
    """Names sorted as ruff sorts them: constants, classes, functions."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


def explained_constants(path):
    """Names of a module that are assigned and have a string below that explains them."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                yield ast.unparse(target)


def own_raises(function):
    """Names of the errors that a function's own body raises, what is nested in it left out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    waiting, found = list(tree.body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            found |= {name} if name[:1].isupper() else set()
        waiting += ast.iter_child_nodes(node)
    return found


def named_parameters(doc):
    """The parameters that a docstring explains."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", inspect.cleandoc(doc), re.MULTILINE)
    return (
        {name.lstrip("*") for name in re.findall(r"^    (\*{0,2}\w+):", section[1], re.MULTILINE)} if section else set()
    )


def lacks_of_function(function, doc):
    """Sections that a function's docstring lacks, and parameters that it lacks or has too many."""
    parameters = {name for name in inspect.signature(function).parameters if name not in {"self", "cls"}}
    named = named_parameters(doc)
    if {name for name in parameters if not name.startswith("_")} - named or named - parameters:
        yield "Args"
    gives = str(inspect.get_annotations(function).get("return", "None"))
    if gives not in {"None", "NoReturn"} and not re.search(r"^\s*(Returns|Yields):", doc, re.MULTILINE):
        yield "Returns"
    if own_raises(function) and "Raises:" not in doc:
        yield "Raises"


def is_protocol(kind):
    """Whether it is a protocol, and not `Protocol` itself."""
    return getattr(kind, "_is_protocol", False) and kind is not Protocol


def members(protocol):
    """Names of what a protocol asks for, those of its bases included."""
    bases = [base for base in protocol.__mro__ if is_protocol(base)]
    return {name for base in bases for name in vars(base) if not name.startswith("_")}


def explained_elsewhere(kind):
    """Names of members that a base class, or a protocol which the class implements, explains."""
    known = [getattr(protocols, name) for name in protocols.__all__]
    asked = [each for each in known if is_protocol(each) and each is not kind and members(each) <= {*dir(kind)}]
    return {name for base in kind.__mro__[1:] for name in vars(base)}.union(*map(members, asked))


def lacks_of_class(kind):
    """What the docstrings of a class and of its own methods lack."""
    made, explained = vars(kind).get("__init__"), explained_elsewhere(kind)
    fielded = dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)
    inherited = {str(inspect.signature(base.__init__)) for base in kind.__mro__[1:-1]}
    if (
        inspect.isfunction(made)
        and not (fielded or is_protocol(kind))
        and str(inspect.signature(made)) not in inherited
    ):
        taken = [name for name in inspect.signature(made).parameters if name != "self" and not name.startswith("_")]
        if taken and not re.search(r"^\s*(Args|Attributes):", kind.__doc__, re.MULTILINE):
            yield "", "Args"
        if own_raises(made) and "Raises:" not in kind.__doc__:
            yield "", "Raises"
    for name, method in vars(kind).items():
        if name.startswith("_") or name in explained:
            continue
        function = method.__func__ if isinstance(method, classmethod | staticmethod) else method
        function = inspect.unwrap(function) if callable(function) else function
        if inspect.isfunction(function) and function.__module__ == kind.__module__:
            for lack in lacks_of_function(function, function.__doc__ or ""):
                yield f".{name}", lack


def test_each_public_module_has_a_sorted_list_of_its_names():
    names = {module: listed(path) for module, path in MODULES.items()}
    assert [module for module, found in names.items() if found is None] == []
    assert [module for module, found in names.items() if found != in_order(set(found))] == []
    assert [f"{module}.{name}" for module, name, value in public_names() if value is None] == []


def test_each_public_name_is_explained():
    silent = []
    for module, name, value in public_names():
        text = MODULES[module].read_text(encoding="utf-8")
        if inspect.isclass(value) or inspect.isfunction(value):
            silent += [f"{module}.{name}"] * (not value.__doc__)
        elif re.search(rf"^{name}\b", text, re.MULTILINE) and name not in explained_constants(MODULES[module]):
            silent.append(f"{module}.{name}")
    assert silent == []


def test_docstrings_say_what_is_taken_given_and_raised():
    lacking = []
    for module, name, value in public_names():
        if getattr(value, "__module__", module) in {*MODULES} - {module}:
            continue  # explained where it is defined
        if inspect.isclass(value):
            lacking += [f"{module}.{name}{method}: {lack}" for method, lack in lacks_of_class(value)]
        elif inspect.isfunction(value):
            function = inspect.unwrap(value)
            lacking += [f"{module}.{name}: {lack}" for lack in lacks_of_function(function, function.__doc__ or "")]
    assert lacking == []


def test_no_docstring_of_a_public_module_is_a_riddle():
    riddles = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                riddles += [f"{module}: {found[0]}" for found in RIDDLE.finditer(str(node.value.value))]
    assert riddles == []


def test_the_check_of_docstrings_finds_what_is_missing():
    def silent(text: str) -> str:
        """Its text."""
        if not text:
            raise ValueError(text)
        return text

    class Silent:
        """A class."""

        def __init__(self, text: str) -> None:
            self.text = text

        def shout(self, times: int) -> None:
            """Shout it."""

    assert set(lacks_of_function(silent, silent.__doc__)) == {"Args", "Returns", "Raises"}
    for named in ("word", "text: it.\n        word"):  # a name of before, and one too many
        assert "Args" in lacks_of_function(silent, f"Its text.\n\n    Args:\n        {named}: it.")
    assert "Args" not in lacks_of_function(silent, "Its text.\n\n    Args:\n        text: it.")
    assert set(lacks_of_class(Silent)) == {("", "Args"), (".shout", "Args")}


def test_results_errors_and_protocols_can_be_imported_from_public_modules():
    from embedbridge import Cut, EmbeddingResult, Estimate, Report, VectorSpace  # noqa: F401
    from embedbridge.embedder import Canary, Description, Route  # noqa: F401
    from embedbridge.protocols import Cache, Counter, Observer, Provider, Throttle  # noqa: F401


def test_a_cache_is_asked_for_no_member_that_is_not_documented():
    calls = [
        ast.unparse(node)
        for path in sorted((PACKAGE / "cache").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"hasattr", "getattr"}
    ]
    assert [call for call in calls if re.search(r"\((self\.)?_?(cache|tier)\b", call)] == []


def test_what_authors_of_providers_need_makes_the_package_no_slower_to_import():
    program = """
import sys, embedbridge, embedbridge.providers
assert not {"embedbridge.providers.hosted", "embedbridge.protocols"} & set(sys.modules)
from embedbridge.providers import HostedProvider, TransportOptions
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def pages():
    """Name → text of each page that people read: README, door signs and notebooks."""
    found = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *PACKAGE.rglob("README.md"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[f"notebooks/{path.name}"] = "\n".join("".join(cell["source"]) for cell in cells)
    return texts


def test_no_page_names_what_is_private():
    named = [f"{name}: {found[0]}" for name, text in pages().items() for found in PRIVATE.finditer(text)]
    assert named == []


def test_each_public_folder_has_a_door_sign():
    folders = {
        name.split(".")[1] for name, path in MODULES.items() if path.name == "__init__.py" and name.count(".") == 1
    }
    assert folders == set(SIGNED)
    sizes = {folder: (PACKAGE / folder / "README.md").read_text().count("\n") for folder in SIGNED}
    assert {folder: lines for folder, lines in sizes.items() if not 40 <= lines <= 220} == {}
    assert embedbridge.__doc__
