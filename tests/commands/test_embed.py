"""`embedbridge embed`: every format in, every format out, the right vector beside each text."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.cli import main
from embedbridge.cli.common import dollars
from embedbridge.cli.outputs import open_output
from embedbridge.cli.records import Entry
from embedbridge.providers.fake import fake_vectors

TEXTS = ["Ravens plan ahead.", "Roggen braucht kalte Winter, „Über“.", 'A "quoted", text,\twith all.', "月の引力"]
FAKE = ("--model", "fake:8")


def as_jsonl(texts=TEXTS, column="text"):
    rows = [{"id": number, column: text, "tags": ["a"]} for number, text in enumerate(texts)]
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def as_csv(texts=TEXTS, delimiter=","):
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerows([["id", "text"], *enumerate(texts)])
    return table.getvalue().encode()


def as_parquet(texts=TEXTS):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": range(len(texts)), "text": texts}), sink)
    return sink.getvalue()


MADE = {
    "jsonl": as_jsonl(),
    "ndjson": as_jsonl(),
    "csv": as_csv(),
    "tsv": as_csv(delimiter="\t"),
    "txt": "\n".join(TEXTS).encode() + b"\n",
}


def vectors_of(path):
    """The vectors in a file that the command wrote."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return archive["vectors"]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return np.array(parquet.read_table(path)["embedding"].to_pylist(), dtype=np.float32)
    return np.array([json.loads(line)["embedding"] for line in path.read_text().splitlines()], dtype=np.float32)


@pytest.mark.parametrize("ending", [*MADE, "parquet"])
@pytest.mark.parametrize("out", ["npy", "npz", "jsonl", "parquet"])
def test_every_format_becomes_every_other(run, tmp_path, ending, out):
    if out == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / f"in.{ending}").write_bytes(MADE.get(ending) or as_parquet())
    ran = run("embed", f"in.{ending}", "-o", f"out.{out}", *FAKE)
    assert (ran.status, ran.err) == (0, "")
    vectors = vectors_of(tmp_path / f"out.{out}")
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, fake_vectors(TEXTS, 8))
    assert "4 texts → out." in ran.out
    assert {path.name for path in tmp_path.iterdir()} == {f"in.{ending}", f"out.{out}", "user-cache"}


@pytest.mark.parametrize("out", ["jsonl", "parquet"])
def test_records_are_kept_beside_their_vectors(run, tmp_path, out):
    (tmp_path / "in.jsonl").write_bytes(as_jsonl())
    run("embed", "in.jsonl", "-o", f"out.{out}", "--output-column", "v", *FAKE)
    if out == "jsonl":
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["id"], row["text"], row["tags"]) for row in rows] == [
        (number, text, ["a"]) for number, text in enumerate(TEXTS)
    ]
    assert np.array_equal(np.array([row["v"] for row in rows], np.float32), fake_vectors(TEXTS, 8))


def test_order_holds_over_chunks_requests_and_duplicates(run, tmp_path):
    texts = [f"text {number % 701}" for number in range(2000)]
    (tmp_path / "in.txt").write_text("\n".join(texts))
    ran = run("embed", "in.txt", "-o", "out.npy", *FAKE, "--chunk-size", 64, "--batch-size", 7, "--json")
    assert np.array_equal(np.load(tmp_path / "out.npy"), fake_vectors(texts, 8))
    told = json.loads(ran.out)
    assert (told["texts"], told["misses"], told["dimensions"]) == (2000, 701, 8)


def test_pipes_on_both_sides(run):
    ran = run("embed", "-", "-o", "-", *FAKE, stdin=b"a\nb\n")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["text"] for row in rows] == ["a", "b"]
    assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), fake_vectors(["a", "b"], 8))
    assert "2 texts" in ran.err


