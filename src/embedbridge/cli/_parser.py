"""The parser of every command: help that is wrapped to the terminal, arguments given once, faults told in two lines."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Any, NoReturn

from embedbridge._columns import columns_of, indented, room_for_text, wrapped

LONGEST_USAGE = 5
"""Lines of a usage with all flags; a longer one has only those that must be given."""
COMMON = """\
exit status:
  0, 1 for an error, 2 for a wrong call, 130 for Ctrl-C, 141 for a closed pipe

environment:
  OPENAI_API_KEY, VOYAGE_API_KEY …  keys, which are never arguments
  EMBEDBRIDGE_CACHE_DIR             where vectors are kept"""
"""Stands under the help of every command."""


class Plain(argparse.HelpFormatter):
    """Wraps what a flag is for to the terminal; of the examples below it breaks only the lines that are too long."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.endswith(COMMON):
            return super()._fill_text(text, width, indent)
        return "\n".join(_broken(line, room_for_text(width)) for line in text.splitlines())

    def _format_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None) -> str:
        told = super()._format_usage(usage, actions, groups, prefix)
        if usage is None and told.count("\n") <= LONGEST_USAGE:  # argparse has wrapped its own
            return told
        if usage is None:  # each flag stands below, with what it means
            needed = [action for action in actions if action.required or not action.option_strings]
            words = super()._format_usage(None, needed, (), prefix).split()
            told = " ".join([*words, "[options]"])
        head = "usage: "
        return indented(head, told.removeprefix(head).strip(), self._width) + "\n\n"


class Once(argparse.Action):
    """Stores a value as argparse does, and refuses a second one, of which it would keep the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value, unless there is one."""
        given = vars(namespace).setdefault("given", set())
        if option_string is not None and self.dest in given:
            parser.error(f"argument {option_string}: it is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser, and the base of its commands' parsers, whose arguments are given once.

    Args:
        *arguments: as of `argparse.ArgumentParser`.
        **options: as of `argparse.ArgumentParser`; `epilog` has examples.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["epilog"] = "\n\n".join(filter(None, (options.get("epilog"), COMMON)))
        super().__init__(*arguments, **options | {"formatter_class": Plain})
        self.register("action", None, Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse, but a command refuses by itself what it does not know, so that its own help is named."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the call in two lines, and end the process with status 2."""
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(wrong[1], re.findall(r"[\w.:-]+", wrong[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        self.exit(2, f"error: {message}\nsee: {self.prog} --help\n")


def _broken(line: str, room: int) -> str:
    """A line of an epilog: a command goes on after a backslash, as a shell reads it, other words below their own."""
    if columns_of(line) <= room:
        return line
    words = line.strip()
    if words.startswith(("embedbridge ", "cat ")):
        return "  " + " \\\n    ".join(wrapped(words, room - 6))
    name, gap, told = words.partition("  ")
    return indented(
        f"  {name}{gap}{' ' * (len(told) - len(told.lstrip()))}" if gap else "  ", told.lstrip() or name, room
    )
