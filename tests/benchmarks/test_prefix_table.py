"""What wrong prefixes cost on SciFact: nDCG@10, and the difference to the right ones with what chance leaves of it.

`pytest -m long -s tests/benchmarks/test_prefix_table.py`; half an hour on two quiet cores, seconds the next time.
"""

from __future__ import annotations

import pytest

from embedbridge.evaluation import paired_bootstrap
from support.retrieval import BGE, retrieve

E5 = {
    "right": ("passage: ", "query: "),
    "query prefix forgotten": ("passage: ", ""),
    "queries through the document path": ("passage: ", "passage: "),
    "another family's prefix (BGE's)": ("passage: ", BGE),
    "no prefixes at all": ("", ""),
    "document prefix forgotten": ("", "query: "),
}
MINILM = {
    "right": ("", ""),
    "another family's prefix (E5's)": ("", "query: "),
    "another family's prefix (BGE's)": ("", BGE),
}


def compare(title, scifact, model, ways):
    """Print a table; the mean of each way, and how far it is above the right one: below 0, it is worse."""
    scores = {name: retrieve(scifact, model, document=ways[name][0], query=ways[name][1]) for name in ways}
    right = scores["right"]
    gaps = {name: paired_bootstrap(score, right) for name, score in scores.items()}
    print(f"\n{title:36}{'documents':>12}  {'queries':24}{'nDCG@10':>8}  this minus the right one, 95 %")
    for name, (document, query) in ways.items():
        shown = repr(query) if len(query) < 20 else f"{query[:18]!r} …"
        gap = "" if name == "right" else str(gaps[name])
        print(f"  {name:34}{document!r:>12}  {shown:24}{scores[name].mean():8.4f}  {gap}")
    return {name: score.mean() for name, score in scores.items()}, gaps


@pytest.mark.long
@pytest.mark.usefixtures("minilm_path")
def test_what_wrong_prefixes_cost(scifact, e5_path):
    scores, gaps = compare("multilingual-e5-small (4-bit weights)", scifact, e5_path, E5)
    assert scores["right"] == pytest.approx(0.6587, abs=0.003)
    assert gaps["queries through the document path"].high < 0

    scores, gaps = compare("all-MiniLM-L6-v2", scifact, "all-MiniLM-L6-v2", MINILM)
    assert scores["right"] == pytest.approx(0.645, abs=0.002)
    assert gaps["another family's prefix (BGE's)"].high < 0
