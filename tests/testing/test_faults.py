"""Every fault does what its line in FAULTS says, seen from the official OpenAI client or from a bare HTTP client."""

import gzip
import math
import re

import httpx
import openai
import pytest
from numpy.testing import assert_array_equal

from embedbridge.testing import FAULTS, FaultServer, contains

TEXTS = ["a", "b", "c"]
MODEL = "text-embedding-3-small"


def embed(client: openai.OpenAI, **options: object) -> openai.types.CreateEmbeddingResponse:
    return client.embeddings.create(model=MODEL, input=TEXTS, **{"encoding_format": "float", **options})


def embedded(reply: openai.types.CreateEmbeddingResponse) -> list:
    return [entry.embedding for entry in reply.data]


@pytest.fixture
def truth(server):
    return [server.vector(text).tolist() for text in TEXTS]


STATUSES = {
    "400:message=nope": openai.BadRequestError,
    "401": openai.AuthenticationError,
    "413": openai.APIStatusError,
    "429:retry-after=2": openai.RateLimitError,
    "quota": openai.RateLimitError,
    "body:status=403;json=e30=": openai.PermissionDeniedError,
    "500": openai.InternalServerError,
    "529": openai.InternalServerError,
    "html": openai.InternalServerError,
    "redirect:to=http://127.0.0.1:1/": openai.APIConnectionError,
}
LOST_UNPAID = ("reset", "close", "hang:s=0.1")
LOST_PAID = ("reset:at=headers", "reset:at=mid", "close:at=headers", "close:at=mid", "chunked:cut=1", "badgzip")
SOUND = (
    *(
        "ok",
        "gzip",
        "gzipbomb:mb=8",
        "huge:mb=8",
        "nolength",
        "chunked",
        "ctype",
        "closeafter",
        "gziptail:mb=8",
        "twice",
        "othermodel",
        "othersystem",
        "nousage",
        "omitindex",
        "oneindex",
    ),
    *("drip:bytes=20000;s=0.01", "stall:s=0.1", "header:x-a=b", "badusage", "reset:at=end", "stale", "shufflelie"),
)


@pytest.mark.parametrize("spec", STATUSES)
def test_an_early_answer_is_an_error_and_costs_nothing(server, client, spec):
    server.script(spec)
    with pytest.raises(STATUSES[spec]):
        embed(client)
    assert not server.stats.billed


@pytest.mark.parametrize("spec", LOST_UNPAID)
def test_what_is_lost_at_the_start_is_not_paid(server, client, spec):
    server.script(spec)
    with pytest.raises(openai.APIConnectionError):
        embed(client)
    assert not server.stats.billed
    assert server.stats.statuses == {0: 1}


@pytest.mark.parametrize("spec", LOST_PAID)
def test_what_is_lost_on_the_way_is_paid_again(server, client, spec):
    server.script(spec)
    with pytest.raises(openai.APIConnectionError):
        embed(client)
    embed(client)
    assert server.stats.again() == dict.fromkeys(TEXTS, 2)


@pytest.mark.parametrize("spec", SOUND)
def test_a_strange_but_sound_answer_is_understood(server, client, truth, spec):
    server.script(spec)
    got = embedded(embed(client))
    assert sorted(got) == sorted(truth)
    assert (got == truth) == (spec != "shufflelie")


def test_every_fault_is_tried_here():
    tried = {spec.partition(":")[0] for spec in (*STATUSES, *LOST_UNPAID, *LOST_PAID, *SOUND, *WRONG, *UNREADABLE)}
    assert {name for name in tried if not name.isdigit()} == FAULTS.keys() - {"<status>"}


WRONG = {
    "drop": lambda got, truth: got == truth[:2],
    "drop:where=start": lambda got, truth: got == truth[1:],
    "drop:where=middle": lambda got, truth: got == [truth[0], truth[2]],
    "drop:n=9": lambda got, _: got == [],
    "extra": lambda got, truth: got == [*truth, truth[2]],
    "empty": lambda got, _: got == [],
    "shuffle": lambda got, truth: sorted(got) == sorted(truth) and got != truth,
    "dupindex": lambda got, truth: got == truth,
    "noindex": lambda got, truth: got == truth,
    "nan": lambda got, truth: math.isnan(got[0][0]) and got[0][1:] == truth[0][1:] and got[1:] == truth[1:],
    "inf:i=1": lambda got, truth: got[1][0] == math.inf and got[0] == truth[0],
    "null:i=9": lambda got, truth: got == [*truth[:2], None],
    "nullvalue": lambda got, truth: got[0] == [None, *truth[0][1:]],
    "string": lambda got, truth: got[0] == ["0.1", *truth[0][1:]],
    "zero": lambda got, truth: not any(got[0]) and got[1:] == truth[1:],
    "dims": lambda got, truth: got == [vector[:8] for vector in truth],
    "ragged:n=3": lambda got, truth: got == [truth[0][:3], *truth[1:]],
    "emptyvec": lambda got, truth: got == [[], *truth[1:]],
    "forcebase64": lambda got, _: all(isinstance(vector, str) for vector in got),
    "forcefloat": lambda got, truth: got == truth,
}


