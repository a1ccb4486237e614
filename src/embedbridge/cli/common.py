"""The commands of the command line, one a module: each adds its parser, and runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, TypeAlias

__all__ = ["Commands", "counted", "dollars", "say", "say_json", "show_help", "size"]

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


def counted(count: int, one: str, more: str = "") -> str:
    """A number with its noun: `1 text`, `2,000 texts`, `2 retries`.

    Args:
        count: how many.
        one: the noun of one.
        more: the noun of many; "": with an s.

    Returns:
        The words.
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def dollars(amount: float | None) -> str:
    """An amount of money with as many digits as matter.

    Args:
        amount: in dollars; None: not known.

    Returns:
        `$0.0123`, or that the cost is not known.
    """
    if amount is None:
        return "cost not known"
    if 0 < amount < 1e-6:
        return "<$0.000001"
    return f"${amount:,.2f}" if amount == 0 or amount >= 1 else f"${amount:.3g}" if amount >= 1e-4 else f"${amount:.6f}"


def size(count: int) -> str:
    """Bytes in a readable unit.

    Args:
        count: of bytes.

    Returns:
        `1.5 MiB`.
    """
    step = min(max(0, (count.bit_length() - 1) // 10), len(UNITS) - 1)
    return f"{count / 1024**step:.{min(step, 1)}f} {UNITS[step]}"
