"""What results print: a few lines that a person reads, in a notebook too; fields for programs stay as they are."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from embedbridge import AuthenticationError, Embedder
from embedbridge._core.types import Cut, Estimate, Report
from embedbridge.langchain import BridgeEmbeddings

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "Ravens plan ahead."]


def test_a_report_says_what_came_from_where_and_what_it_cost(caller, server):
    embedder = Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="k", cache="memory")
    first, again = (caller.embed(embedder, TEXTS).report for _ in range(2))
    assert str(first).startswith("3 texts (2 distinct): 2 new; 1 request, ")
    assert " spent, $0.00 saved, " in str(first)
    assert str(again).startswith("3 texts (2 distinct): 2 from the cache; 0 tokens, $0.00 spent, ")
    assert len(server.requests) == 1
    assert str(embedder.usage).startswith("6 texts (4 distinct): 2 from the cache, 2 new; 1 request, ")
    assert dataclasses.asdict(first)["misses"] == 2


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        (Report(), "0 texts; 0 tokens, no price, 0.0 s"),
        (
            Report(texts=4, unique=4, hits=1, misses=3, requests=2, tokens=21, seconds=12.95),
            "4 texts: 1 from the cache, 3 new; 2 requests, about 21 tokens, no price, 12.9 s",
        ),
        (
            Report(
                texts=2,
                unique=1,
                shared=1,
                empty=(1,),
                retries=1,
                waited=0.5,
                paid_again=1,
                cut=(Cut(0, 900, 512),),
                cost=0.0123,
                saved=1.5,
            ),
            (
                "2 texts: 1 from other calls, 1 empty; 0 tokens, $0.0123 spent, $1.50 saved, 0.0 s\n"
                "1 retry, 0.5 s of waiting; 1 text perhaps paid for twice; 1 text longer than the model reads"
            ),
        ),
        (
            Estimate(1200, 200, 3, 50_000, 0.001, 0.004),
            "1,200 texts: 200 in the cache; 3 requests with about 50,000 tokens, $0.001 ($0.004 at most)",
        ),
    ],
)
def test_results_are_read_in_a_few_words(report, shown):
    assert str(report) == shown


def test_everything_that_a_cell_ends_with_is_shown_as_it_is_printed():
    with Embedder("fake:8", cache=False, query_prefix="<q> ") as embedder:
        shown = (embedder.usage, embedder.estimate(TEXTS), embedder.embed(TEXTS), embedder.describe(), embedder.space)
        for value in shown:
            lines = str(value).splitlines()
            assert 1 <= len(lines) <= 20
            assert max(map(len, lines)) <= 100
            assert "(" not in lines[0].partition(" ")[0]  # it is no repr
            assert value._repr_html_().startswith("<pre>")
        assert "&lt;q&gt; " in embedder.space._repr_html_()
        assert embedder.space.fingerprint in str(embedder.space)
        assert str(shown[2]).startswith("vectors of shape (3, 8), float32\n3 texts (2 distinct): ")


def test_an_exception_is_not_told_a_second_time_by_the_log(caller, server, caplog):
    server.script("401")
    embeddings = BridgeEmbeddings(
        "openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="k", cache=False, max_retries=0
    )
    with pytest.raises(AuthenticationError):
        caller.embed(embeddings.embedder, ["a"])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
