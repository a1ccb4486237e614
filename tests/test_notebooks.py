"""The notebooks are committed as a run from the top left them, hold nothing of the machine, and run again here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from embedbridge.collection import Collection
from support.notebooks import FOLDER, text_of

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE = re.compile(r"/(home|root|work|tmp|opt|usr|Users|mnt|var|private)\b|[A-Z]:\\|site-packages|\.venv")
LIMIT = 1 << 20
"""Bytes a notebook: more makes a checkout and a review slow."""
NEEDS = {"06_scale_out": "ray"}
MEASURED = {"02_why_prefixes_matter", "04_choosing_dimensions"}
"""Notebooks whose figures are of the collection beside them, and come out again."""
all_notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_the_nine_are_there():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]


@all_notebooks
def test_it_is_committed_as_one_run_from_the_top_left_it(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < LIMIT


@all_notebooks
def test_it_holds_no_path_and_no_name_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    outputs = [text_of(output) for cell in code_cells(path) for output in cell.outputs]
    for text in [*outputs, *(cell.source for cell in notebook.cells), str(notebook.metadata)]:
        assert not MACHINE.search(text)


def figures_of(path):
    """All numbers with a point that its outputs print."""
    outputs = [text_of(output) for cell in code_cells(path) for output in cell.outputs]
    return [float(number) for text in outputs for number in re.findall(r"[-+]?\d+\.\d+", text)]


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_its_figures_are_of_the_collection_that_lies_beside_it(name):
    held = Collection.load(FOLDER / "data")
    told = f"{len(held.documents)} abstracts, {len(held.queries)} claims"
    path = FOLDER / f"{name}.ipynb"
    assert [text_of(output).splitlines()[0] for output in code_cells(path)[0].outputs][:1] == [told]


@all_notebooks
def test_its_links_lead_somewhere(path):
    prose = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\((?!http)([^)#]+)", prose):
        assert (FOLDER / link).exists(), link


@all_notebooks
def test_each_part_begins_with_what_to_take_away(path):
    """In bold: the first sentence below each heading, and of each cell that has none."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    parts = [part for source in cells for part in re.split(r"^#+ .*\n+", source, flags=re.MULTILINE) if part.strip()]
    assert [part.splitlines()[0] for part in parts if not re.match(r"(\* )?\*\*", part)] == []


@pytest.fixture
def _one_cache(monkeypatch, tmp_path_factory):
    """For all of them, as a reader has it: what one has embedded another need not."""
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "notebooks"))
    monkeypatch.delenv("EMBEDBRIDGE_SCIFACT", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_cache")
@all_notebooks
def test_it_runs_from_the_top_without_a_warning(path, tmp_path):
    pytest.importorskip(NEEDS.get(path.stem, "embedbridge"))
    copy = tmp_path / path.name
    command = [sys.executable, "-m", "support.notebooks", path, "--to", copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr[-4000:]
    if path.stem in MEASURED:
        assert figures_of(copy) == pytest.approx(figures_of(path), abs=0.03)
    assert "Warning" not in "".join(text_of(output) for cell in code_cells(copy) for output in cell.outputs)
