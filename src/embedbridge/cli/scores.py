"""How models did in `embedbridge eval`, as a table, as a plot and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedbridge._columns import aligned, columns_of, ending, room_beside, room_for_text
from embedbridge._files import replace_file
from embedbridge.collection import Judged
from embedbridge.errors import ConfigurationError, MissingExtraError
from embedbridge.evaluation import Difference, paired_bootstrap

__all__ = ["Row", "check_plot", "draw", "plain", "table"]

OWN, CUT = "its own", "cut to"
HEADS = ("model", "vectors", "dims", "nDCG@10", "recall@100", "MRR@10", "minus the first [95 %]")
WORDS = 2
"""Columns at the left that are words."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to make vectors, and how it did."""

    model: str
    way: str
    dimensions: int
    judged: Judged

    @property
    def means(self) -> tuple[float, float, float]:
        """nDCG@10, recall@100 and MRR@10."""
        scores = (self.judged.ndcg, self.judged.recall, self.judged.reciprocal_rank)
        ndcg, recall, reciprocal_rank = (float(each.mean()) for each in scores)
        return ndcg, recall, reciprocal_rank


def table(rows: Sequence[Row], columns: int | None = None) -> str:
    """Rows as a table of text, in the first layout that fits.

    Args:
        rows: the first is what the others are compared with.
        columns: to fit; None: those of the terminal.

    Returns:
        Lines.
    """
    room = room_for_text() if columns is None else columns
    lines: list[str] = []
    for layout in (_lines, _by_model, _narrow):
        lines = layout(rows, room)
        if max(map(columns_of, lines)) <= room:
            break
    return "\n".join(lines)


def _cells(row: Row, first: Row) -> list[str]:
    least = "" if row is first else str(difference(row, first))
    return [row.model, row.way, str(row.dimensions), *(f"{mean:.4f}" for mean in row.means), least]


def _lines(rows: Sequence[Row], _: int) -> list[str]:
    """A line for each row."""
    return aligned([HEADS, *(_cells(row, rows[0]) for row in rows)], WORDS)


def _by_model(rows: Sequence[Row], room: int) -> list[str]:
    """The model's name stands on a line of its own."""
    cells = [HEADS[1:], *(_cells(row, rows[0])[1:] for row in rows)]
    return _under_names(rows, cells, room)


def _narrow(rows: Sequence[Row], room: int) -> list[str]:
    """The differences stand on lines of their own, too."""
    cells = [HEADS[1:-1], *(_cells(row, rows[0])[1:-1] for row in rows)]
    head, *lines = _under_names(rows, cells, room)
    by_line = iter(rows)
    found = [head]
    for line in lines:
        found.append(line)
        if line.startswith(" ") and (row := next(by_line)) is not rows[0]:
            found.append(f"    nDCG@10 minus the first: {difference(row, rows[0])}")
    return found


def _under_names(rows: Sequence[Row], cells: Sequence[Sequence[str]], room: int) -> list[str]:
    least = max(room_beside(cells, room) - 2, len(HEADS[1]))
    shortened = [[ending(words, least), *rest] for words, *rest in cells]
    head, *lines = (f"  {line}" for line in aligned(shortened, WORDS - 1))
    found, before = [head], ""
    for row, line in zip(rows, lines, strict=True):
        if row.model != before:
            found.append(ending(row.model, room))
        found.append(line)
        before = row.model
    return found


def plain(row: Row, first: Row) -> dict[str, Any]:
    """A row as values for JSON.

    Args:
        row: any row.
        first: what it is compared with.

    Returns:
        Values by name.
    """
    scores = dict(zip(("ndcg@10", "recall@100", "mrr@10"), row.means, strict=True))
    minus = None if row is first else asdict(difference(row, first))
    return {"model": row.model, "vectors": row.way, "dimensions": row.dimensions, **scores, "minus_first": minus}


def difference(row: Row, first: Row) -> Difference:
    """Its nDCG@10 minus the first's, query by query."""
    return paired_bootstrap(row.judged.ndcg, first.judged.ndcg)


def load_figure() -> Any:
    """Matplotlib's `Figure`, which needs no screen. Raises `MissingExtraError`."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError('a plot needs matplotlib; run: pip install "embedbridge[eval]"') from None
    return Figure


def check_plot(path: str) -> None:
    """Check that a plot can be drawn, before there is anything to draw.

    Args:
        path: of the plot.

    Raises:
        ConfigurationError: the format is not known, or there is no such folder.
        MissingExtraError: Matplotlib is not installed.
    """
    known, place = load_figure()().canvas.get_supported_filetypes(), Path(path)
    if place.suffix.removeprefix(".").lower() not in known:
        raise ConfigurationError(f"the format of {path!r} is not one of {', '.join(sorted(known))}")
    if not place.parent.is_dir():
        raise ConfigurationError(f"there is no folder {str(place.parent)!r} for the plot")


def draw(rows: Sequence[Row], path: str, title: str = "") -> None:
    """Draw nDCG@10 over dimensions, from 0 on and with 95 % intervals, so that chance looks like chance.

    Args:
        rows: a line for each model and way to reduce its vectors is drawn; a square is the model's own.
        path: of the file, whose ending is its format.
        title: what was searched.
    """
    figure = load_figure()(figsize=(8, 5), layout="constrained")
    axes, top = figure.subplots(), 0.0
    for label, line in lines(rows).items():
        means = [interval(row) for row in line]
        bars = [[each.mean - each.low for each in means], [each.high - each.mean for each in means]]
        sizes, heights = [row.dimensions for row in line], [each.mean for each in means]
        drawn = axes.errorbar(sizes, heights, yerr=bars, fmt="o-", capsize=3, label=label)
        own = next(row for row in line if row.way == OWN)
        axes.plot(own.dimensions, own.means[0], "s", markersize=9, color=drawn.lines[0].get_color())
        for row, each in zip(line, means, strict=True):
            axes.annotate(
                f"{each.mean:.3f}", (row.dimensions, each.mean), (4, 6), textcoords="offset points", fontsize=8
            )
            top = max(top, each.high)
    widths = sorted({row.dimensions for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.set(xlabel="dimensions (square: the model's own)", ylabel="nDCG@10, mean and 95 % interval", title=title)
    axes.margins(x=0.1)  # room for what stands beside the points
    axes.set_ylim(0, top * 1.1 or 1.0)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    form = Path(path).suffix.removeprefix(".").lower()
    replace_file(Path(path), lambda stream: figure.savefig(stream, format=form, dpi=150))


def interval(row: Row) -> Difference:
    """The mean of its nDCG@10 over the queries, with the interval of drawing queries."""
    return paired_bootstrap(row.judged.ndcg, np.zeros_like(row.judged.ndcg))


def lines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """What belongs together, by rising dimensions; each line ends at the model's own vectors."""
    found: dict[str, list[Row]] = {}
    for model in dict.fromkeys(row.model for row in rows):
        own, *others = (row for row in rows if row.model == model)
        for name in dict.fromkeys("cut" if row.way.startswith(CUT) else "reduced" for row in others):
            kin = [row for row in others if row.way.startswith(CUT) == (name == "cut")]
            found[f"{model}, {name}"] = sorted([own, *kin], key=lambda row: row.dimensions)
        if not others:
            found[model] = [own]
    return found
