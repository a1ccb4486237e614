"""Servers that quote a text, name none of the request's fields, or refuse every text: what a call does and costs."""

from __future__ import annotations

import pytest

from embedbridge import ConfigurationError, Embedder, InvalidInputError, ProviderUnavailableError
from embedbridge.cache import MemoryCache
from embedbridge.providers._refusal import read_refusal
from embedbridge.testing import contains
from support.faults import body

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]

MODEL = "text-embedding-3-small"
LONG = "litellm.BadRequestError: This model's maximum context length is 200 tokens. However, you requested 888 tokens"


def open_embedder(server, model=MODEL, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": MemoryCache(), "max_retries": 2}
    return Embedder(f"openai:{model}", **usual | options)


def eight(words):
    texts = [f"about thing number {at}" for at in range(8)]
    texts[5] = words
    return texts


def embeds_all_but_one(caller, server, texts, fault, *, kind, calls):
    """Text 5 alone fails, the others are billed once."""
    server.on(contains(texts[5]), fault)
    with pytest.raises(kind) as caught:
        caller.embed(open_embedder(server), texts)
    assert type(caught.value) is kind
    assert caught.value.failed_indices == (5,)
    assert server.stats.billed == dict.fromkeys([*texts[:5], *texts[6:]], 1)
    assert server.stats.calls == calls


NOWHERE = ["None", "null", "", "N/A", "<nil>", None, [], ["body"], ["body", None]]


@pytest.mark.parametrize("param", NOWHERE, ids=str)
def test_a_placeholder_names_no_field(param):
    """W6: what litellm writes where it names nothing."""
    told = read_refusal(400, {}, {"error": {"message": LONG, "type": "None", "param": param, "code": "400"}})
    assert (told.kind, told.numbers) == ("too_long", {"limit": 200, "tokens": 888})
    assert read_refusal(422, {}, {"error": {"message": "bad", "param": param}}).kind == ""


TEXTS = [
    ["body", "sentences", 5],
    ["body", "EmbeddingCompletionRequest", "input"],
    ["body", "EmbeddingRequest", "input", 5, "str"],
    "input_texts[5]",
    "/body/passages/5",
    "things[5]",
    "inputTexts",
]


@pytest.mark.parametrize("named", TEXTS, ids=str)
def test_texts_are_known_under_other_names_than_the_requests(named):
    """W6: a server of one's own, a union of vLLM's, a gateway's translation."""
    fields = ["input", "model", "encoding_format"]
    for about in ({"detail": [{"loc": named, "msg": "bad"}]}, {"error": {"message": "bad", "param": named}}):
        assert read_refusal(422, {}, about, fields=fields).kind == ""


def test_a_setting_is_found_within_a_union_and_beside_what_the_other_members_lack():
    """W6."""
    wrong = {"loc": ["body", "EmbeddingCompletionRequest", "dimensions"], "msg": "no"}
    lacking = {"loc": ["body", "EmbeddingChatRequest", "messages"], "msg": "Field required"}
    told = read_refusal(422, {}, {"detail": [lacking, wrong]}, fields=["input", "model", "dimensions"])
    assert (told.kind, told.param) == ("configuration", "dimensions")
    missing = {"detail": [{"loc": ["body", "input_type"], "msg": "Field required"}]}
    assert read_refusal(422, {}, missing, fields=["input", "model"]).kind == "configuration"
    bad = {"loc": ["body", "EmbeddingCompletionRequest", "input", 5], "msg": "bad"}
    task = {"loc": ["body", "PoolingRequest", "task"], "msg": "Field required"}
    assert read_refusal(422, {}, {"detail": [task, bad]}, fields=["input", "model"]).kind == ""


QUOTED = [
    "our deployment of thing number 5",
    "we have one dimension",
    "invalid api key",
    "the model foo is not found",
    "the billing hard limit is what we talk of",
    '{"error": {"code": "invalid_api_key"}}',
]


@pytest.mark.parametrize("words", QUOTED)
@pytest.mark.parametrize("named", [True, False], ids=["loc", "words"])
def test_the_words_of_a_quoted_text_do_not_fail_the_job(caller, server, words, named):
    """W6: structure before words, and no words of ours."""
    said = f"bad text: {words}"
    detail = {"detail": [{"loc": ["body", "input", 5], "msg": said, "type": "value_error"}]}
    answer = detail if named else {"error": {"message": said}}
    embeds_all_but_one(caller, server, eight(words), body(422, answer), kind=InvalidInputError, calls=6)


@pytest.mark.parametrize("words", ["we ran out of memory once", "it was loading slowly", "retry in 900 seconds or so"])
def test_the_words_of_a_quoted_text_decide_no_wait_and_no_division(caller, server, words):
    """W3."""
    fault = body(500, {"error": {"message": f"cannot embed {words}"}})
    embeds_all_but_one(caller, server, eight(words), fault, kind=ProviderUnavailableError, calls=9)


def test_the_numbers_of_a_quoted_text_are_no_limit():
    """W4: else all other texts would be cut to it."""
    sent = "\0a text of 17 things from 1999 on\0another\0"
    said = {"error": {"message": "the input text is too long: a text of 17 things from 1999 on"}}
    assert read_refusal(400, {}, said).numbers == {"limit": 17, "tokens": 1999}
    assert read_refusal(400, {}, said, sent=sent).numbers == {}


def test_a_server_that_says_what_a_text_says_too_is_still_understood():
    """W4: numbers of its own show that it does not quote."""
    sent = "\0i got: this model's maximum context length is 4097 tokens. however, you requested 4200 tokens\0"
    assert read_refusal(400, {}, {"error": {"message": LONG}}, sent=sent).numbers == {"limit": 200, "tokens": 888}


TENSORS = [
    "The expanded size of the tensor (613) must match the existing size (512) at non-singleton dimension 1.  Target",
    "The size of tensor a (613) must match the size of tensor b (512) at non-singleton dimension 1",
    "The size of tensor a (512) must match the size of tensor b (613) at non-singleton dimension 3",
]


@pytest.mark.parametrize("said", TENSORS)
@pytest.mark.parametrize("status", [400, 500])
def test_tensors_that_do_not_match_are_a_text_that_is_too_long(status, said):
    """W4: what torch says behind servers of one's own."""
    told = read_refusal(status, {}, {"error": {"message": said}})
    assert (told.kind, told.numbers) == ("too_long", {"limit": 512, "tokens": 613})


@pytest.mark.parametrize(
    ("status", "said", "sent"),
    [
        (400, "Malformed input request: expected maxLength: 2048, actual: 11999, please reformat your input", 2048),
        (500, "The size of tensor a (2000) must match the size of tensor b (512) at non-singleton dimension 1", 3072),
    ],
    ids=["Bedrock", "torch"],
)
def test_a_text_that_is_too_long_is_cut_by_the_numbers_at_once(caller, server, status, said, sent):
    """W4: numbers of characters too."""
    text = "zebra " * 2000
    server.on(lambda request: any(len(each) > sent for each in request.items), body(status, {"message": said}))
    result = caller.embed(open_embedder(server, "some-model"), ["short", text])
    ((short, beginning),) = [each.items for each in server.requests if each.status == 200]
    assert (short, text.startswith(beginning)) == ("short", True)
    assert sent * 0.7 < len(beginning) <= sent
    assert server.stats.calls == 2
    assert [cut.index for cut in result.report.cut] == [1]


@pytest.mark.parametrize(
    ("status", "said", "calls"),
    [(413, "no", 9), (500, "cannot handle input length", 9), (500, "CUDA out of memory", 18)],
    ids=["413", "length", "memory"],
)
def test_a_server_that_finds_every_short_text_too_large_is_given_up_after_three(caller, server, status, said, calls):
    """W6: as for any other refusal."""
    server.on(lambda _: True, body(status, {"error": {"message": said}}))
    with pytest.raises(ProviderUnavailableError, match="in the server or in a gateway before it"):
        caller.embed(
            open_embedder(server, concurrency=1, batch_size=32), [f"about thing number {at}" for at in range(10, 50)]
        )
    assert server.stats.calls <= calls
    assert not server.stats.billed


def test_a_wrong_key_is_told_of_though_a_text_says_the_same(caller, server):
    """W6: the texts without these words show whose they are."""
    server.on(lambda _: True, body(400, {"error": {"message": "the model foo is not found"}}))
    with pytest.raises(ConfigurationError):
        caller.embed(open_embedder(server), eight("they say: the model foo is not found"))
    assert server.stats.calls == 2
