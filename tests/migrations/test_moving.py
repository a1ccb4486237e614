"""What a move embeds, what it leaves alone, whom the guard lets ask, and what it refuses; by the stores' own files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from embedbridge import (
    BudgetExceededError,
    ConfigurationError,
    Embedder,
    EmbeddingError,
    InvalidInputError,
    SpaceMismatchError,
    guard,
    migration,
)
from embedbridge.cli import main
from embedbridge.collection import Collection
from embedbridge.migration import back, bench, check, open_index, plan, run, switch
from embedbridge.migration._journal import Journal
from support.moving_client import documents_of

from .stores import KINDS

JUDGED = Path(__file__).parents[2] / "notebooks" / "data"


@pytest.fixture
def new(server, tmp_path):
    with Embedder(
        "openai:text-embedding-3-small",
        base_url=f"{server.url}/v1",
        api_key="k",
        dimensions=8,
        cache=tmp_path / "cache",
    ) as embedder:
        yield embedder


def test_an_index_of_an_unknown_kind_is_refused_with_the_way_to_export_it(tmp_path, new):
    (tmp_path / "milvus").mkdir()
    with pytest.raises(ConfigurationError, match=r'export its documents.*"id", "text" and "metadata".*docs\.jsonl'):
        plan(tmp_path / "milvus", new)
    with pytest.raises(ConfigurationError, match="'host/db' is no store of a kind") as caught:
        plan("milvus://user:secret@host/db", new)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="there is no index at"):
        plan(tmp_path / "nothing", new)
    with pytest.raises(ConfigurationError, match="no option 'trust'"):
        open_index(tmp_path / "docs.jsonl", trust=True)


def test_a_plan_says_what_is_cached_what_it_costs_and_what_the_guard_knows(index, new, server, tmp_path):
    guard(index, Embedder("vertex:text-embedding-005", api_key="k", provider_options={"project": "p"}, cache=False))
    new.embed_documents([text for _, text, _ in documents_of(10)])
    asked = len(server.requests)
    found = plan(index, new)
    assert (found.documents, found.cached, found.requests, found.old_dimensions) == (60, 10, 1, 16)
    assert found.batch_cost == pytest.approx(found.cost / 2)
    assert (found.old_model, str(found.retires)) == ("vertex:text-embedding-005", "2027-04-01")
    assert "served until 2027-04-01" in str(found)
    assert len(server.requests) == asked
    assert not list(tmp_path.glob("*migration*"))
    limited = Embedder("openai:text-embedding-3-small", api_key="k", cache=tmp_path / "other", tokens_per_minute=100)
    assert plan(index, limited).seconds == pytest.approx(60 * plan(index, limited).tokens / 100)


def test_a_second_run_asks_for_new_texts_alone_and_takes_changed_metadata(index, new, server):
    assert run(index, new).requests == 1
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    rows[3]["metadata"] = {"changed": True}
    rows[4]["text"] = "another text"
    index.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    done = run(index, new)
    assert (done.requests, done.documents) == (1, 59)
    assert server.requests[-1].items == ["another text"]
    moved = [json.loads(line) for line in (index.parent / done.index).read_text().splitlines()]
    assert [{**row, "embedding": 0} for row in moved] == [{**row, "embedding": 0} for row in rows[:-1]]
    np.testing.assert_array_equal(
        [row["embedding"] for row in moved], new.embed_documents([row["text"] for row in moved])
    )


def test_each_index_is_asked_with_its_own_model_at_every_stage(index, new, old):
    guard(index, old)
    beside = index.with_name(run(index, new).index)
    for place, right, wrong in ((index, old, new), (beside, new, old)):
        guard(place, right)
        with pytest.raises(SpaceMismatchError):
            guard(place, wrong)
    switch(index)
    for place, right, wrong in ((index, new, old), (index.with_name("docs-previous.jsonl"), old, new)):
        guard(place, right)
        with pytest.raises(SpaceMismatchError):
            guard(place, wrong)
    back(index)
    guard(index, old)
    guard(beside, new)


def test_a_switch_that_would_lose_a_document_is_refused_and_changes_nothing(index, new):
    run(index, new)
    before = {file.name: file.read_bytes() for file in index.parent.iterdir() if file.suffix == ".jsonl"}
    index.write_text(index.read_text() + json.dumps({"id": "late", "text": "a late one"}) + "\n")
    before[index.name] = index.read_bytes()
    with pytest.raises(EmbeddingError, match="1 documents differ from the new index, such as late"):
        switch(index)
    assert {file.name: file.read_bytes() for file in index.parent.iterdir() if file.suffix == ".jsonl"} == before
    assert "only in the old index" in check(index, new).faults[0]
    run(index, new)
    assert check(index, new).ok
    switch(index)


def test_back_tells_of_documents_that_were_written_since(index, new):
    run(index, new)
    switch(index)
    index.write_text(
        index.read_text() + json.dumps({"id": "late", "text": "a late one", "embedding": [0.0] * 8}) + "\n"
    )
    assert back(index).left_behind == 1


def test_vectors_of_another_model_are_found_by_check(index, new):
    moved = index.with_name(run(index, new).index)
    rows = [json.loads(line) for line in moved.read_text().splitlines()]
    rows[7]["embedding"], rows[8]["embedding"] = rows[8]["embedding"], rows[7]["embedding"]
    moved.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "1 - cosine of a vector" in check(index, new).faults[0]


def test_a_run_stops_before_max_cost_and_goes_on(index, new, server, tmp_path):
    options = {"base_url": f"{server.url}/v1", "api_key": "k", "dimensions": 8, "cache": tmp_path / "cache"}
    with (
        Embedder("openai:text-embedding-3-small", max_cost=1e-9, **options) as poor,
        pytest.raises(BudgetExceededError),
    ):
        run(index, poor)
    assert run(index, new).written == 60
    assert set(server.stats.billed.values()) == {1}


def test_a_run_by_batch_hands_over_and_a_later_one_builds(index, new, server):
    handed = run(index, new, batch=True)
    assert handed.waiting == 60
    done = run(index, new, batch=True, wait=True)
    assert (done.waiting, done.written, done.requests) == (0, 60, 0)
    assert "/v1/embeddings" not in server.requests.counts
    assert set(server.stats.billed.values()) == {1}


def test_what_a_batch_did_not_answer_is_handed_over_again_and_never_asked_for_at_another_price(index, new, server):
    server.batches.script("errors:n=1")
    done = run(index, new, batch=True, wait=True)
    assert (done.waiting, done.written, done.requests, len(server.batches.made)) == (0, 60, 0, 2)
    assert "/v1/embeddings" not in server.requests.counts


def test_what_batches_never_answer_is_handed_over_twice_and_then_named(index, new, server):
    server.batches.script("errors:n=1", "errors:n=1")
    for _ in range(2):
        assert run(index, new, batch=True).waiting == 60
    for wait in (False, True):
        with pytest.raises(EmbeddingError, match=r"60 documents 2 times .*such as 'd0', .*once without batch"):
            run(index, new, batch=True, wait=wait)
    assert len(server.batches.made) == 2
    index.write_text(index.read_text() + json.dumps({"id": "late", "text": "a late one"}) + "\n")
    assert run(index, new, batch=True).waiting == 1  # which nobody has handed over yet
    assert run(index, new).written == 61


def test_a_run_by_batch_keeps_to_its_queue(index, new, server):
    with pytest.raises(InvalidInputError, match=r"document 'd0': .* queue_tokens=1 has never room for it"):
        run(index, new, batch=True, queue_tokens=1)
    done = run(index, new, batch=True, wait=True, queue_tokens=200)
    assert (done.written, done.requests) == (60, 0)
    assert len(server.batches.made) > 2
    assert set(server.stats.billed.values()) == {1}


def test_a_move_to_another_model_is_not_begun_in_the_midst_of_one(index, new):
    run(index, new)
    with pytest.raises(SpaceMismatchError, match="is being moved to openai:text-embedding-3-small"):
        run(index, Embedder("fake:32", cache=index.parent / "cache"))
    switch(index)
    with pytest.raises(EmbeddingError, match="delete it to move the index again"):
        run(index, new)
    index.with_name("docs-previous.jsonl").unlink()
    with pytest.raises(EmbeddingError, match="no way back"):
        back(index)
    assert run(index, Embedder("fake:32", cache=index.parent / "cache")).written == 60


def test_two_processes_do_not_move_one_index(index, new):
    run(index, new)
    with Journal(Path(f"{index}.embedbridge-migration.db")), pytest.raises(EmbeddingError, match="another process"):
        run(index, new)


def test_without_a_cache_that_lasts_nothing_begins(index):
    for cache in (False, "memory"):
        with pytest.raises(ConfigurationError, match="cache"):
            run(index, Embedder("fake:8", cache=cache))


def test_the_journal_holds_no_text_and_no_key(index, new):
    run(index, new)
    content = Path(f"{index}.embedbridge-migration.db").read_bytes()
    assert b'"stage": "built"' in content
    assert b"of a corpus" not in content
    assert b"api_key" not in content


def test_a_line_that_is_no_document_is_named(index, new):
    index.write_text(index.read_text() + '{"id": 3}\n')
    with pytest.raises(EmbeddingError, match=r"docs\.jsonl, line 61"):
        run(index, new)


async def test_the_async_twins_do_the_same(index, new):
    done = await migration.arun(index, new)
    assert done.written == (await migration.aplan(index, new)).cached == 60
    assert (await migration.acheck(index, new)).ok
    assert (await migration.aswitch(index)).kept == "docs-previous.jsonl"
    assert (await migration.aback(index)).kept == done.index


class Evil:
    """Runs a program when it is read."""

    def __reduce__(self):
        return print, ("a program ran",)


@pytest.mark.filterwarnings("default")
def test_a_pickle_that_asks_for_more_than_documents_is_not_read(tmp_path, old, new, capsys):
    pytest.importorskip("langchain_community")
    pytest.importorskip("faiss")
    KINDS["faiss"].write(tmp_path, documents_of(9), old)
    documents, places = pickle.loads((tmp_path / "faiss" / "index.pkl").read_bytes())  # noqa: S301 - our own
    documents.search("d1").metadata["evil"] = Evil()
    (tmp_path / "faiss" / "index.pkl").write_bytes(pickle.dumps((documents, places)))
    with pytest.raises(ConfigurationError, match=r"builtins\.print.*allow_dangerous_deserialization"):
        run(tmp_path / "faiss", new)
    assert "a program ran" not in capsys.readouterr().out


def test_a_bench_on_judgements_has_the_table_of_eval(tmp_path, capsys):
    models, place = ["fake:16", "fake:32"], ["--cache", str(tmp_path), "--json"]
    assert main(["eval", "--data", str(JUDGED), *(f"--model={model}" for model in models), *place]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert main(["migrate", "bench", "--data", str(JUDGED), "--from", models[0], "--to", models[1], *place]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == expected


def test_a_model_agrees_with_itself_and_examples_are_where_two_agree_least(index, old):
    same = bench(old, old, index=index)
    assert (same.overlap.mean, same.rank_biased.mean) == pytest.approx((1, 1))
    found = bench(old, Embedder("fake:32", cache="memory"), index=index, queries=["which is number 3?", "and 4?"])
    assert (found.queries, len(found.examples[0].old)) == (2, 3)
    assert 0 < found.overlap.mean < 1
    assert bench(old, old, data=Collection.load(JUDGED)).difference.mean == 0
