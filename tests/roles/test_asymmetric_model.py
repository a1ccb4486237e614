"""multilingual-e5-small, which wants `query: ` and `passage: `: every way to it gives its own vectors."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

from .parts import CONFIG, loaded, shallow, variant

pytestmark = pytest.mark.one_flow

NAME = "multilingual-e5-small"
TEXTS = [
    "Ravens plan ahead.",
    "Roggen braucht kalte Winter.",
    "naïve café ☕ 東京",
    "two\nlines and a tab\there",
]
LONG = "word " * 900
CLOSE = 1e-6


@pytest.fixture(scope="module")
def reference(e5_path):
    return loaded(e5_path)


@pytest.fixture(scope="module")
def queries(reference):
    return reference.encode_query(TEXTS, show_progress_bar=False)


@pytest.fixture(scope="module")
def documents(reference):
    return reference.encode_document(TEXTS, show_progress_bar=False)


def local(path, **options):
    return Embedder(f"local:{path}", cache=False, **options)


def far(ours, theirs):
    """The largest difference between two sets of vectors."""
    return np.abs(np.asarray(ours) - theirs).max()


def test_the_two_roles_of_this_model_are_far_apart(queries, documents):
    assert far(queries, documents) > 0.01


def test_queries_and_documents_equal_the_models_own(caller, e5_path, queries, documents):
    embedder = local(e5_path)
    assert far(caller.embed(embedder, TEXTS, input_type="query").vectors, queries) < CLOSE
    assert far(caller.embed_query(embedder, TEXTS[0]), queries[0]) < CLOSE
    assert far(caller.embed_documents(embedder, TEXTS), documents) < CLOSE


def test_a_text_that_is_too_long_is_cut_where_the_model_cuts_it_its_prefix_counted(caller, e5_path, tmp_path):
    path = shallow(e5_path, tmp_path / NAME)
    result = caller.embed(local(path), [LONG])
    assert far(result.vectors[0], loaded(path).encode_document(LONG, show_progress_bar=False)) < CLOSE
    assert [(cut.index, cut.kept) for cut in result.report.cut] == [(0, 512)]


def test_so_they_do_through_langchain(e5_path, queries, documents):
    face = BridgeEmbeddings(model=f"local:{e5_path}", cache=False)
    assert far(face.embed_query(TEXTS[0]), queries[0]) < CLOSE
    assert far(face.embed_documents(TEXTS), documents) < CLOSE


async def test_so_they_do_through_langchains_coroutines(e5_path, queries, documents):
    face = BridgeEmbeddings(model=f"local:{e5_path}", cache=False)
    assert far(await face.aembed_query(TEXTS[0]), queries[0]) < CLOSE
    assert far(await face.aembed_documents(TEXTS), documents) < CLOSE


def test_so_they_do_through_llama_index(e5_path, queries, documents):
    face = BridgeEmbedding(model=f"local:{e5_path}", cache=False)
    assert far(face.get_query_embedding(TEXTS[0]), queries[0]) < CLOSE
    assert far(face.get_text_embedding_batch(TEXTS), documents) < CLOSE


async def test_so_they_do_through_llama_indexs_coroutines(e5_path, queries, documents):
    face = BridgeEmbedding(model=f"local:{e5_path}", cache=False)
    assert far(await face.aget_query_embedding(TEXTS[0]), queries[0]) < CLOSE
    assert far(await face.aget_text_embedding_batch(TEXTS), documents) < CLOSE


@pytest.fixture(
    scope="module", params=[{}, {"query": "", "document": ""}, {"query": "query: "}], ids=["none", "empty", "one"]
)
def without_prompts(request, e5_path, tmp_path_factory):
    return variant(e5_path, tmp_path_factory.mktemp("lost") / NAME, prompts=request.param)


def test_where_prompts_were_lost_the_catalogue_has_them(caller, without_prompts, queries, documents):
    embedder = local(without_prompts)
    assert embedder.route("document").source == "catalogue"
    assert far(caller.embed(embedder, TEXTS, input_type="query").vectors, queries) < CLOSE
    assert far(caller.embed_documents(embedder, TEXTS), documents) < CLOSE


def test_a_prompt_that_every_text_gets_by_default_does_not_come_on_top(caller, e5_path, tmp_path, queries, documents):
    path = variant(e5_path, tmp_path / "own", prompts={"all": "clustering: "}, default_prompt_name="all")
    embedder = local(path, query_prefix="query: ", document_prefix="passage: ")
    assert far(caller.embed_query(embedder, TEXTS[0]), queries[0]) < CLOSE
    assert far(caller.embed_documents(embedder, TEXTS), documents) < CLOSE


def test_prompts_are_found_under_whatever_name_they_were_saved(caller, e5_path, tmp_path, documents):
    path = variant(e5_path, tmp_path / "own", prompts={"query": "query: ", "passage": "passage: "})
    assert far(caller.embed_documents(local(path), TEXTS), documents) < CLOSE


def test_saved_prompts_are_read_as_utf8_in_every_locale(e5_path, tmp_path):
    pytest.importorskip("sentence_transformers")
    path = variant(e5_path, tmp_path / "mine")
    settings = {"prompts": {"query": "検索クエリ: ", "document": "文書: "}}
    (path / CONFIG).write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    program = f"import embedbridge; print(ascii(embedbridge.Embedder({f'local:{path}'!r}).route('query').prefix))"
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=ascii_only, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii("検索クエリ: ")


@pytest.mark.parametrize("content", [b'{"prompts": ', b'{"prompts": "\xff"}'])
def test_a_damaged_file_of_a_model_is_an_error_that_names_it(e5_path, tmp_path, content):
    path = variant(e5_path, tmp_path / "mine")
    (path / CONFIG).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{CONFIG} is no readable JSON"):
        local(path).embed_query("text")


def test_a_directory_of_another_name_gets_no_prefix_and_says_so_once(caller, e5_path, tmp_path, reference, caplog):
    embedder = local(variant(e5_path, tmp_path / f"{NAME}-finetuned", prompts={}))
    bare = reference.encode(TEXTS, prompt="", show_progress_bar=False)
    assert far(caller.embed(embedder, TEXTS, input_type="query").vectors, bare) < CLOSE
    assert far(caller.embed_documents(embedder, TEXTS), bare) < CLOSE
    assert caplog.text.count("is not in the catalogue and brings no prompts") == 1


def test_a_directory_of_any_name_that_brings_its_prompts_is_believed(caller, e5_path, tmp_path, queries, caplog):
    embedder = local(variant(e5_path, tmp_path / "mine"))
    assert far(caller.embed_query(embedder, TEXTS[0]), queries[0]) < CLOSE
    assert "catalogue" not in caplog.text


def test_an_option_stands_above_saved_prompts(caller, e5_path, queries, reference):
    embedder = local(e5_path, query_prefix="", document_prefix="query: ")
    bare = reference.encode(TEXTS[0], prompt="", show_progress_bar=False)
    assert far(caller.embed_query(embedder, TEXTS[0]), bare) < CLOSE
    assert far(caller.embed_documents(embedder, TEXTS), queries) < CLOSE


@pytest.mark.filterwarnings("ignore:text 0 already begins")
def test_a_text_that_has_its_prefix_is_embedded_as_if_it_had_not(caller, e5_path, queries, reference):
    written = f"query: {TEXTS[0]}"
    assert far(caller.embed_query(local(e5_path), written), queries[0]) < CLOSE
    assert far(reference.encode_query(written, show_progress_bar=False), queries[0]) > 0.001


def test_the_two_roles_of_a_text_never_share_a_cache_entry(caller, e5_path, tmp_path):
    with Embedder(f"local:{e5_path}", cache=tmp_path) as embedder:
        first = caller.embed(embedder, TEXTS[:1], input_type="query")
        second = caller.embed(embedder, TEXTS[:1], input_type="document")
        again = caller.embed(embedder, TEXTS[:1], input_type="query")
    assert (first.report.misses, second.report.misses, again.report.misses) == (1, 1, 0)
    assert far(first.vectors, second.vectors) > 0.01
