"""From MiniLM to E5: what `bench` measures on SciFact is what `eval` measures."""

import json

import pytest

from embedbridge.cli import main
from support.retrieval import VECTORS


def tables(data, minilm, e5, capsys):
    """The rows of `eval` and those of `bench`."""
    models, place = [f"local:{minilm}", f"local:{e5}"], ["--cache", str(VECTORS), "--json", "--no-progress"]
    assert main(["eval", "--data", str(data), *(f"--model={model}" for model in models), *place]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert main(["migrate", "bench", "--data", str(data), "--from", models[0], "--to", models[1], *place[:3]]) == 0
    return expected, json.loads(capsys.readouterr().out)["rows"]


def written(scifact, folder, queries):
    """A folder of so many queries and the documents that bear on them."""
    chosen = sorted(scifact.relevant)[:queries]
    judged = [(query, document, grade) for query in chosen for document, grade in scifact.relevant[query].items()]
    wanted = {document for _, document, _ in judged} if queries < len(scifact.relevant) else scifact.documents.keys()
    for name, texts in (
        ("docs", {each: scifact.documents[each] for each in scifact.documents if each in wanted}),
        ("queries", {each: scifact.queries[each] for each in chosen}),
    ):
        lines = [json.dumps({"id": each, "text": text}) for each, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "qrels.tsv").write_text("".join(f"{query}\t{document}\t{grade}\n" for query, document, grade in judged))
    return folder


@pytest.mark.slow
def test_a_bench_of_a_part_of_scifact_is_what_eval_says(scifact, tmp_path, minilm_path, e5_path, capsys):
    expected, found = tables(written(scifact, tmp_path, 12), minilm_path, e5_path, capsys)
    assert found == expected
    assert found[1]["minus_first"] is not None


@pytest.mark.long
def test_a_bench_of_scifact_is_what_eval_says(scifact, tmp_path, minilm_path, e5_path, capsys):
    expected, found = tables(written(scifact, tmp_path, len(scifact.relevant)), minilm_path, e5_path, capsys)
    assert found == expected