def test_any_format_goes_through_a_pipe(tmp_path):
    pytest.importorskip("pyarrow")
    command = [sys.executable, "-m", "embedbridge", "embed", "-", "-o", "-", *FAKE]
    done = subprocess.run(
        [*command, "--format", "parquet", "--to", "npy"],
        input=as_parquet(),
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert np.array_equal(np.load(io.BytesIO(done.stdout)), fake_vectors(TEXTS, 8))


def test_a_reader_that_has_left_is_no_error_of_ours(tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(f"text {number}" for number in range(5000)))
    command = [sys.executable, "-m", "embedbridge", "embed", "in.txt", "-o", "-", "--model", "fake:64"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout.readline().startswith(b'{"text": "text 0"')
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


def test_a_device_a_link_and_a_folder_stay_what_they_are(run, refuses, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    os.mkfifo(tmp_path / "pipe.npy")
    reader = subprocess.Popen(["cat", "pipe.npy"], cwd=tmp_path, stdout=subprocess.PIPE)  # noqa: S607 - the system's
    assert run("embed", "in.txt", "-o", "pipe.npy", *FAKE).status == 0
    assert np.load(io.BytesIO(reader.communicate()[0])).shape == (2, 8)
    assert (tmp_path / "pipe.npy").is_fifo()
    (tmp_path / "link.npy").symlink_to("real.npy")
    assert run("embed", "in.txt", "-o", "link.npy", *FAKE).status == 0
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "real.npy").shape == (2, 8)
    (tmp_path / "folder.npy").mkdir()
    assert "'folder.npy' is a folder; name a file" in refuses("embed", "in.txt", "-o", "folder.npy", *FAKE)


def test_two_runs_into_one_file_do_not_mix(tmp_path):
    ended = ExitStack()
    earlier = ended.enter_context(open_output(str(tmp_path / "out.npy"), "npy", ""))
    earlier.write([Entry({}, "", 1)], np.ones((1, 2), np.float32))
    with open_output(str(tmp_path / "out.npy"), "npy", "") as later:
        earlier.write([Entry({}, "", 2)], np.ones((1, 2), np.float32))
        later.write([Entry({}, "", 1)], np.zeros((1, 2), np.float32))
    with pytest.raises(ConfigurationError, match=r"another run writes '.*out\.npy' too"):
        ended.close()
    assert np.load(tmp_path / "out.npy").tolist() == [[0, 0]]
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]


def test_a_stream_that_is_closed_is_named(refuses, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("a\n")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert "standard output is closed" in refuses("embed", "in.txt", "-o", "-", *FAKE)
    closed = subprocess.run(
        [sys.executable, "-m", "embedbridge", "embed", "-", "-o", "a.npy", *FAKE],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        preexec_fn=lambda: os.close(0),
    )
    assert closed.returncode == 1
    assert closed.stderr == "error: standard input is closed; name a file\n"


def test_the_column_is_named_or_found(run, refuses, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(as_jsonl(column="body"))
    said = refuses("embed", "in.jsonl", "-o", "out.npy", *FAKE)
    assert said == ("in.jsonl has no column 'text' but 'id', 'body', 'tags'; name the one to embed with --column\n")
    run("embed", "in.jsonl", "-o", "out.npy", "--column", "body", *FAKE)
    assert np.array_equal(np.load(tmp_path / "out.npy"), fake_vectors(TEXTS, 8))
    (tmp_path / "one.csv").write_text("passage\na\nb\n")
    run("embed", "one.csv", "-o", "out.npy", *FAKE)
    assert np.array_equal(np.load(tmp_path / "out.npy"), fake_vectors(["a", "b"], 8))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.jsonl", b'{"text": "a"}\n\n{"text": \n', "in.jsonl, line 3: this is not JSON"),
        ("in.jsonl", b'{"text": "a"}\n{"body": "b"}\n', "in.jsonl, line 2: no column 'text' but 'body'"),
        ("in.jsonl", b'{"text": "a"}\n{"text": 3}\n', "in.jsonl, line 2: 'text' is int, and not a text"),
        ("in.jsonl", b'{"text": "a"}\n{"text": null}\n', "in.jsonl, line 2: 'text' is nothing"),
        ("in.jsonl", b'{"text": "a"}\n[1]\n', "in.jsonl, line 2: neither an object nor a text"),
        (
            "in.txt",
            b"a\nb\n\nc\n",
            "in.txt, line 3: the text is empty; leave it out, or get a zero vector with --empty",
        ),
        ("in.txt", b"a\n\xff\n", "in.txt is not UTF-8 text: byte 0xff"),
        ("in.csv", b"id,text\n1,a\n2\n", "in.csv, record 2: 'text' is nothing"),
        ("in.csv", b"id,text\n1,a,b\n", "in.csv, record 1: more cells than the header names"),
        ("in.csv", b'id,text\n1,"a\n', "in.csv, record 1: unexpected end of data"),
        ("in.csv", b"text,text\na,b\n", "in.csv, record 1: the header names 'text' more than once"),
        (
            "in.jsonl",
            b'{"text": "a"}\n' + b"[" * 100_000,
            "in.jsonl, line 2: this is not JSON: maximum recursion",
        ),
        ("in.jsonl", b'{"text": "a"}\n\n{"text": "\\ud800"}\n', "in.jsonl, line 3: text 1 holds a lone surrogate"),
        ("in.pdf", b"%PDF", "the format of 'in.pdf' is not one of jsonl, csv, tsv, txt, parquet"),
    ],
)
def test_a_record_that_cannot_be_embedded_is_named_by_its_place(refuses, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refuses("embed", name, "-o", "out.npy", *FAKE)
    assert not list(tmp_path.glob("out*"))


def test_a_text_that_the_model_refuses_is_named_by_its_line(refuses, tmp_path):
    rows = [{"text": "short"}] * 50 + [{"text": "a very long text " * 20}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))
    limited = (*FAKE, "--option", "max_tokens=20", "--too-long", "error", "--chunk-size", 10)
    for out in ("out.npy", "out.jsonl"):
        said = refuses("embed", "in.jsonl", "-o", out, *limited)
        assert said.startswith("in.jsonl, line 101: text 50 ")


def test_a_field_that_utf8_cannot_hold_is_kept_in_jsonl_and_named_for_parquet(run, refuses, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "in.jsonl").write_text('{"text": "a", "id": "\\ud800"}\n{"text": "ü", "id": "é"}\n')
    assert run("embed", "in.jsonl", "-o", "out.jsonl", *FAKE).status == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["\ud800", "é"]
    assert "write JSONL" in refuses("embed", "in.jsonl", "-o", "out.parquet", *FAKE)


def test_a_broken_parquet_file_is_named(refuses, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "in.parquet").write_bytes(b"PAR1 and nothing more")
    assert "in.parquet" in refuses("embed", "in.parquet", "-o", "out.npy", *FAKE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("in.txt", "-o", "out.doc"),
            "the format of 'out.doc' is not one of npy, npz, jsonl, parquet; name one with --to\n",
        ),
        (("none.txt", "-o", "out.npy"), "none.txt: No such file or directory"),
        (("in.txt", "-o", "none/out.npy"), "there is no folder 'none' for the vectors"),
        (("in.txt", "-o", "out.npy", "--dimensions", "9"), "fake:8 gives 8 dimensions"),
        (("in.txt", "-o", "out.npy", "--option", "speed=1"), "--option speed: "),
        (("in.txt", "-o", "out.npy", "--reduction", "none.npz"), "none.npz is not a PCA"),
    ],
)
def test_what_cannot_work_is_one_line(refuses, tmp_path, arguments, said):
    (tmp_path / "in.txt").write_text("a\n")
    assert refuses("embed", *arguments, *FAKE).startswith(said)


