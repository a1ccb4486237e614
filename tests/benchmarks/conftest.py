"""One table of all that was measured, at the end of the run, with the machine that it was measured on.

`pytest -m benchmark` prints it; `EMBEDBRIDGE_FIGURES=FILE` also writes it as JSON.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

LESS_IS_BETTER = {"µs", "µs CPU", "ms", "ms CPU", "s", "MB", "MiB"}


@dataclass(frozen=True, slots=True)
class Topic:
    """What several contenders were measured at, in one run."""

    title: str
    unit: str
    ours: str
    """The contender that the others are compared with."""
    figures: dict[str, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """A line a contender, with how many times better ours is."""
        own, better = self.figures[self.ours], self.unit in LESS_IS_BETTER
        told = [f"\n{self.title} ({self.unit})"]
        for name, figure in self.figures.items():
            factor = figure / own if better else own / figure
            mark = "ours" if name == self.ours else f"{factor:.2f} x"
            told.append(f"  {name:<58}{figure:>12,.1f}{mark:>10}")
        return told


BOARD = pytest.StashKey[list[Topic]]()
Add = Callable[[str, str, Mapping[str, float]], None]


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Add:
    """`board(title, unit, figures)`: the first of the figures is ours."""
    topics = request.config.stash.setdefault(BOARD, [])

    def add(title: str, unit: str, figures: Mapping[str, float]) -> None:
        topics.append(Topic(title, unit, next(iter(figures)), dict(figures)))

    return add


def machine() -> dict[str, Any]:
    """What the figures were measured on and with."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory, GiB": round(gigabytes),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "embedbridge": version("embedbridge"),
    }


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    topics = config.stash.get(BOARD, [])
    if not topics:
        return
    terminalreporter.section("figures")
    terminalreporter.write_line(", ".join(f"{name} {what}" for name, what in machine().items()))
    for line in (line for topic in topics for line in topic.lines()):
        terminalreporter.write_line(line)
    if target := os.environ.get("EMBEDBRIDGE_FIGURES"):
        Path(target).write_text(json.dumps({"machine": machine(), "topics": [asdict(topic) for topic in topics]}))
