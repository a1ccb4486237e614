"""The commands of the command line, one a module: each adds its parser, and runs. They print; nothing else here does."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no other name


def say(line: str, *, aside: bool = False) -> None:
    """A line for the person who watches; `aside`: on stderr, because stdout carries data."""
    print(line, file=sys.stderr if aside else sys.stdout, flush=True)  # noqa: T201 - a command line prints


def say_json(value: Any, *, aside: bool = False) -> None:
    """The same for a program."""
    say(json.dumps(value, indent=2, ensure_ascii=False), aside=aside)


def dollars(amount: float | None) -> str:
    """`$0.0123`: cents and as much below them as matters; "cost not known"."""
    if amount is None:
        return "cost not known"
    return f"${amount:,.2f}" if amount == 0 or amount >= 1 else f"${amount:.3g}" if amount >= 1e-4 else f"${amount:.6f}"


def size(count: int) -> str:
    """Bytes in the unit that a person would take."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount /= 1024
    else:
        unit = "TiB"
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