WRONG = (("--chunk-size", "0"), ("--option", "latency"), ("--too-long", "cut"), ("--model",), ())


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_is_told_in_two_lines_of_which_one_names_the_help(run, capfdbinary, wrong):
    with pytest.raises(SystemExit) as caught:
        run("embed", "in.txt", *(("-o", "out.npy", *wrong) if wrong else ()))
    assert caught.value.code == 2
    fault, help_ = capfdbinary.readouterr().err.decode().splitlines()
    assert fault.startswith("error: ")
    assert help_ == "see: embedbridge embed --help"


def test_a_failed_call_is_one_line_where_nobody_has_set_up_a_log(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    hosted = ("--model", "openai:m", "--base-url", "http://127.0.0.1:1/v1", "--max-retries", "0", "--query-prefix", "")
    command = [sys.executable, "-m", "embedbridge", "embed", "in.txt", "-o", "out.npy", *hosted]
    environment = os.environ | {"OPENAI_API_KEY": "sk-test"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert ran.returncode == 1
    assert ran.stderr == "error: openai:m at http://127.0.0.1:1/v1, text 0: no connection: refused\n"


@pytest.mark.parametrize("called", [(), ("cache",)])
def test_a_call_that_names_no_command_lists_them(run, called):
    ran = run(*called)
    assert (ran.status, ran.out) == (2, "")
    assert ("look at the cache on disk" if not called else "read every entry and its checksum") in ran.err


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "no price"),
        (0.0, "$0.00"),
        (2e-8, "<$0.000001"),
        (2e-6, "$0.000002"),
        (0.0123, "$0.0123"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars_are_told_to_the_cent_and_as_much_below_as_matters(amount, shown):
    assert dollars(amount) == shown


@pytest.mark.parametrize("command", ["embed", "eval"])
def test_the_help_tells_the_librarys_defaults(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "retries after the first attempt (default: 5)" in told
    assert "seconds per request (default: 60)" in told
    assert "the model reads (default: truncate)" in told


def test_one_of_a_thing_is_told_in_the_singular(run, tmp_path):
    (tmp_path / "in.txt").write_text("alone\n")
    assert run("embed", "in.txt", "--dry-run", *FAKE).out.startswith(
        "1 text, 0 of them in the cache\nthe others take 1 request "
    )
    lines = run("embed", "in.txt", "-o", "out.npy", *FAKE).out.splitlines()
    assert lines[0].startswith("1 text → out.npy ")
    assert "1 embedded: 1 request, 0 retries, " in lines[1]


def test_a_package_that_is_missing_is_named_with_its_extra(refuses, tmp_path, monkeypatch):
    (tmp_path / "in.parquet").write_bytes(b"")
    (tmp_path / "in.txt").write_text("a\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    wanted = 'Parquet needs pyarrow; run: pip install "embedbridge[parquet]"\n'
    assert refuses("embed", "in.parquet", "-o", "out.npy", *FAKE) == wanted
    assert refuses("embed", "in.txt", "-o", "out.parquet", *FAKE) == wanted
    assert not [*tmp_path.glob("out*")]


def test_jsonl_in_a_pipe_is_known_by_its_first_line(run):
    lines = b'{"id": 0, "text": "ravens"}\n{"id": 1, "text": "rye"}\n'
    ran = run("embed", "-", "-o", "-", *FAKE, stdin=lines)
    assert [{**json.loads(line), "embedding": None} for line in ran.out.splitlines()] == [
        {"id": 0, "text": "ravens", "embedding": None},
        {"id": 1, "text": "rye", "embedding": None},
    ]
    as_text = run("embed", "-", "-o", "-", "--format", "txt", *FAKE, stdin=lines)
    assert json.loads(as_text.out.splitlines()[0])["text"] == '{"id": 0, "text": "ravens"}'
    assert (
        json.loads(run("embed", "-", "-o", "-", *FAKE, stdin=b"[1] is no object\n").out)["text"] == "[1] is no object"
    )


def test_quiet_writes_vectors_and_nothing_else(run):
    ran = run("embed", "-", "-o", "-", "--quiet", *FAKE, stdin=b"a\n")
    assert (ran.status, ran.err, ran.out.count("\n")) == (0, "", 1)


def test_a_warning_is_a_line_like_the_others(tmp_path):
    (tmp_path / "in.txt").write_text("passage: a\n")
    command = [sys.executable, "-m", "embedbridge", "embed", "in.txt", "-o", "out.npy", *FAKE]
    done = subprocess.run(
        [*command, "--document-prefix", "passage: "], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.startswith("warning: text 0 already begins with the document prefix 'passage: '")
    assert done.stderr.count("\n") == 1


def test_fields_of_many_kinds_are_for_jsonl(run, refuses, tmp_path):
    pytest.importorskip("pyarrow")
    rows = [{"text": "a", "n": None}, {"text": "b", "n": "x"}, {"text": "c", "n": 3, "more": 1}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    once = ("embed", "in.jsonl", *FAKE, "--chunk-size", 1, "-o")
    assert "write JSONL" in refuses(*once, "out.parquet")
    assert run(*once, "out.jsonl").status == 0
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[:2]))
    assert run(*once, "out.parquet").status == 0
    assert "a field 'embedding' already" in refuses("embed", "out.jsonl", *FAKE, "-o", "again.jsonl")


def test_parquet_keeps_its_columns_types(run, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table(
        {
            "text": TEXTS,
            "late": pa.array([None, None, None, 3], pa.int32()),
            "moment": pa.array([1, 2, 3, 4], pa.timestamp("ns", "UTC")),
            "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
            "pairs": pa.array([[("k", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
            "nothing": pa.nulls(4),
        }
    )
    for rows in (table, table[:0]):
        parquet.write_table(rows, tmp_path / "in.parquet")
        piped = (tmp_path / "in.parquet").read_bytes()
        assert run("embed", "in.parquet", "-o", "a.parquet", *FAKE, "--chunk-size", 1).status == 0
        assert run("embed", "-", "--format", "parquet", "-o", "b.parquet", *FAKE, stdin=piped).status == 0
        for name in ("a.parquet", "b.parquet"):
            written = parquet.read_table(tmp_path / name).drop(["embedding"])
            assert (written.schema, written.to_pylist()) == (rows.schema, rows.to_pylist())


def test_an_empty_file_gives_no_rows_of_the_right_width(run, tmp_path):
    for ending in ("txt", "jsonl", "csv"):
        (tmp_path / f"in.{ending}").write_bytes(b"")
        ran = run("embed", f"in.{ending}", "-o", "out.npy", *FAKE)
        assert (ran.status, ran.err) == (0, f"warning: in.{ending} has no texts, and out.npy no vectors\n")
        assert np.load(tmp_path / "out.npy").shape == (0, 8)


@pytest.mark.parametrize(("content", "rows"), [(b"", 0), (b" \n\n", 2)])
def test_a_file_without_a_text_gives_a_parquet_file_also_of_a_model_of_unknown_width(run, tmp_path, content, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in.txt").write_bytes(content)
    unknown = ("--model", "openai:unknown", "--base-url", "http://127.0.0.1:9", "--no-cache", "--empty", "zero")
    assert run("embed", "in.txt", "-o", "out.parquet", *unknown).status == 0
    assert parquet.read_table(tmp_path / "out.parquet")["embedding"].to_pylist() == [[]] * rows


def test_empty_texts_may_become_zero_vectors(run, tmp_path):
    (tmp_path / "in.txt").write_text("a\n\nb\n")
    run("embed", "in.txt", "-o", "out.npy", "--empty", "zero", *FAKE)
    assert np.load(tmp_path / "out.npy").any(axis=1).tolist() == [True, False, True]


def test_options_reach_the_embedder(run, tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    own = ("--query-prefix", "query: ", "--input-type", "query", "--dimensions", 4, "--no-cache")
    ran = run("embed", "in.txt", "-o", "out.npy", *FAKE, *own, "--option", "max_tokens=100")
    assert ran.status == 0
    embedder = Embedder("fake:8", cache=False, query_prefix="query: ", dimensions=4)
    assert np.array_equal(np.load(tmp_path / "out.npy")[0], embedder.embed_query("a"))
    assert not (tmp_path / "user-cache").exists()


def test_texts_that_were_cut_are_counted(run, tmp_path):
    (tmp_path / "in.txt").write_text("short\n" + "a very long text " * 20 + "\n")
    ran = run("embed", "in.txt", "-o", "out.npy", *FAKE, "--option", "max_tokens=20")
    assert "\nlonger than the model reads: 1 text (" in ran.out


# Money, and going on.


@pytest.fixture
def priced(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    (tmp_path / "in.txt").write_text("".join(f"{number:08} a text of eight tokens.\n" for number in range(100)))
    return ("--model", "openai:text-embedding-3-small", "--base-url", f"{server.url}/v1", "--batch-size", "10")


def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(run, priced, server, monkeypatch):
    ran = run("embed", "in.txt", *priced, "--dry-run", "--json")
    cost = 800 * 0.02 / 1e6
    estimate = json.loads(ran.out)
    assert estimate.pop("cost_at_most") >= estimate["cost"]
    assert estimate.pop("batch_cost") == pytest.approx(cost / 2)
    assert (estimate.pop("batch_tokens"), estimate.pop("pending")) == (800, 0)
    assert estimate == {"texts": 100, "cached": 0, "requests": 10, "tokens": 800, "cost": pytest.approx(cost)}
    assert len(server.requests) == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    assert estimate.items() <= json.loads(run("embed", "in.txt", *priced, "--dry-run", "--json").out).items()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    run("embed", "in.txt", "-o", "out.npy", *priced)
    assert server.stats.tokens == 800
    lines = run("embed", "in.txt", *priced, "--dry-run", "--chunk-size", 30).out.splitlines()
    assert lines == ["100 texts, 100 of them in the cache", "the others take 0 requests and about 0 tokens: $0.00"]


def test_a_dry_run_names_a_text_that_a_run_would_refuse_by_its_place_in_the_file(refuses, priced, server):
    options = ("--too-long", "error", "--chunk-size", 30, "--dry-run")
    with open("in.txt", "a") as file:  # noqa: PTH123 - the test's own directory
        file.write("word " * 20_000)
    said = refuses("embed", "in.txt", *priced, *options)
    assert said.startswith("text 100 has ")
    assert "the model reads 8191" in said
    assert len(server.requests) == 0


def test_a_job_that_fails_goes_on_when_it_is_run_again(run, refuses, priced, server, tmp_path):
    server.script(*["ok"] * 6, "401")
    once = ("embed", "in.txt", "-o", "out.npy", *priced, "--concurrency", 1, "--chunk-size", 20)
    said = refuses(*once)
    assert said.startswith("openai:text-embedding-3-small")
    assert "texts are finished: the command goes on from there when it is run again)" in said
    assert "secret" not in said
    assert not list(tmp_path.glob("out*"))
    billed = server.stats.texts
    assert 60 <= billed < 100
    assert json.loads(run(*once, "--json").out)["hits"] == billed
    assert server.stats.texts == 100


def test_the_highest_cost_is_kept_and_the_summary_tells_dollars(run, refuses, priced, server):
    once = ("embed", "in.txt", "-o", "out.npy", *priced)
    assert "--max-cost" in refuses(*once, "--max-cost", "0.000005", "--concurrency", 1)
    kept, limit = server.stats.texts, 250  # tokens that the highest cost pays for
    assert 200 <= server.stats.tokens == 8 * kept <= limit
    told = run(*once).out.splitlines()
    assert told[0].startswith("100 texts → out.npy (1536 dimensions, 600.1 KiB)")
    assert told[1].startswith(f"{kept} from the cache, {100 - kept} embedded: ")
    assert told[1].endswith(f" 0 retries, {800 - 8 * kept} tokens; $0.000012 spent, $0.000004 saved")


def test_a_bar_moves_where_it_is_wanted(run, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"text {number % 90}\n" for number in range(300)))
    once = ("embed", "in.txt", "-o", "out.npy", *FAKE)
    assert run(*once).err == ""
    drawn = run(*once, "--progress", "--chunk-size", 50).err
    assert "300/300" in drawn
    assert "300/300" in run(*once, "--progress", "--dry-run").err


LINES = 100_000


def write_lines(path, count):
    with path.open("w") as file:
        file.writelines(f"{passage(number)}\n" for number in range(count))
    return path


@pytest.fixture
def long_file(tmp_path):
    return write_lines(tmp_path / "in.txt", LINES)


def passage(number):
    return f"Passage {number} of a long corpus, unlike any other."


@pytest.mark.slow
def test_a_long_file_goes_on_after_a_kill(tmp_path, long_file):
    command = ("embed", long_file.name, "-o", "out.npy", "--model", "fake:256", "--cache", "cache", "--json")
    kept = kill_after(LINES // 10, *command, "--option", "latency=0.1", folder=tmp_path)
    assert not (tmp_path / "out.npy").exists()
    assert LINES // 10 <= kept < LINES
    _, told = peak(*command, folder=tmp_path)
    assert (told["hits"], told["misses"]) == (kept, LINES - kept)
    vectors = np.load(tmp_path / "out.npy", mmap_mode="r")
    assert vectors.shape == (LINES, 256)
    some = [0, 4095, 4096, 50_000, LINES - 1]
    assert np.array_equal(vectors[some], fake_vectors([passage(number) for number in some], 256))


@pytest.mark.slow
def test_memory_is_bounded_however_long_the_file_is(tmp_path, long_file):
    write_lines(tmp_path / "few.txt", LINES // 4)
    options = ("-o", "out.npy", "--model", "fake:512", "--cache", "cache", "--chunk-size", 512, "--json")
    few, _ = peak("embed", "few.txt", *options, folder=tmp_path)
    many, _ = peak("embed", long_file.name, *options, folder=tmp_path)
    all_vectors = LINES * 512 * 4 / 2**20
    assert many - few < all_vectors / 6  # three quarters of them are of the lines that only the long file has


@pytest.mark.long
def test_a_million_lines_take_the_memory_of_a_tenth_of_them_and_go_on_after_a_kill(tmp_path, capsys):
    some, many = LINES, 10 * LINES
    write_lines(tmp_path / "some.txt", some)
    write_lines(tmp_path / "many.txt", many)
    options = ("-o", "out.npy", "--model", "fake:32", "--json")
    less, _ = peak("embed", "some.txt", *options, "--cache", "other", folder=tmp_path)
    command = ("embed", "many.txt", *options, "--cache", "cache")
    kept = kill_after(many // 4, *command, folder=tmp_path)
    more, told = peak(*command, folder=tmp_path)
    again, repeated = peak(*command, folder=tmp_path)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what it is run for
            f"\n{some:,} lines: {less:.0f} MiB. {many:,}, {kept:,} of them before a kill: {more:.0f} MiB, "
            f"{told['seconds']:.0f} s; all from the cache: {again:.0f} MiB, {repeated['seconds']:.0f} s"
        )
    assert (told["hits"], told["misses"], told["texts"]) == (kept, many - kept, many)
    assert (repeated["hits"], repeated["misses"]) == (many, 0)
    # What may grow are the two connections' pages, until they are full; all vectors would be 122 MiB.
    assert max(more, again) - less < 32
    vectors = np.load(tmp_path / "out.npy", mmap_mode="r")
    places = np.linspace(0, many - 1, 1000, dtype=int)
    assert np.array_equal(vectors[places], fake_vectors([passage(number) for number in places], 32))


def kill_after(count, *arguments, folder):
    """Run the command, kill it without mercy once the cache holds so many vectors; returns how many it holds then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "embedbridge", *map(str, arguments)], cwd=folder, stdout=subprocess.DEVNULL
    )
    while entries(folder) < count:
        assert process.poll() is None
    process.kill()
    process.wait()
    return entries(folder)


def peak(*arguments, folder):
    """The highest memory of the command, in MiB, and what it told."""
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stderr) / 1024, json.loads(done.stdout)


def test_an_interrupt_ends_it_at_once_and_leaves_no_half_file(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"text {number}\n" for number in range(10_000)))
    command = [sys.executable, "-m", "embedbridge", "embed", "in.txt", "-o", "out.npy", *FAKE]
    process = subprocess.Popen([*command, "--option", "latency=3600"], cwd=tmp_path, stderr=subprocess.PIPE)
    while not (tmp_path / "out.npy.part").exists():
        assert process.poll() is None
    said, pressed = None, 0
    while said is None and pressed < 3:  # Python drops one that comes while a finalizer of its own runs, and says so
        process.send_signal(signal.SIGINT)
        pressed += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    told = b"interrupted: 0 texts are in the cache; run the same command again to go on\n"
    assert pressed > 1 or said == told
    assert {path.name for path in tmp_path.iterdir()} <= {"in.txt", "user-cache"}


INTERRUPTED = """
import runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
runpy.run_module("embedbridge", run_name="__main__")
"""


def test_an_interrupt_while_the_command_line_is_imported_ends_it_in_one_line():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, "models"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


PEAK = """
import re, resource, sys
from pathlib import Path
from embedbridge.cli import main
from embedbridge.cli.common import dollars
from embedbridge.cli.outputs import open_output
from embedbridge.cli.records import Entry
status, told = main(sys.argv[1:]), Path("/proc/self/status")
highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(re.search(r"VmHWM:\\s+(\\d+)", told.read_text())[1] if told.exists() else highest, file=sys.stderr)
sys.exit(status)
"""
"""Runs the command and tells its highest memory in KiB. What `resource` tells may be that of the process that started
it, so Linux's own figure is taken where there is one."""


def entries(folder):
    """How many vectors a cache holds, seen from another process."""
    if not (folder / "cache" / "entries" / "cache.db").exists():
        return 0
    done = subprocess.run(
        [sys.executable, "-m", "embedbridge", "cache", "stats", "--json", "--cache", "cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)["entries"] if done.returncode == 0 else 0
