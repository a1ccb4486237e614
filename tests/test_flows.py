"""Rules that every flow keeps, read from the source: a generator that is called and not driven does nothing."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import get_args

import pytest

from embedbridge._core.effects import Effect
from support.cases import each

PACKAGE = Path(__file__).parents[1] / "src" / "embedbridge"
NAMES = (
    "flow",
    "look_ups",
    "delivery",
    "back_off",
    "sending",
    "answers",
    "length",
    "trial",
    "cutting",
    "deadlines",
    "widths",
    "pooling",
    "proving",
)
FLOWS = {PACKAGE / "_core" / f"{name}.py" for name in NAMES}
EFFECTS = {effect.__name__ for effect in get_args(Effect)}
LONGEST = 20


def flows_in(tree):
    """The functions that are annotated as flows, by name."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        function.name: function
        for function in functions
        if function.returns and ast.unparse(function.returns).startswith("Flow[")
    }


def undriven(tree, flows):
    """Lines on which a flow is called and neither driven with `yield from` nor handed on to run."""
    driven = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.YieldFrom):
            driven.add(node.value)
        elif isinstance(node, ast.Call) and name_of(node).rpartition(".")[2] in {"Gather", "run"}:
            driven.update(part for argument in node.args for part in handed_on(argument))
    names = {*flows, *(f"flow.{name}" for name in flows)}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) in names)
    return sorted(call.lineno for call in calls if call not in driven)


def handed_on(argument):
    """The flow itself, or those of a list."""
    if isinstance(argument, ast.ListComp):
        return [argument.elt]
    return argument.elts if isinstance(argument, ast.List) else [argument]


def name_of(call):
    """As written: `fetch`, `flow.embed`, `self.embed`."""
    return ast.unparse(call.func)


def body_lines(function):
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1


@functools.cache
def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def all_flows():
    return {name: flow for path in FLOWS for name, flow in flows_in(parse(path)).items()}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    yield from fetch(1)", []),
        ("def f():\n    x = yield from fetch(1)", []),
        ("def f():\n    yield Gather([fetch(x) for x in y])", []),
        ("def f():\n    yield Gather([fetch(1), fetch(2)])", []),
        ("driver.run(flow.fetch(job))", []),
        ("def f():\n    self.fetch(1)", []),
        ("def f():\n    fetch(1)", [2]),
        ("def f():\n    x = fetch(1)\n    return x", [2]),
        ("def f():\n    yield fetch(1)", [2]),
        ("def f():\n    yield from other(fetch(1))", [2]),
        ("def f():\n    yield Gather([other(fetch(x)) for x in y])", [2]),
        ("def f():\n    flow.fetch(1)", [2]),
    ],
)
def test_the_reader_finds_flows_that_nobody_drives(source, lines):
    assert undriven(ast.parse(source), {"fetch"}) == lines


@each("path", sorted(PACKAGE.rglob("*.py")))
def test_no_flow_is_called_and_forgotten(path):
    tree = parse(path)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    knows = any("flow" in {alias.name, *str(node.module).split(".")} for node in imports for alias in node.names)
    if knows or path in FLOWS:  # elsewhere the same names mean other things
        assert undriven(tree, all_flows()) == []


def test_flows_live_in_their_modules_alone():
    homes = {path for path in PACKAGE.rglob("*.py") if flows_in(parse(path))}
    assert homes == FLOWS


def test_every_flow_is_a_generator():
    for name, flow in all_flows().items():
        assert any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(flow)), name


def test_flows_yield_each_effect_where_they_make_it_and_nothing_else():
    for path in FLOWS:
        nodes = list(ast.walk(parse(path)))
        yielded = [node.value for node in nodes if isinstance(node, ast.Yield)]
        made = [node for node in nodes if isinstance(node, ast.Call) and name_of(node) in EFFECTS]
        assert {node.lineno for node in yielded} == {node.lineno for node in made}, path.name
        assert len(yielded) == len(made), path.name


def test_no_flow_is_longer_than_it_may_be():
    lengths = {name: body_lines(flow) for name, flow in all_flows().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
