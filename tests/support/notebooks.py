"""Notebooks run from the top in a fresh kernel, and are written without anything of the machine that ran them.

PYTHONPATH=tests python -m support.notebooks notebooks/01_quickstart.ipynb [--to COPY.ipynb] [--timeout SECONDS]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NATIVE = "--IPKernelApp.capture_fd_output=False"
"""What compiled code writes to the process's own stderr is no output of a cell."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""A bar that moved once, and is nothing without its kernel."""


def run(path: Path, target: Path, timeout: int) -> None:
    """Run the notebook at `path` and write it to `target`. Raises `nbclient.exceptions.CellExecutionError`."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout,
        record_timing=False,
        extra_arguments=[NATIVE],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    nbformat.write(clean(notebook), target)


def clean(notebook: Any) -> Any:
    """Leave only what a reader needs: no versions, no names of machines, no dead widgets."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook


def text_of(output: Any) -> str:
    """What one output of a cell says in words."""
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--timeout", type=int, default=600, help="seconds per cell; the whole of SciFact takes an hour")
    options = parser.parse_args()
    run(options.path, options.to or options.path, options.timeout)
