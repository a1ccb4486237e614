"""What a model's folder says for `encode`: for each role a vector of ours is the one of the model's own method."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.providers._model_files import SETTINGS

pytestmark = pytest.mark.one_flow

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "naïve café ☕ 東京"]
PROMPTS = {"query": "search: ", "document": "text: ", "sort": "sort this: "}


def saved(source, target, **settings):
    """A copy of a model with other settings for `encode`."""
    copy = shutil.copytree(source, target)
    before = json.loads((copy / SETTINGS).read_text())
    (copy / SETTINGS).write_text(json.dumps(before | settings))
    return copy


def own_method(model, role):
    """`encode_query` and `encode_document` where the model has a prompt for them; else `encode`."""
    if role == "document" and not model.prompts["document"]:
        return partial(model.encode, prompt=model.prompts.get("passage"), task="document")
    if role == "query" and not model.prompts["query"]:
        return partial(model.encode, task="query")
    return {"query": model.encode_query, "document": model.encode_document}.get(role, model.encode)


def load(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"truncate_dim": 64},
        {"truncate_dim": 1000},
        {"prompts": PROMPTS, "default_prompt_name": "sort"},
        {"prompts": {"sort": "sort this: "}, "default_prompt_name": "sort"},
        {"prompts": {"query": "", "sort": "sort this: "}, "default_prompt_name": "sort"},
        {"prompts": {"query": None, "sort": "sort this: "}, "default_prompt_name": "sort"},
        {"prompts": {"document": "", "passage": "passage: "}},
        {
            "prompts": {"passage": "passage: ", "corpus": "corpus: "},
            "default_prompt_name": "corpus",
            "truncate_dim": 32,
        },
        {"prompts": PROMPTS, "similarity_fn_name": "dot"},
    ],
    ids="-".join,
)
def test_each_role_gets_the_vectors_of_the_models_own_method(caller, minilm_path, tmp_path, settings):
    """W14, W15, S1: `truncate_dim`, `prompts` and `default_prompt_name` are obeyed as `encode` obeys them."""
    folder = saved(minilm_path, tmp_path / "model", **settings)
    model, embedder = load(folder), Embedder(f"local:{folder}", cache=tmp_path / "cache")
    for role in ("query", "document", "classification", "clustering"):
        expected = own_method(model, role)(TEXTS, show_progress_bar=False)
        for _ in range(2):  # from the model, then from the cache
            found = caller.embed(embedder, TEXTS, input_type=role)
            assert found.vectors.shape == expected.shape
            assert np.abs(found.vectors - expected).max() < 1e-6
    assert embedder.describe().dimensions == expected.shape[1]


def test_a_prompt_left_out_of_the_pooling_is_left_out_of_the_default_prompt_too(minilm_path, tmp_path):
    folder = saved(minilm_path, tmp_path / "model", prompts={"sort": "sort this: "}, default_prompt_name="sort")
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"include_prompt": False}))
    model, embedder = load(folder), Embedder(f"local:{folder}", cache=False)
    assert np.abs(embedder.embed_documents(TEXTS) - model.encode(TEXTS)).max() < 1e-6
    assert np.abs(embedder.embed_documents(TEXTS) - model.encode(TEXTS, prompt="")).max() > 1e-3


@pytest.mark.slow
def test_several_devices_obey_the_settings_as_one_does(minilm_path, tmp_path):
    """W14 over two processes."""
    settings = {"truncate_dim": 64, "prompts": {"query": "", "sort": "sort this: "}, "default_prompt_name": "sort"}
    folder = saved(minilm_path, tmp_path / "model", **settings)
    model = load(folder)
    with Embedder(f"local:{folder}", cache=False, provider_options={"device": ["cpu", "cpu"]}) as embedder:
        for role in ("query", "document", "clustering"):
            expected = own_method(model, role)(TEXTS, show_progress_bar=False)
            assert np.abs(embedder.embed(TEXTS, input_type=role).vectors - expected).max() < 1e-6


def test_a_routed_model_takes_its_default_route_for_roles_that_it_does_not_know(minilm_path, tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Router

    layers = [list(load(minilm_path).children()) for _ in range(2)]
    torch.manual_seed(1)
    layers[0].append(Dense(384, 384, bias=False))
    router = Router.for_query_document(query_modules=layers[0], document_modules=layers[1], default_route="query")
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path / "routed"))
    model, embedder = load(tmp_path / "routed"), Embedder(f"local:{tmp_path / 'routed'}", cache=tmp_path / "cache")
    for role in ("query", "document", "classification"):
        expected = own_method(model, role)(TEXTS, show_progress_bar=False)
        assert np.abs(embedder.embed(TEXTS, input_type=role).vectors - expected).max() < 1e-6


@pytest.mark.parametrize("changed", [{"truncate_dim": 64}, {"default_prompt_name": "sort"}])
def test_settings_are_part_of_the_identity(minilm_path, tmp_path, changed):
    plain = saved(minilm_path, tmp_path / "a" / "model", prompts=PROMPTS)
    other = saved(minilm_path, tmp_path / "b" / "model", prompts=PROMPTS, **changed)
    first, second = (Embedder(f"local:{folder}", cache=tmp_path / "cache") for folder in (plain, other))
    assert first.space.fingerprint != second.space.fingerprint
    first.embed(TEXTS, input_type="clustering")
    assert second.embed(TEXTS, input_type="clustering").report.hits == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"truncate_dim": 0}, "no number of dimensions"),
        ({"truncate_dim": "64"}, "no number of dimensions"),
        ({"truncate_dim": True}, "no number of dimensions"),
        ({"default_prompt_name": "nobody"}, "Default prompt name"),
        ({"model_type": "SparseEncoder"}, "is a SparseEncoder"),
        ({"model_type": "CrossEncoder"}, "is a CrossEncoder"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_refused(minilm_path, tmp_path, settings, said):
    folder = saved(minilm_path, tmp_path / "model", **settings)
    with pytest.raises(ConfigurationError, match=said):
        Embedder(f"local:{folder}", cache=False).embed(TEXTS)


def test_a_half_precision_checkpoint_computes_in_float32_on_a_processor(minilm_path, tmp_path):
    """C19: and what was computed in float16 is never read as float32."""
    config = json.loads((minilm_path / "config.json").read_text())
    folder = shutil.copytree(minilm_path, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    embedder = Embedder(f"local:{folder}", cache=False)
    expected = load(minilm_path).encode(TEXTS, show_progress_bar=False)
    assert np.abs(embedder.embed_documents(TEXTS) - expected).max() < 1e-6
    assert "dtype=float32" in embedder.space.details
    half = Embedder(f"local:{folder}", cache=False, provider_options={"dtype": "float16"})
    assert half.space.fingerprint != embedder.space.fingerprint
    assert 1e-6 < np.abs(half.embed_documents(TEXTS) - expected).max() < 1e-2
    assert Embedder(cache=False).space.details == ()


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_a_static_model_obeys_the_number_format_too(tmp_path, minilm_path, dtype):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    torch.manual_seed(1)
    static = StaticEmbedding(Tokenizer.from_file(str(minilm_path / "tokenizer.json")), embedding_dim=32)
    model = SentenceTransformer(modules=[static], device="cpu").half()
    model.save(str(tmp_path / "static"))
    embedder = Embedder(f"local:{tmp_path / 'static'}", cache=False, provider_options={"dtype": dtype})
    assert embedder.embed_documents(TEXTS).shape == (3, 32)
    weights = embedder._parts.provider.load().model[0].embedding.weight
    assert weights.dtype == (torch.float32 if dtype is None else torch.bfloat16)


def test_a_listed_model_whose_code_is_too_old_says_so(minilm_path, tmp_path):
    """L5: in the description, and in the error when it does not load."""
    folder = shutil.copytree(minilm_path, tmp_path / "jina-embeddings-v2-small-en")
    (folder / "model.safetensors").write_bytes(b"")
    embedder = Embedder(f"local:{folder}", cache=False)
    assert "written for transformers 4" in str(embedder.describe())
    with pytest.raises(ConfigurationError, match=r"cannot be loaded .* written for transformers 4"):
        embedder.embed(TEXTS)


def test_code_of_a_model_that_does_not_import_names_the_version_here(minilm_path, tmp_path):
    """L5: for models that nobody has listed."""
    folder = shutil.copytree(minilm_path, tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "own.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own.py").write_text("from transformers.pytorch_utils import nobody_has_this\n")
    own = {"trust_remote_code": True, "revision": "main"}
    with pytest.raises(ConfigurationError, match="another transformers than"):
        Embedder(f"local:{folder}", cache=False, provider_options=own).embed(TEXTS)


def test_a_role_without_a_prompt_is_warned_of_as_what_it_is(minilm_path, tmp_path, caplog):
    """L7: the model does bring prompts, for other roles."""
    folder = saved(minilm_path, tmp_path / "model", prompts={"query": "search: ", "document": "text: "})
    embedder = Embedder(f"local:{folder}", cache=False)
    embedder.embed(TEXTS, input_type="document")
    assert not caplog.records
    embedder.embed(TEXTS, input_type="classification")
    (said,) = [record.getMessage() for record in caplog.records]
    assert "brings no prompt for the role 'classification'" in said


def test_tokens_are_counted_in_lower_case_where_the_model_reads_them_so(minilm_path, tmp_path):
    """L6: the model's own tokenizer, as the model sets it up."""
    folder = shutil.copytree(minilm_path, tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    before = json.loads((folder / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps(before | {"do_lower_case": True}))
    model, text = load(folder), "EMBEDDINGS " * 120
    result = Embedder(f"local:{folder}", cache=False).embed([text])
    (cut,) = result.report.cut
    assert cut.tokens == len(model.tokenizer(text)["input_ids"]) > 256
    assert np.abs(result.vectors - model.encode([text], show_progress_bar=False)).max() < 1e-6


@pytest.mark.parametrize("saved", [{"max_seq_length": 128}, {}])
def test_a_role_that_reads_more_than_others_is_not_cut_to_what_they_read(minilm_path, tmp_path, saved):
    """L6: `document_length` beside `max_seq_length`, as the model's own `encode_document` goes by it."""
    folder = shutil.copytree(minilm_path, tmp_path / "model")
    own = {"query_length": 32, "document_length": 300, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(saved | own))
    model, text = load(folder), "one and another word " * 70
    assert 256 < len(model.tokenizer(text)["input_ids"]) < 300
    result = Embedder(f"local:{folder}", cache=False).embed([text])
    assert result.report.cut == ()
    assert np.abs(result.vectors - model.encode_document([text], show_progress_bar=False)).max() < 1e-6