@pytest.mark.parametrize("spec", WRONG)
def test_wrong_content_comes_with_status_200_and_is_paid(server, client, truth, spec):
    server.script(spec)
    reply = embed(client)
    assert WRONG[spec](embedded(reply), truth)
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


@pytest.mark.parametrize("spec", ["shuffle", "drop+shuffle"])
def test_an_honest_index_says_which_vector_is_whose(server, client, truth, spec):
    server.script(spec)
    for entry in embed(client).data:
        assert entry.embedding == truth[entry.index]


def test_index_fields_can_repeat_or_be_missing(server, client):
    server.script("dupindex", "noindex")
    assert [entry.index for entry in embed(client).data] == [0, 0, 2]
    assert [entry.index for entry in embed(client).data] == [None] * 3


UNREADABLE = ("truncate", "badutf8", "error200", "nodata", "html:status=200")


@pytest.mark.parametrize("spec", UNREADABLE)
def test_an_unreadable_answer_breaks_the_client(server, client, spec):
    server.script(spec)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        embedded(embed(client))


def test_usage_and_model_can_lie(server, client):
    server.script("nousage", "badusage", "othermodel:name=x")
    assert embed(client).usage is None
    assert embed(client).usage.total_tokens == "many"
    assert embed(client).model == "x"


@pytest.mark.parametrize(
    ("spec", "wait"),
    [("retry-after=abc", "abc"), ("retry-after=-5", "-5"), ("retry-after=30;date=1", r"\w{3}, .* GMT")],
)
def test_retry_after_can_be_anything(server, client, spec, wait):
    server.script(f"429:{spec}")
    with pytest.raises(openai.RateLimitError) as caught:
        embed(client)
    assert re.fullmatch(wait, caught.value.response.headers["retry-after"])


def test_an_error_says_what_it_is_told(server, client):
    server.script("500:message=m;code=c;type=t")
    with pytest.raises(openai.InternalServerError) as caught:
        embed(client)
    assert (caught.value.body, caught.value.code) == ({"message": "m", "type": "t", "param": None, "code": "c"}, "c")


def test_quota_is_told_apart_from_a_rate_limit(server, client):
    server.script("quota", "429")
    codes = []
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            embed(client)
        codes.append(caught.value.code)
    assert codes == ["insufficient_quota", "rate_limit_exceeded"]


def test_headers_are_put_on_any_answer(server, client):
    server.script("header:x-a=1", "429+header:x-a=2")
    assert client.embeddings.with_raw_response.create(model=MODEL, input="a").headers["x-a"] == "1"
    with pytest.raises(openai.RateLimitError) as caught:
        embed(client)
    assert caught.value.response.headers["x-a"] == "2"


def test_a_stale_connection_fails_the_next_request_only(server, client):
    server.script("stale")
    embed(client)
    with pytest.raises(openai.APIConnectionError):
        embed(client)
    embed(client)
    assert (server.stats.calls, server.stats.connections) == (2, 2)


def test_a_gzip_bomb_is_small_on_the_wire(server):
    server.script("gzipbomb:mb=64")
    with httpx.stream("POST", f"{server.url}/v1/embeddings", json={"model": MODEL, "input": "a"}) as reply:
        packed = b"".join(reply.iter_raw())
    assert len(packed) < 200_000
    assert len(gzip.decompress(packed)) > 64 * 2**20


class TestWhereAFaultComesFrom:
    def test_header_query_and_path(self, server, client):
        wanted = "503"
        base = f"{server.url}/~{wanted}/v1"
        for options in ({"extra_headers": {"x-fault": wanted}}, {"extra_query": {"fault": wanted}}):
            with pytest.raises(openai.InternalServerError):
                embed(client, **options)
        with pytest.raises(openai.InternalServerError):
            embed(client.with_options(base_url=base))
        assert server.stats.statuses == {503: 3}
        assert server.requests.counts == {"/v1/embeddings": 3}

    def test_a_rule_comes_before_the_script_and_is_used_up(self, server, client):
        server.on(contains("b"), "429", times=1)
        server.script("500")
        with pytest.raises(openai.RateLimitError):
            embed(client)
        with pytest.raises(openai.InternalServerError):
            embed(client)
        embed(client)
        assert [request.fault for request in server.requests] == ["429", "500", ""]

    @pytest.mark.parametrize("spec", ["nonsense", "drop:m=1", "999", "<status>", "ok+nonsense"])
    def test_an_unknown_fault_or_argument_is_an_error_at_once(self, server, spec):
        with pytest.raises(ValueError, match=r"it takes|unknown fault"):
            server.script(spec)
        with pytest.raises(ValueError, match=r"it takes|unknown fault"):
            server.on(contains("a"), spec)


def test_chance_is_the_same_every_time():
    def shuffled() -> list[int]:
        with FaultServer(seed=7) as server:
            server.script("shuffle")
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
                return [entry.index for entry in embed(client).data]

    assert_array_equal(shuffled(), shuffled())
