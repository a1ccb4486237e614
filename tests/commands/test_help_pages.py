"""`--help` of every command fits a terminal and tells all that a person needs; a shell completes names."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from embedbridge.cli import _parser


def pages(parser):
    """Each command's words, as they are typed, with its parser."""
    yield parser.prog, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from pages(below)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_help_fits_the_terminal_and_has_examples_variables_and_exit_codes(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    helps = {prog: parser.format_help() for prog, parser in pages(_parser())}
    assert len(helps) >= 19
    wide = {prog: line for prog, page in helps.items() for line in page.splitlines() if len(line) > columns}
    assert wide == {}
    told = ("EMBEDBRIDGE_CACHE_DIR", "130 for Ctrl-C", "embedbridge")
    assert [prog for prog, page in helps.items() if not all(word in page for word in told)] == []
    commands = {prog: page for prog, page in helps.items() if prog.count(" ") < 2}
    assert [prog for prog, page in commands.items() if "examples:\n  embedbridge" not in page] == []
    units = ("SECONDS", "DOLLARS", "TOKENS", "PROVIDER:MODEL", "NAME=VALUE")
    assert [unit for unit in units if unit not in helps["embedbridge embed"]] == []


def test_every_argument_says_what_it_means():
    silent = [
        (prog, action.dest)
        for prog, parser in pages(_parser())
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("embedbridge cac", "cache"),
        ("embedbridge embed --max-c", "--max-cost"),
        ("embedbridge models openai", "3-small"),
    ],
)
def test_a_shell_completes_commands_flags_and_models(line, offered, tmp_path):
    pytest.importorskip("argcomplete")
    answer = tmp_path / "offered"
    told = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": answer,
    }
    command = [sys.executable, "-m", "embedbridge"]
    subprocess.run(command, env=os.environ | told, check=False, capture_output=True)
    assert offered in answer.read_text()
