"""`embedbridge eval`: models, widths and reductions on judged queries, as a table, a plot and JSON."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from embedbridge import Embedder, InvalidInputError
from embedbridge.collection import Collection, judge
from embedbridge.evaluation import ndcg
from embedbridge.reduction import PCA

COUNT = 60


def lay_out(folder, *, beir=False):
    """A collection whose query i is document i, but for every third, which asks for the next document."""
    documents = [{"id": f"d{n}", "title": f"Title {n}", "text": f"text {n}"} for n in range(COUNT)]
    queries = [{"id": f"q{n}", "text": f"Title {n} text {n}"} for n in range(COUNT)]
    judged = [(f"q{n}", f"d{n + 1 if n % 3 == 2 else n}", 1) for n in range(COUNT - 1)]
    if beir:
        documents = [{"_id": row.pop("id"), **row} for row in documents]
        queries = [{"_id": row.pop("id"), **row} for row in queries]
    names = (
        ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv") if beir else ("docs.jsonl", "queries.jsonl", "qrels.tsv")
    )
    for name, rows in zip(names, (documents, queries), strict=False):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / names[2]).parent.mkdir(exist_ok=True)
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judged)]
    (folder / names[2]).write_text("\n".join(lines))
    return folder


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return lay_out(tmp_path / "data")


def test_each_model_is_judged_as_it_is_and_in_each_way(run, data):
    ways = ("--dimensions", 16, "--dimensions", 4, "--reduction", "pca:8")
    ran = run("eval", "--data", data, "--model", "fake:64", "--model", "fake:32", *ways, "--json")
    rows = json.loads(ran.out)
    assert [(row["model"], row["vectors"], row["dimensions"]) for row in rows] == [
        (f"fake:{width}", way, dimensions)
        for width in (64, 32)
        for way, dimensions in (("its own", width), ("cut to 16", 16), ("cut to 4", 4), ("pca:8", 8))
    ]
    found = sum(n % 3 != 2 for n in range(COUNT - 1)) / (COUNT - 1)
    assert rows[0]["mrr@10"] == pytest.approx(found, abs=0.05)
    assert all(row["recall@100"] == 1 for row in rows)
    assert rows[0]["ndcg@10"] > rows[2]["ndcg@10"]


def test_the_figures_are_those_of_the_vectors(run, data):
    (row,) = json.loads(run("eval", "--data", data, "--model", "fake:16", "--json").out)
    collection = Collection.load(data)
    with Embedder("fake:16", cache=False) as embedder:
        documents = embedder.embed_documents(collection.documents.values())
        queries = embedder.embed(collection.queries.values(), input_type="query").vectors
    names = np.array(list(collection.documents))
    ranked = names[np.argsort(-(queries @ documents.T), axis=1, kind="stable")].tolist()
    assert row["ndcg@10"] == pytest.approx(ndcg(ranked, list(collection.grades.values())).mean())
    assert judge(collection, documents, queries).ndcg.shape == (COUNT - 1,)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_table_fits_the_terminal_and_has_the_same_figures(run, data, columns, monkeypatch):
    """Names go above their rows first, then differences below them; a long path keeps its end, behind a mark."""
    documents = np.random.default_rng(0).normal(size=(COUNT, 64)).astype(np.float32)
    path = data / "of-another-collection-with-a-long-name.npz"
    PCA(8).fit(documents).save(path)
    ways = ("--dimensions", 16, "--reduction", path)
    arguments = ("eval", "--data", data, "--model", "fake:64", "--model", "fake:1000", *ways)
    monkeypatch.setenv("COLUMNS", str(columns))
    table = run(*arguments).out
    assert max(map(len, table.splitlines())) <= columns
    assert "…" in table or columns == 200
    assert all(end in table for end in ("name.npz", "fake:1000", "cut to 16"))
    monkeypatch.setenv("COLUMNS", "1000")
    figures = re.compile(r"\d\.\d{3,4}")
    assert figures.findall(table) == figures.findall(run(*arguments).out)


def test_the_table_tells_differences_from_the_first(run, data):
    lines = run("eval", "--data", data, "--model", "fake:64", "--dimensions", 2).out.splitlines()
    assert lines[0] == "60 documents, 59 queries"
    assert lines[1].split() == ["model", "vectors", "dims", "nDCG@10", "recall@100", "MRR@10", *lines[1].split()[6:]]
    assert lines[2].split()[:4] == ["fake:64", "its", "own", "64"]
    assert lines[3].split()[:5] == ["fake:64", "cut", "to", "2", lines[3].split()[4]]
    assert lines[3].rstrip().endswith("]")
    assert " -0." in lines[3]
    first, second = json.loads(run("eval", "--data", data, "--model", "fake:64", "--dimensions", 2, "--json").out)
    less = second["minus_first"]
    assert first["minus_first"] is None
    assert less["mean"] == pytest.approx(second["ndcg@10"] - first["ndcg@10"])
    assert less["low"] <= less["mean"] <= less["high"]
    assert lines[3].rstrip().endswith(f"{less['mean']:+.3f} [{less['low']:+.3f}, {less['high']:+.3f}]")


def test_a_folder_that_is_not_there_is_told(refuses):
    assert "there is no folder 'nowhere'" in refuses("eval", "--data", "nowhere", "--model", "fake:8")


def test_a_saved_reduction_is_judged_too(run, data, tmp_path):
    with Embedder("fake:32", cache=False) as embedder:
        PCA(8).fit_embedder(embedder, [f"text {n}" for n in range(100)]).save(tmp_path / "pca.npz")
    rows = json.loads(run("eval", "--data", data, "--model", "fake:32", "--reduction", "pca.npz", "--json").out)
    assert (rows[1]["vectors"], rows[1]["dimensions"]) == ("pca.npz", 8)


def test_what_a_model_cannot_give_is_left_out_and_told(run, data):
    ran = run("eval", "--data", data, "--model", "fake:8", "--dimensions", 16, "--json")
    assert (ran.status, len(json.loads(ran.out))) == (0, 1)
    assert ran.err.startswith("left out: ")
    assert "fake:8 gives 8 dimensions" in ran.err


def test_a_pca_of_more_dimensions_than_there_are_is_left_out(run, data):
    ran = run("eval", "--data", data, "--model", "fake:8", "--reduction", "pca:9", "--json")
    assert (ran.status, len(json.loads(ran.out))) == (0, 1)
    assert ran.err.startswith("left out: PCA(n_components=9")


@pytest.mark.parametrize(
    ("reduction", "said"),
    [("pca:many", "write a number of dimensions"), ("none.npz", "there is no such file, and it is not pca:N")],
)
def test_a_reduction_that_is_none_is_told_before_anything_is_embedded(run, data, capfdbinary, reduction, said):
    with pytest.raises(SystemExit, match="2"):
        run("eval", "--data", data, "--reduction", reduction)
    assert said in capfdbinary.readouterr().err.decode()


def test_what_is_wrong_with_the_last_model_is_told_before_the_first_is_asked(refuses, data, tmp_path):
    said = refuses("eval", "--data", data, "--model", "fake:8", "--model", "opnai:x")
    assert said.startswith("unknown provider 'opnai'")
    assert not (tmp_path / "user-cache").exists()


def test_what_is_named_twice_is_judged_once(run, data):
    twice = ("--model", "fake:8", "--dimensions", 4, "--reduction", "pca:2") * 2
    rows = json.loads(run("eval", "--data", data, *twice, "--json").out)
    assert [row["vectors"] for row in rows] == ["its own", "cut to 4", "pca:2"]


def test_without_a_cache_no_text_is_paid_for_again_for_each_width(run, data, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    hosted = ("--model", "openai:text-embedding-3-small", "--base-url", f"{server.url}/v1", "--no-cache")
    ran = run("eval", "--data", data, *hosted, "--dimensions", 256, "--dimensions", 64, "--json")
    assert [row["dimensions"] for row in json.loads(ran.out)] == [1536, 256, 64]
    assert set(server.stats.billed.values()) == {1}


@pytest.mark.parametrize(
    ("plot", "said"),
    [("out.txt", "'out.txt' is not one of"), ("none/out.png", "there is no folder 'none'")],
)
def test_a_plot_that_cannot_be_drawn_is_told_before_anything_is_embedded(refuses, data, tmp_path, plot, said):
    pytest.importorskip("matplotlib")
    assert said in refuses("eval", "--data", data, "--model", "fake:8", "--plot", plot)
    assert not (tmp_path / "user-cache").exists()


def test_the_plot_is_a_picture(run, data, tmp_path):
    pytest.importorskip("matplotlib")
    ways = ("--model", "fake:64", "--model", "fake:8", "--dimensions", 4, "--reduction", "pca:6")
    ran = run("eval", "--data", data, *ways, "--plot", "out.png")
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "plot → out.png")
    picture = (tmp_path / "out.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_without_matplotlib_nothing_is_embedded_before_that_is_said(refuses, data, tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    said = refuses("eval", "--data", data, "--model", "fake:8", "--plot", "out.png")
    assert said == 'a plot needs matplotlib; run: pip install "embedbridge[eval]"\n'
    assert not (tmp_path / "user-cache").exists()


def test_beirs_own_files_are_read(run, tmp_path):
    ran = run("eval", "--data", lay_out(tmp_path, beir=True), "--model", "fake:8")
    assert ran.out.startswith("60 documents, 59 queries")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("docs.jsonl", None, "has no docs.jsonl or corpus.jsonl"),
        ("queries.jsonl", None, "has no queries.jsonl"),
        ("qrels.tsv", None, "has no qrels.tsv or qrels/test.tsv"),
        ("docs.jsonl", '{"id": "d0"}\n', "docs.jsonl, line 1: not an object with an id and a text"),
        ("qrels.tsv", "q1\td1\n", "qrels.tsv, line 1: not a query, a document and a grade"),
        ("qrels.tsv", "q1\td1\t1\nq1\td2\tgood\n", "qrels.tsv, line 2"),
        ("qrels.tsv", "q1\tnone\t1\n", "60 documents, 0 of them judged"),
        ("docs.jsonl", '{"id": "d1", "text": null}\n', "line 1: not an object with an id and a text"),
        ("docs.jsonl", b'{"id": "d1", "text": "\xe9"}\n', "docs.jsonl is not UTF-8 text: byte 0xe9"),
        ("qrels.tsv", b"q1\td\xe9\t1\n", "qrels.tsv is not UTF-8 text: byte 0xe9"),
        ("qrels.tsv", "none\td1\t1\n", "0 queries of 1 that were judged"),
        ("qrels.tsv", "q1\td1\t0\n", "0 queries of 0"),
        ("docs.jsonl", "", "0 documents"),
    ],
)
def test_a_collection_that_cannot_be_used_is_one_line(refuses, data, name, content, said):
    if content is None:
        (data / name).unlink()
    else:
        (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert said in refuses("eval", "--data", data, "--model", "fake:8")


def test_byte_order_marks_blank_lines_and_single_documents_that_are_missing_are_no_fault(data):
    whole = Collection.load(data)
    for path in data.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n") + b"\r\n")
    assert Collection.load(data) == whole
    with (data / "qrels.tsv").open("a") as file:
        file.write("q1\tnone\t1\n")
    assert Collection.load(data).grades["q1"]["none"] == 1


def test_a_collections_queries_without_a_relevant_document_are_left_out(data):
    collection = Collection.load(data)
    assert list(collection.queries) == [f"q{n}" for n in range(COUNT - 1)]
    assert collection.documents["d3"] == "Title 3 text 3"
    with pytest.raises(InvalidInputError):
        Collection.load(data / "nowhere")


@pytest.mark.slow
def test_minilm_finds_what_is_known_of_it_on_scifact(run, scifact, minilm_path, tmp_path):
    (tmp_path / "data").mkdir()
    few = dict(list(scifact.relevant.items())[:60])
    named = {document for known in few.values() for document in known}
    others = [document for document in scifact.documents if document not in named][:400]
    documents = [{"id": name, "text": scifact.documents[name]} for name in [*named, *others]]
    queries = [{"id": name, "text": scifact.queries[name]} for name in few]
    for name, rows in (("docs", documents), ("queries", queries)):
        (tmp_path / "data" / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lines = [f"{query}\t{document}\t{grade}" for query, known in few.items() for document, grade in known.items()]
    (tmp_path / "data" / "qrels.tsv").write_text("\n".join(lines))
    rows = json.loads(
        run("eval", "--data", "data", "--model", f"local:{minilm_path}", "--reduction", "pca:64", "--json").out
    )
    assert rows[0]["ndcg@10"] > 0.75
    assert 0.5 < rows[1]["ndcg@10"] < rows[0]["ndcg@10"]


@pytest.mark.parametrize("command", ["eval", "bench"])
@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine")
def test_all_embedders_of_a_command_spend_of_one_budget(run, refuses, data, server, monkeypatch, command):
    """The dear model leaves half of what the cheap one costs, which by itself could have been paid twenty times."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    dear, cheap = "openai:text-embedding-3-large", "openai:text-embedding-3-small"
    models = (
        ("eval", "-m", dear, "-m", cheap) if command == "eval" else ("migrate", "bench", "--from", dear, "--to", cheap)
    )
    once = (*models, "--data", data, "--concurrency", 1, "--batch-size", 10, "--no-cache")

    def billed():
        dollars = {"text-embedding-3-large": 0.13e-6, "text-embedding-3-small": 0.02e-6}
        return {
            model: sum(each.tokens for each in server.requests if each.model == model) * price
            for model, price in dollars.items()
        }

    assert run(*once, "--max-cost", 1).status == 0
    whole = billed()
    budget = whole["text-embedding-3-large"] + whole["text-embedding-3-small"] / 2
    server.reset()
    said = refuses(*once, "--max-cost", budget)
    assert f"the rest of --max-cost {budget:g} is spent by other embedders" in said
    assert billed()["text-embedding-3-large"] == whole["text-embedding-3-large"]
    assert sum(billed().values()) <= budget
