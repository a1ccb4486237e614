"""The processes in which Ray runs a data set's actors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # comes with Ray, which may be absent
    import psutil


NAMES = ("MapWorker", "MapBatches")


def actors_below(process: psutil.Process) -> list[psutil.Process]:
    """Those at work, by the name that Ray gives its processes.

    It is `MapWorker(MapBatches(…))`; in Ray 2.40 `_MapWorker`, and during a task `MapBatches(…)`.
    """
    return [child for child in process.children(recursive=True) if any(name in _title(child) for name in NAMES)]


def _title(process: psutil.Process) -> str:
    import psutil

    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it ended meanwhile
        return ""
