"""The commands of the command line, one a module: each adds its parser, and runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from tqdm import tqdm

from embedbridge._core.words import counted, dollars

__all__ = ["Commands", "counted", "counting_bar", "dollars", "say", "say_json", "show_help", "size"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
"""Where a command adds its parser."""
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def say(line: str, *, aside: bool = False) -> None:
    """Print a line.

    Args:
        line: without its end.
        aside: print it on stderr, because stdout is for data.
    """
    print(line, file=sys.stderr if aside else sys.stdout, flush=True)


def say_json(value: Any, *, aside: bool = False) -> None:
    """Print a value as JSON.

    Args:
        value: fit for JSON.
        aside: print it on stderr, because stdout is for data.
    """
    say(json.dumps(value, indent=2), aside=aside)


@contextmanager
def counting_bar(unit: str, doing: str, *, off: bool | None) -> Iterator[Callable[[int, int], None]]:
    """A bar for what tells how many are done, and of how many.

    Args:
        unit: what is counted.
        doing: what is done.
        off: the `disable` of tqdm.

    Yields:
        What is told both numbers; 0 in all: nobody knows how many there are.
    """
    with tqdm(unit=unit, desc=doing, disable=off) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield progress


def show_help(parser: argparse.ArgumentParser, _: argparse.Namespace) -> int:
    """Print a parser's help, where no command was given.

    Args:
        parser: whose help it is.
        _: the arguments.

    Returns:
        The exit status of a wrong call.
    """
    parser.print_help(sys.stderr)
    return 2


def size(count: int) -> str:
    """Bytes in a readable unit.

    Args:
        count: of bytes.

    Returns:
        `1.5 MiB`.
    """
    step = min(max(0, (count.bit_length() - 1) // 10), len(UNITS) - 1)
    return f"{count / 1024**step:.{min(step, 1)}f} {UNITS[step]}"
