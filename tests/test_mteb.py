"""The package mteb runs its own tasks with an embedder of ours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.mteb import MTEBEncoder, role_of
from embedbridge.providers.fake import fake_vectors
from support.cases import each

TEXTS = [f"document {number}" for number in range(20)]


@pytest.fixture
def encoder():
    with Embedder("fake:32", cache=False, query_prefix="query: ") as embedder:
        yield MTEBEncoder(embedder)


def test_batches_and_plain_lists_become_one_matrix(encoder):
    batches = [{"text": TEXTS[:15], "id": range(15)}, {"text": TEXTS[15:]}]
    expected = fake_vectors(TEXTS, 32)
    assert np.array_equal(encoder.encode(batches, hf_split="test", hf_subset="default", batch_size=8), expected)
    assert np.array_equal(encoder.encode(TEXTS, task_name="a task of mteb 1"), expected)


def test_queries_have_the_models_prefix(encoder):
    side = SimpleNamespace(value="query")
    assert np.array_equal(encoder.encode([{"text": ["a"]}], prompt_type=side), fake_vectors(["query: a"], 32))


@each(
    ("side", "kind", "role"),
    [
        ("query", "Retrieval", "query"),
        ("passage", "Retrieval", "document"),
        (SimpleNamespace(value="document"), "Retrieval", "document"),
        (None, "Classification", "classification"),
        (None, "Clustering", "clustering"),
        (None, "STS", "classification"),  # L4
        (None, "PairClassification", "classification"),
        (None, "MultilabelClassification", "classification"),
        (None, "BitextMining", "classification"),
        (None, "Summarization", "classification"),
        ("query", "STS", "query"),
        (None, "Retrieval", "document"),
        (None, None, "document"),
    ],
)
def test_each_text_has_the_role_that_the_task_gives_it(side, kind, role):
    assert role_of(side, SimpleNamespace(type=kind)) == role


def test_texts_that_are_compared_with_their_like_have_the_models_symmetric_prefix(e5_path):
    """L4: E5's card wants `query: ` for semantic similarity, pairs and bitexts."""
    with Embedder(f"local:{e5_path}", cache=False) as embedder:
        found = MTEBEncoder(embedder).encode([{"text": TEXTS[:2]}], task_metadata=SimpleNamespace(type="STS"))
        assert np.abs(found - embedder.embed(TEXTS[:2], input_type="query").vectors).max() < 1e-6
        assert np.abs(found - embedder.embed_documents(TEXTS[:2])).max() > 1e-3


def test_similarities_are_cosines(encoder):
    vectors = encoder.encode(TEXTS)
    assert np.allclose(encoder.similarity(vectors, vectors), vectors @ vectors.T, atol=1e-6)
    assert np.allclose(encoder.similarity_pairwise(vectors, vectors[::-1]), (vectors * vectors[::-1]).sum(1), atol=1e-6)


@pytest.mark.filterwarnings("default")
def test_mteb_itself_evaluates_a_retrieval_task(tmp_path, monkeypatch):
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path))
    mteb = pytest.importorskip("mteb", reason="needs the package mteb")
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import EncoderProtocol

    class Known(AbsTaskRetrieval):
        """Each document asks for itself, but for two that ask for another."""

        metadata = TaskMetadata(
            name="Known",
            description="-",
            type="Retrieval",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            dataset={"path": "none/none", "revision": "0"},
        )

        def load_data(self, *_, **__):
            rows = Dataset.from_list([{"id": str(n), "text": text, "title": ""} for n, text in enumerate(TEXTS)])
            queries = Dataset.from_list([{"id": f"q{n}", "text": text} for n, text in enumerate(TEXTS)])
            judged = {f"q{n}": {str(n if n < 18 else 37 - n): 1} for n in range(len(TEXTS))}
            self.dataset = {
                "default": {"test": {"corpus": rows, "queries": queries, "relevant_docs": judged, "top_ranked": None}}
            }
            self.data_loaded = True

    with Embedder("fake:64", cache=False) as embedder:
        encoder = MTEBEncoder(embedder)
        assert isinstance(encoder, EncoderProtocol)
        (result,) = mteb.evaluate(encoder, [Known()], cache=None, co2_tracker=False, show_progress_bar=False)
        assert encoder.mteb_model_meta.name == "fake/64"
    scores = result.scores["test"][0]
    assert scores["recall_at_1"] == pytest.approx(0.9)
    assert scores["recall_at_20"] == 1
