"""Texts that are too long: cut where the model cuts, counted by its own tokenizer, and at no price."""

from __future__ import annotations

import json

import numpy as np
import pytest

from embedbridge import Embedder, InputTooLongError
from embedbridge._core.tokens import measure
from embedbridge.providers._find_model import find_files
from embedbridge.providers.sentence_transformers import LoadedModel, TokenizerCounter

from .parts import change, loaded, shallow, variant

pytestmark = pytest.mark.one_flow

PROSE = " ".join(f"The {i}th raven hides its {i % 7} nuts and remembers each." for i in range(90))
CLOSE = 1e-6
OWN = "the model's own tokenizer"
LONG = {
    "prose": "The quick brown fox jumps over the lazy dog. " * 230_000,
    "letters": "x y " * 300_000,
    "blanks": "a" + " " * 10_000_000 + "b",
    "Chinese": "检索增强生成 " * 600_000,
}
SPARSE = {
    "blanks": " " * 70_000 + "A sentence at the end.",
    "one word": "x" * 300_000,
    "a table": ("|" + " " * 2000 + "|\n") * 100,
}
"""Many characters and few tokens."""


@pytest.fixture(scope="module")
def minilm(minilm_path, tmp_path_factory):
    """MiniLM with one layer, which reads what all of them read."""
    return shallow(minilm_path, tmp_path_factory.mktemp("shallow") / minilm_path.name)


@pytest.fixture(scope="module")
def e5(e5_path, tmp_path_factory):
    """E5 with one layer."""
    return shallow(e5_path, tmp_path_factory.mktemp("shallow") / e5_path.name)


@pytest.fixture(scope="module", params=[("minilm", 256), ("e5", 512)], ids=["MiniLM", "E5"])
def model(request):
    """Each model's directory, its limit, and itself as sentence-transformers has it."""
    fixture, limit = request.param
    path = request.getfixturevalue(fixture)
    return path, limit, loaded(path)


def local(path, **options):
    return Embedder(f"local:{path}", cache=False, **options)


def tokens_of(reference, text):
    return len(reference.tokenizer(text, verbose=False)["input_ids"])


@pytest.fixture
def read(monkeypatch):
    """Characters that tokenizers were handed, ours and the model's."""
    counted = []
    spans, encode = TokenizerCounter.spans, LoadedModel.encode

    def count(self, text):
        counted.append(len(text))
        return spans(self, text)

    def embed(self, texts, *args, **options):
        counted.extend(map(len, texts))
        return encode(self, texts, *args, **options)

    monkeypatch.setattr(TokenizerCounter, "spans", count)
    monkeypatch.setattr(LoadedModel, "encode", embed)
    return counted


def test_a_text_is_cut_where_the_model_itself_cuts(caller, model):
    path, limit, reference = model
    result = caller.embed(local(path, document_prefix=""), [PROSE, "short"])
    expected = reference.encode([PROSE, "short"], prompt="", show_progress_bar=False)
    assert np.abs(result.vectors - expected).max() < CLOSE
    (cut,) = result.report.cut
    assert (cut.index, cut.tokens, cut.kept) == (0, tokens_of(reference, PROSE), limit)
    assert result.report.counter == OWN


def test_what_the_model_gets_of_it_is_more_than_it_reads_and_not_much_more(model, read):
    path, limit, reference = model
    local(path, document_prefix="").embed([PROSE * 20])
    handed = (PROSE * 20)[: read[-1]]
    assert limit < tokens_of(reference, handed) < limit + 1024


def test_short_texts_need_no_counting(caller, minilm):
    assert caller.embed(local(minilm), ["short"]).report.counter == ""


def test_an_error_names_the_first_text_the_tokens_and_the_limit_before_the_model_is_loaded(caller, model, monkeypatch):
    path, limit, reference = model
    monkeypatch.setattr("embedbridge.providers.sentence_transformers.SentenceTransformersProvider.load", None)
    with pytest.raises(InputTooLongError, match="text 1 has") as caught:
        caller.embed(local(path, too_long="error", document_prefix=""), ["short", PROSE, PROSE + "!"])
    assert (caught.value.index, caught.value.limit) == (1, limit)
    assert caught.value.tokens == tokens_of(reference, PROSE)
    assert caught.value.failed_indices == (1, 2)


def test_a_mean_is_that_of_pieces_by_their_tokens(model):
    path, limit, reference = model
    embedder = local(path, too_long="mean", document_prefix="")
    counter = TokenizerCounter.from_file(str(path / "tokenizer.json"))
    parts = measure(PROSE, counter, limit=limit, policy="mean").parts
    assert "".join(piece for piece, _ in parts) == PROSE
    assert all(tokens_of(reference, piece) == tokens <= limit for piece, tokens in parts)
    vectors = reference.encode([piece for piece, _ in parts], prompt="", show_progress_bar=False)
    mean = np.average(vectors, axis=0, weights=[tokens for _, tokens in parts])
    result = embedder.embed([PROSE])
    assert np.abs(result.vectors[0] - mean / np.linalg.norm(mean)).max() < CLOSE
    assert result.report.cut[0].tokens == result.report.cut[0].kept > limit


