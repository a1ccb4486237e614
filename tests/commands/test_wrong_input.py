"""What is wrong with a file, a flag or a collection is told in one line, in the words of the command line."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest
from pyarrow import parquet

from embedbridge.cli.wording import FLAGS, in_flags
from embedbridge.options import EmbedderOptions

FAKE = ("--model", "fake:8", "--no-cache")
PYTHON = re.compile(rf"provider_options|api_key=|\b({'|'.join(FLAGS)})=|\b({'|'.join(n for n in FLAGS if '_' in n)})\b")
"""What a program says, and no person at a command line."""


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--model", "fake:8", FLAGS[name], "-1") for name in FLAGS if name not in {"model", "cache", "reduction"}),
        ("--model", "fake:8", "--reduction", ""),
        ("--model", "fake:8", "--cache", "redis//x"),
        ("--model", "fake:8", "--cache", ""),
        ("--model", "fake:8", "--option", "speed=1"),
        ("--model", "fake:8", "--option", "latency=x"),
        ("--model", "fake:8", "--option", "latency=Infinity"),
        ("--model", "fake:8", "--option", "force_dimensions=1"),
        ("--model", "fake:8", "--base-url", "http://127.0.0.1:1"),
        ("--model", "fake:8", "--tokens-per-minute", "inf"),
        ("--model", "openai:a-model"),
        ("--model", "azure:a-model", "--dry-run"),
        ("--model", "ollama:a-model", "--base-url", "http://127.0.0.1:1", "--max-retries", "0"),
        ("--model", "voyage:voyage-4", "--dimensions", "77", "--dry-run"),
        ("--model", "cohere:embed-v4.0", "--query-prefix", "x", "--dry-run"),
        ("--model", "openai:a-model", "--max-cost", "1", "--dry-run"),
        ("--model", "openai:a-model", "--option", 'body={"api_key": "sk-secret"}', "--dry-run"),
        ("--model", "openai:a-model", "--option", "verify=/nowhere", "--dry-run"),
    ],
    ids=" ".join,
)
def test_an_error_speaks_of_flags(run, tmp_path, arguments):
    """N8: 'set empty="zero"', 'pass api_key=…', 'provider_options of …', which no command line takes."""
    (tmp_path / "in.txt").write_text("a\n")
    try:
        ran = run("embed", "in.txt", "-o", "out.npy", *arguments)
    except SystemExit as stopped:
        assert stopped.code == 2  # noqa: PT017 - argparse has told it, which speaks of flags alone
        return
    if ran.status == 0:
        assert arguments[2] in {"--query-prefix", "--document-prefix"}, arguments  # of which -1 is one
        return
    assert not PYTHON.search(ran.err), ran.err
    assert "sk-secret" not in ran.err
    flags = [each for each in arguments if each.startswith("--") and each not in {"--model", "--dry-run"}]
    assert not flags or flags[0] in ran.err or "--base-url" in flags, ran.err


def test_each_option_has_its_flag_in_the_words_of_errors():
    said = "; ".join(f"{name}: wrong, set {name}='x y' or {name}=3, and {name}_x stays" for name in FLAGS)
    told = in_flags(said)
    for name, flag in FLAGS.items():
        assert f"{flag}: wrong, set {flag} x y or {flag} 3, and {name}_x stays" in told
    assert {*FLAGS} < {*EmbedderOptions.model_fields}


REPEATED = [("--model", "fake:9"), ("--no-cache", "--cache", "c"), ("--option", "latency=0", "--option", "latency=1")]
REPEATED += [("--timeout", "1", "--timeout", "2")]


@pytest.mark.parametrize("flags", REPEATED, ids=" ".join)
def test_of_two_values_none_is_dropped(run, tmp_path, flags):
    """N8: the last one won, without a word."""
    (tmp_path / "in.txt").write_text("a\n")
    try:
        assert run("embed", "in.txt", "-o", "out.npy", *FAKE, *flags).status == 1
    except SystemExit as stopped:
        assert stopped.code == 2  # noqa: PT017 - as above
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("name", ["in.jsonl", "in.txt"])
def test_vectors_do_not_take_the_place_of_the_texts(refuses, tmp_path, name):
    """N8: the file with the texts was gone."""
    (tmp_path / name).write_text('"a"\n')
    (tmp_path / "link.jsonl").symlink_to(name)
    for output in (name, f"./{name}", "link.jsonl"):
        assert "is the file of the texts" in refuses("embed", name, "-o", output, "--to", "jsonl", *FAKE)
    assert (tmp_path / name).read_text() == '"a"\n'


def test_a_column_where_there_are_none_is_refused(refuses, tmp_path):
    """N8: --output-column with npy changed nothing."""
    (tmp_path / "in.txt").write_text("a\n")
    assert "--output-column: npy has no columns" in refuses(
        "embed", "in.txt", "-o", "out.npy", "--output-column", "x", *FAKE
    )


DAMAGED = [
    ("in.jsonl", '{"text": "a", "text": "b"}\n', "in.jsonl, line 1: .*names 'text' more than once"),
    ("in.jsonl", '{"text": "a", "x": {"y": 1, "y": 2}}\n', "names 'y' more than once"),
    ("in.csv", "id;text\n1;a\n", "has one column, 'id;text'"),
    ("in.csv", "id\ttext\n1\ta\n", "has one column"),
    ("in.tsv", "id,text\n1,a\n", "has one column, 'id,text'"),
    ("in.txt", "\u00e9\n".encode("utf-16"), "in.txt is not UTF-8 text: byte 0xff; save it as UTF-8"),
]


@pytest.mark.parametrize(("name", "content", "told"), DAMAGED)
def test_a_file_that_says_two_things_or_not_what_is_meant_is_refused(refuses, tmp_path, name, content, told):
    """N8: the last of two fields won, and cells divided by semicolons were one text."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(told, refuses("embed", name, "-o", "out.npy", *FAKE))


def test_a_parquet_file_that_is_damaged_inside_or_has_a_name_twice_is_named(refuses, tmp_path):
    """N8: pyarrow's own OSError, without the file's name; of two columns the last one."""
    parquet.write_table(
        pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), tmp_path / "twice.parquet"
    )
    assert "names 'text' more than once" in refuses("embed", "twice.parquet", "-o", "out.npy", *FAKE)
    parquet.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "in.parquet")
    whole = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(whole[:6] + b"\xff" * 24 + whole[30:])
    assert "in.parquet, record 1: the file is damaged" in refuses("embed", "in.parquet", "-o", "out.npy", *FAKE)


COLLECTION = {
    "docs.jsonl": '{"id": "1", "text": "a"}\n{"id": "2", "text": "b"}\n',
    "queries.jsonl": '{"id": "q", "text": "a"}\n',
    "qrels.tsv": "q\t1\t1\n",
}
NO_COLLECTION = [
    ("docs.jsonl", '{"id": "1", "text": "a"}\n{"id": "1", "text": "b"}\n', "two texts under the id '1'"),
    ("docs.jsonl", '{"id": true, "text": "a"}\n', "line 1: not an object"),
    ("docs.jsonl", '{"id": null, "text": "a"}\n', "line 1: not an object"),
    ("docs.jsonl", '{"id": "1", "title": 5, "text": "a"}\n', "line 1: not an object"),
    ("docs.jsonl", "[" * 100_000, "line 1: not an object"),
    ("queries.jsonl", '{"id": "q", "text": "a"}\n{"id": "q", "text": "b"}\n', "two texts under the id 'q'"),
    ("queries.jsonl", '{"id": "q", "text": " "}\n', "--empty zero"),
    ("qrels.tsv", "q\t1\tnan\n", "line 1: 'nan' is no grade"),
    ("qrels.tsv", "q\t1\tinf\n", "line 1: 'inf' is no grade"),
    ("qrels.tsv", "x\ty\tscore\nq\t1\tone\n", "line 2: 'one' is no grade"),
    ("qrels.tsv", "q\t1\t1\nq\t1\t0\n", "grades document '1' twice"),
]


@pytest.mark.parametrize(("name", "content", "told"), NO_COLLECTION)
def test_a_collection_that_says_two_things_is_refused(refuses, tmp_path, name, content, told):
    """N8: the last one won, null was the id "None", and a grade that is no number was a header."""
    for file, usual in {**COLLECTION, name: content}.items():
        (tmp_path / file).write_text(usual)
    assert told in refuses("eval", "--data", ".", *FAKE)


@pytest.mark.parametrize("grade", ["1e0", "+1", "1.", "1"])
def test_a_number_on_the_first_line_is_a_grade_however_it_is_written(run, tmp_path, grade):
    for file, usual in {**COLLECTION, "qrels.tsv": f"q\t1\t{grade}\n"}.items():
        (tmp_path / file).write_text(usual)
    assert len(json.loads(run("eval", "--data", ".", "--json", *FAKE).out)) == 1


def test_a_cache_command_makes_no_folder_of_an_address_that_is_misspelt(refuses, tmp_path):
    """N8: `cache import` made the folder redis/x."""
    for job in (("stats",), ("path",), ("import", "x")):
        assert "misspelt" in refuses("cache", *job, "--cache", "redis//x")
    assert not (tmp_path / "redis").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("embd",), "did you mean 'embed'?\nsee: embedbridge --help"),
        (("cache", "stat"), "did you mean 'stats'?\nsee: embedbridge cache --help"),
        (("embed", "in.txt", "--dry-run", "--speed", "3"), "arguments: --speed 3\nsee: embedbridge embed --help"),
        (("cache", "stats", "--quick"), "arguments: --quick\nsee: embedbridge cache stats --help"),
    ],
)
def test_a_wrong_call_names_what_was_meant_and_the_commands_own_help(run, capfdbinary, arguments, told):
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert told in capfdbinary.readouterr().err.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("models", "nothing-like-it"), "no model 'nothing-like-it' is listed; `embedbridge models` lists all"),
        (("models", "openia"), "near it are openai"),
        (("embed", ".", "-o", "out.npy", *FAKE), "'.' is a folder; name a file"),
        (("embed", "in.txt", "-o", ".", *FAKE), "'.' is a folder; name a file"),
        (("embed", "in.txt", "--dry-run", "-m", "dashscope:text-embedding-v4"), "write 'openai:MODEL' with --base-url"),
        (("embed", "in.txt", "--dry-run", "-m", "google:gemini-embedding-001"), "did you mean 'google_genai'?"),
    ],
)
def test_a_name_that_means_nothing_here_is_told_what_to_write(run, tmp_path, arguments, told):
    (tmp_path / "in.txt").write_text("a\n")
    ran = run(*arguments)
    assert ran.status == 1
    assert told in ran.err


def test_the_page_of_a_model_stands_in_columns_and_says_how_its_name_is_written(run):
    page = run("models", "dashscope:text-embedding-v4").out
    heading, *roles = page.splitlines()[1:6]
    assert {line[heading.index("source") :] for line in roles} == {"catalogue"}
    assert "written as openai:text-embedding-v4 with --base-url https://dashscope" in " ".join(page.split())


def test_no_prefix_is_cut_shorter_than_the_heading_above_it(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("models", "bge").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("'Represent this sente…" in line for line in lines)