@pytest.mark.parametrize("policy", ["truncate", "mean"])
def test_an_estimate_reckons_with_what_is_sent_of_a_long_text(caller, minilm, policy):
    embedder = local(minilm, too_long=policy, provider_options={"batch_tokens": 1024})
    estimate, report = embedder.estimate([PROSE]), caller.embed(embedder, [PROSE]).report
    assert (estimate.requests, estimate.tokens) == (report.requests, report.tokens)


def test_an_estimate_of_pieces_knows_which_of_them_are_paid_for(caller, tmp_path, minilm):
    whole = Embedder(f"local:{minilm}", cache=tmp_path, too_long="mean")
    caller.embed(whole, [PROSE])
    assert whole.estimate([PROSE]).requests == 0
    longer = f"{PROSE} And one more."
    estimate, report = whole.estimate([longer]), caller.embed(whole, [longer]).report
    assert (estimate.cached, estimate.tokens) == (0, report.tokens)
    assert report.tokens <= 256


def test_an_estimate_refuses_what_a_call_would_refuse(minilm):
    with pytest.raises(InputTooLongError, match=r"text 1 has [0-9]+ tokens, and the model reads 256") as caught:
        local(minilm, too_long="error").estimate(["short", PROSE])
    assert (caught.value.index, caught.value.limit) == (1, 256)


@pytest.mark.parametrize(("policy", "kept"), [("truncate", 8), ("mean", 10)])
def test_a_cut_is_reported_again_when_its_vector_comes_from_the_cache(caller, tmp_path, policy, kept):
    for _ in range(2):
        embedder = Embedder("fake:8", cache=tmp_path, too_long=policy, provider_options={"max_tokens": 8})
        report = caller.embed(embedder, ["short", "x" * 40]).report
        assert [(cut.index, cut.tokens, cut.kept) for cut in report.cut] == [(1, 10, kept)]
    assert report.requests == 0


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_of_a_very_long_text_only_a_beginning_is_ever_tokenized(model, read, text):
    path, limit, _ = model
    (cut,) = local(path).embed([text]).report.cut
    assert cut.tokens > limit >= cut.kept
    assert sum(read) < (200_000 if text != LONG["blanks"] else 3_000_000)
    with pytest.raises(InputTooLongError) as caught:
        local(path, too_long="error").embed([text])
    assert caught.value.tokens is None if text == LONG["blanks"] else caught.value.tokens > limit


def test_long_texts_of_few_tokens_are_read_as_a_whole(caller, minilm):
    """L1: what the model reads as a whole is neither cut nor reported as cut nor refused."""
    texts = list(SPARSE.values())
    expected = loaded(minilm).encode(texts)
    for policy in ("truncate", "mean", "error"):
        result = caller.embed(local(minilm, too_long=policy), texts)
        assert result.report.cut == ()
        wrong = np.abs(result.vectors - expected).max(axis=1) >= CLOSE
        assert dict(zip(SPARSE, wrong, strict=True)) == dict.fromkeys(SPARSE, False), policy


def test_short_texts_of_characters_that_are_taken_apart_are_cut_and_reported(caller, e5):
    """L6: NFKC makes more tokens of some texts than they have bytes; a cut of them is reported as any other."""
    reference = loaded(e5)
    texts = [" ".join([each * 5] * (504 // (5 * len(each.encode()) + 1))) for each in ("ﷺ", "㍿", "ΐ", "½")] + ["short"]
    tokens = [tokens_of(reference, text) for text in texts]
    result = caller.embed(local(e5, document_prefix=""), texts)
    cuts = [(cut.index, cut.tokens, cut.kept) for cut in result.report.cut]
    assert cuts == [(index, count, 512) for index, count in enumerate(tokens) if count > 512]
    expected = reference.encode(texts, prompt="", show_progress_bar=False)
    assert np.abs(result.vectors - expected).max() < CLOSE
    assert len(texts[0].encode()) < 512 < tokens[0]


def test_the_limit_is_the_models_however_it_was_saved(tmp_path, minilm_path):
    model = loaded(minilm_path)
    for limit in (256, 64):
        model.max_seq_length = limit
        model.save(str(tmp_path / str(limit)), create_model_card=False)
        assert find_files(str(tmp_path / str(limit)), None).max_tokens == limit


@pytest.mark.parametrize(("tokenizer", "limit"), [(10**30, 512), (100, 100), (8192, 512)])
def test_a_limit_that_was_not_saved_is_what_tokenizer_and_weights_both_allow(tmp_path, minilm_path, tokenizer, limit):
    path = variant(minilm_path, tmp_path / "model")
    change(path / "sentence_bert_config.json", max_seq_length=None)
    change(path / "tokenizer_config.json", model_max_length=tokenizer)
    assert loaded(path).max_seq_length == limit
    assert find_files(str(path), None).max_tokens == limit


def test_models_of_long_ago_keep_their_limit_in_a_folder_of_its_own(tmp_path, minilm_path):
    path = tmp_path / "model"
    variant(minilm_path, path / "0_Transformer")
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (path / "modules.json").write_text(json.dumps(modules))
    assert find_files(str(path), None).max_tokens == 256
    assert local(path).describe().tokens == 256
