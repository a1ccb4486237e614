"""Bedrock: the families' requests and answers, who asks and where, signatures that botocore checks, and refusals."""

import datetime as dt
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InputTooLongError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
)
from embedbridge.langchain import BedrockEmbeddings
from embedbridge.testing import FaultServer, RateLimit, contains
from embedbridge.testing.loopback import LoopbackServer

ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI-nobody-may-see", "bedrock-api-key-nobody-may-see"
TITAN, TITAN_1 = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1"
NOVA, COHERE_3, COHERE_4 = "amazon.nova-2-multimodal-embeddings-v1:0", "cohere.embed-english-v3", "cohere.embed-v4:0"
IMAGE = "amazon.titan-embed-image-v1"
SIGNED = {"region": "us-west-2", "aws_access_key_id": ID, "aws_secret_access_key": SECRET}
ASKED = {
    TITAN_1: ({"inputText": "a"}, "", {}),
    TITAN: ({"inputText": "a", "dimensions": 256}, "", {"dimensions": 256}),
    IMAGE: (
        {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 384}},
        "",
        {"dimensions": 384},
    ),
    NOVA: (
        {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "text": {"truncationMode": "END", "value": "a"},
                "embeddingDimension": 384,
            },
        },
        "GENERIC_INDEX",
        {"dimensions": 384},
    ),
    COHERE_3: (
        {"texts": ["a"], "input_type": "search_document", "truncate": "END", "embedding_types": ["float"]},
        "search_document",
        {},
    ),
    COHERE_4: (
        {
            "texts": ["a"],
            "input_type": "search_document",
            "truncate": "NONE",
            "embedding_types": ["float"],
            "output_dimension": 512,
        },
        "search_document",
        {"dimensions": 512, "too_long": "error"},
    ),
}
"""Model → a request for one document, the role in it, and what is asked for besides."""


@pytest.fixture
def server():
    """It knows one signing key, and one of Bedrock's own."""
    with FaultServer(api_keys=[f"{ID}:{SECRET}", TOKEN]) as server:
        yield server


def bedrock(server, model=TITAN, **options):
    own = {**SIGNED, **options.pop("provider_options", {})} if "api_key" not in options else {"region": "us-west-2"}
    return Embedder(f"bedrock:{model}", **{"base_url": server.url, "cache": False, "provider_options": own} | options)


def truth(server, *texts, model=TITAN, role="", dims=None):
    return server.vectors(texts, dialect="bedrock", model=model, input_type=role, dims=dims)


# What is asked, and read.


def test_each_family_is_asked_and_read_as_its_page_says(caller, server):
    for model, (body, role, options) in ASKED.items():
        server.reset()
        result = caller.embed(bedrock(server, model, **options), ["a"])
        (request,) = server.requests
        assert json.loads(request.body) == body
        assert request.target == f"/model/{model.replace(':', '%3A')}/invoke"
        np.testing.assert_array_equal(
            result.vectors, truth(server, "a", model=model, role=role, dims=options.get("dimensions"))
        )
        assert (result.report.tokens, result.report.tokens_from) == (1, "provider")
        assert result.report.cost > 0


def test_titans_model_for_images_embeds_texts_of_three_widths_and_refuses_images(caller, server):
    for width in (256, 384, 1024, None):
        made = bedrock(server, IMAGE, dimensions=width)
        vectors = caller.embed(made, ["a"]).vectors
        np.testing.assert_array_equal(vectors, truth(server, "a", model=IMAGE, dims=width))
        asked = json.loads(server.requests[-1].body).get("embeddingConfig", {}).get("outputEmbeddingLength")
        assert asked == (width if width != 1024 else None)
    with pytest.raises(ConfigurationError, match="256, 384"):
        bedrock(server, IMAGE, dimensions=512)
    with pytest.raises(ConfigurationError, match="'embeddingConfig' is not set here; use dimensions="):
        bedrock(server, IMAGE, provider_options={"body": {"embeddingConfig": {"outputEmbeddingLength": 256}}})
    with pytest.raises(ConfigurationError, match="'inputImage' is not set here; use another library for images"):
        bedrock(server, IMAGE, provider_options={"body": {"inputImage": "aGk="}})
    place = {"region_name": "us-west-2", "aws_access_key_id": ID, "aws_secret_access_key": SECRET, "cache": False}
    length = {"embeddingConfig": {"outputEmbeddingLength": 256}}
    for own in ({"dimensions": 256}, {"model_kwargs": length}):
        theirs = BedrockEmbeddings(model_id=IMAGE, endpoint_url=server.url, **place, **own)
        assert len(theirs.embed_query("a")) == 256
        assert json.loads(server.requests[-1].body) == {"inputText": "a", **length}
        with pytest.raises(NotImplementedError, match="langchain-aws"):
            theirs.embed_image("a.png")


def test_roles_travel_where_the_family_has_them(caller, server):
    roles = {
        NOVA: ["TEXT_RETRIEVAL", "GENERIC_INDEX", "CLASSIFICATION", "CLUSTERING"],
        COHERE_4: ["search_query", "search_document", "classification", "clustering"],
        TITAN: ["", "", "", ""],
    }
    for model, names in roles.items():
        server.reset()
        embedder = bedrock(server, model)
        for role in ("query", "document", "classification", "clustering"):
            caller.embed(embedder, [f"a {role}"], input_type=role)
        assert [request.input_type for request in server.requests] == names


def test_an_index_with_images_is_asked_for_another_purpose_and_keeps_other_vectors(caller, server, tmp_path):
    own = {"role_body": {"query": {"embeddingPurpose": "GENERIC_RETRIEVAL"}}}
    usual, other = (bedrock(server, NOVA, cache=tmp_path, provider_options=each) for each in ({}, own))
    for embedder in (usual, other, other):
        caller.embed(embedder, ["a"], input_type="query")
    assert [request.input_type for request in server.requests] == ["TEXT_RETRIEVAL", "GENERIC_RETRIEVAL"]
    caller.embed(usual, ["a"])
    assert caller.embed(other, ["a"]).report.hits == 1  # of a document nothing has changed


def test_fields_of_ones_own_are_sent_and_counted_in_keys(caller, server):
    plain, own = bedrock(server), bedrock(server, provider_options={"body": {"normalize": False}})
    caller.embed(own, ["a"])
    assert json.loads(server.requests[0].body) == {"inputText": "a", "normalize": False}
    assert own.space.fingerprint != plain.space.fingerprint
    assert (plain.describe().normalized, own.describe().normalized) == (True, None)


def test_one_text_a_request_is_bounded_and_each_is_paid_for_once(caller, server):
    server.latency = type(server.latency)(base=0.02)
    embedder, texts = bedrock(server, concurrency=4), [f"text {i % 20}" for i in range(60)]
    outcomes = caller.at_once(embedder, [texts, texts])
    assert all((result.vectors == truth(server, *texts)).all() for result in outcomes)
    assert set(server.stats.billed.values()) == {1}
    assert (server.stats.calls, server.stats.max_in_flight) == (20, 4)


def test_cohere_takes_96_texts(caller, server):
    caller.embed(bedrock(server, COHERE_3), [f"text {i}" for i in range(97)])
    assert sorted(map(len, server.requests.items)) == [1, 96]


# Too long.


def test_what_titan_refuses_for_its_length_is_cut_by_what_it_says_and_that_is_told(caller, server):
    texts = ["short", "word " * 8000, "word " * 8100]  # 10,000 tokens
    report = caller.embed(bedrock(server, concurrency=1), texts).report
    assert [cut.index for cut in report.cut] == [1, 2]
    assert set(server.stats.billed.values()) == {1}
    assert server.stats.statuses[400] <= 3
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(bedrock(server, too_long="error"), texts[:2])
    assert (caught.value.index, caught.value.limit) == (1, 8192)


def test_characters_that_cohere_3_does_not_take_are_cut_and_that_is_told(caller, server):
    texts = ["short", "w" * 2000, "x" * 5000, "y" * 6000]
    embedder = bedrock(server, COHERE_3)
    report = caller.embed(embedder, texts).report
    assert {2, 3} <= {cut.index for cut in report.cut}
    before = server.stats.statuses[400]
    caller.embed(embedder, ["z" * 5000])
    assert server.stats.statuses[400] == before  # it is known by now


def test_what_nova_cuts_itself_is_told(caller, server):
    report = caller.embed(bedrock(server, NOVA), ["short", "word " * 8000]).report
    assert [(cut.index, cut.kept) for cut in report.cut] == [(1, -1)]


# Who asks.


@pytest.mark.usefixtures("_short_pauses")
def test_a_signature_is_of_the_bytes_and_of_the_moment_of_each_attempt(caller, server):
    """botocore itself checks each one on the server; boto3 signs the same."""
    server.script("429", "503", "ok")
    texts = ["grüße, 世界"]
    result = caller.embed(bedrock(server, provider_options={"aws_session_token": "temporary"}), texts)
    np.testing.assert_array_equal(result.vectors, truth(server, *texts))
    for request in server.requests:
        signed = dt.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        assert abs(signed.timestamp() - time.time()) < 30
        assert request.headers["x-amz-security-token"] == "temporary"
        assert f"Credential={ID}/{signed:%Y%m%d}/us-west-2/bedrock/" in request.headers["authorization"]
    assert len(server.requests) == 3


def test_ids_and_arns_of_inference_profiles_are_invoked_as_they_are_and_share_vectors(caller, server, tmp_path):
    arn = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/eu.cohere.embed-v4:0"
    for model in (COHERE_4, f"us.{COHERE_4}", f"global.{COHERE_4}", arn):
        embedder = bedrock(server, model, cache=tmp_path)
        caller.embed(embedder, ["a", model])
        assert embedder.space.fingerprint == bedrock(server, COHERE_4).space.fingerprint
    assert server.stats.billed["a"] == 1
    assert server.requests[-1].target == "/model/" + arn.replace(":", "%3A").replace("/", "%2F") + "/invoke"


def test_an_applications_own_profile_stands_beside_its_model(caller, server):
    arn = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc123"
    with pytest.raises(ConfigurationError, match="model_arn"):
        bedrock(server, arn)
    result = caller.embed(bedrock(server, provider_options={"model_arn": arn}), ["a"])
    np.testing.assert_array_equal(result.vectors, truth(server, "a"))
    assert "abc123" in server.requests[0].target


def test_a_wrong_secret_is_named_and_shown_nowhere(caller, server):
    embedder = bedrock(server, provider_options={"aws_secret_access_key": "wrong"})
    with pytest.raises(AuthenticationError) as caught:
        caller.embed(embedder, ["a"])
    assert "InvalidSignature" in str(caught.value)
    assert ID not in f"{caught.value!r} {caught.value.__cause__!r} {embedder!r} {embedder.options!r}"
    assert server.stats.billed == {}


def test_no_log_shows_the_token_of_a_session(caller, server, caplog):
    """N4: botocore's debug log shows the request that it signs, and with it the header that carries the token."""
    caplog.set_level("DEBUG")
    caller.embed(bedrock(server, provider_options={"aws_session_token": "a-secret-token"}), ["a"])
    assert server.requests[0].headers["x-amz-security-token"] == "a-secret-token"
    assert "Calculating signature" in caplog.text
    assert "a-secret-token" not in caplog.text


def test_a_clock_that_is_wrong_is_told_as_the_reason(caller, server):
    hour = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    fault = "403:code=InvalidSignatureException;message=Signature expired: it is now earlier"
    server.on(lambda _: True, f"{fault}+header:date={hour:%a, %d %b %Y %H:%M:%S GMT}")
    with pytest.raises(AuthenticationError, match="clock is 60 minutes behind the server's"):
        caller.embed(bedrock(server), ["a"])


def test_a_key_of_bedrocks_own_is_a_bearer_token(caller, server, monkeypatch):
    caller.embed(bedrock(server, api_key=TOKEN), ["a"])
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", TOKEN)
    caller.embed(bedrock(server, provider_options=dict.fromkeys(SIGNED)), ["b"])  # no region is needed
    caller.embed(bedrock(server), ["c"])  # what is given comes before what the environment has
    kinds = [request.headers["authorization"].split()[0] for request in server.requests]
    assert kinds == ["Bearer", "Bearer", "AWS4-HMAC-SHA256"]


def test_a_bearer_token_needs_no_botocore(server):
    code = f"""
import sys
sys.modules["botocore"] = None
from embedbridge import Embedder
own = {{"region": "us-east-1"}}
e = Embedder("bedrock:{TITAN}", base_url="{server.url}", api_key="{TOKEN}", cache=False, provider_options=own)
print(e.embed_query("a").shape)
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "(1024,)\n"
    )


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """The files that AWS's own clients read."""
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\n\n[profile work]\nregion = eu-central-1\nservices = here\n\n"
        "[services here]\nbedrock_runtime =\n  endpoint_url = http://127.0.0.1:9\n"
    )
    key = f"aws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
    (tmp_path / "credentials").write_text(f"[default]\n{key}\n[work]\n{key}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("aws")
def test_credentials_region_and_address_are_found_as_by_awss_own_clients(caller, server, monkeypatch):
    caller.embed(Embedder(f"bedrock:{TITAN}", base_url=server.url, cache=False), ["a"])
    own = {"profile": "work"}
    caller.embed(Embedder(f"bedrock:{TITAN}", base_url=server.url, cache=False, provider_options=own), ["b"])
    assert [request.headers["authorization"].split("/")[2] for request in server.requests] == [
        "eu-west-1",
        "eu-central-1",
    ]
    made = Embedder(f"bedrock:{TITAN}", cache=False, provider_options=own)
    assert made._parts.provider.address() == "http://127.0.0.1:9"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    caller.embed(Embedder(f"bedrock:{TITAN}", cache=False), ["c"])
    assert "/ap-south-1/" in server.requests[-1].headers["authorization"]
    with pytest.raises(ConfigurationError, match="no profile 'play'"):
        Embedder(f"bedrock:{TITAN}", provider_options={"profile": "play"})


class Role(LoopbackServer):
    """What gives a container its credentials; they end in a minute, so each use asks again."""

    asked = 0

    async def answer(self, connection, request):
        self.asked += 1
        ends = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"AccessKeyId": ID, "SecretAccessKey": SECRET, "Token": f"token {self.asked}", "Expiration": ends}
        await connection.send(200, {"content-type": "application/json"}, json.dumps(found).encode())
        return True


def test_a_containers_role_is_asked_when_something_is_sent_and_again_before_it_ends(caller, server, monkeypatch):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.01)  # between attempts; a second
    with Role() as role:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{role.url}/role")
        own = {"region": "us-west-2"}
        embedder = Embedder(f"bedrock:{TITAN}", base_url=server.url, cache=False, provider_options=own)
        embedder.describe()
        assert role.asked == 0
        caller.embed(embedder, ["a"])
        caller.embed(embedder, ["b"])
    first, last = (request.headers["x-amz-security-token"] for request in (server.requests[0], server.requests[-1]))
    assert first != last
    assert role.asked >= 2
    with pytest.raises((AuthenticationError, ProviderUnavailableError), match="AWS credentials could not be had"):
        caller.embed(embedder, ["c"])


@pytest.mark.parametrize(
    ("profile", "lack"),
    [
        ("region = us-east-1", "no AWS credentials were found - set AWS_ACCESS_KEY_ID and"),
        (f"aws_access_key_id = {ID}", "AWS credentials lack aws_secret_access_key - add it"),
    ],
)
def test_credentials_that_a_profile_lacks_are_named_by_the_first_call(
    caller, server, monkeypatch, tmp_path, profile, lack
):
    """Whether the machine has a role is known to a network alone, and nothing is sent at construction."""
    (tmp_path / "credentials").write_text(f"[default]\n{profile}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    own = {"region": "us-east-1"}
    embedder = Embedder(f"bedrock:{TITAN}", base_url=server.url, cache=False, provider_options=own)
    with pytest.raises(AuthenticationError, match=lack) as caught:
        caller.embed(embedder, ["a"])
    assert ID not in str(caught.value)
    assert len(server.requests) == 0


def test_what_is_missing_or_contradicts_itself_is_named_at_construction(server, monkeypatch):
    def refused(match, model=TITAN, **options):
        with pytest.raises(ConfigurationError, match=match) as caught:
            Embedder(f"bedrock:{model}", cache=False, **options)
        assert SECRET not in str(caught.value)

    refused("needs a region: set AWS_REGION")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    refused("no AWS credentials: set AWS_ACCESS_KEY_ID")
    refused("go together", provider_options={"aws_access_key_id": ID})
    refused("no profile 'play'", provider_options={**SIGNED, "profile": "play"})
    refused("two ways", api_key=TOKEN, provider_options=SIGNED)
    refused("region", provider_options={"region": "us-east-1.evil.example/"})
    refused("no embedding model that is known here", model="anthropic.claude-3", provider_options=SIGNED)
    refused("use dimensions=", provider_options={**SIGNED, "body": {"dimensions": 5}})
    refused("use input_type=", provider_options={**SIGNED, "body": {"input_type": "x"}})
    refused("the texts of the call", provider_options={**SIGNED, "role_body": {"query": {"inputText": "x"}}})
    refused("holds the api key", api_key=TOKEN, provider_options={"body": {"a": TOKEN}})
    refused("holds a user", api_key=TOKEN, base_url=server.url.replace("//", "//somebody:hunter2@"))
    refused("dimensions", model=COHERE_3, dimensions=256, api_key=TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    refused("set both or none")


def test_awss_own_addresses_are_one_endpoint_and_say_their_region(monkeypatch):
    def made(**options):
        return Embedder(f"bedrock:{TITAN}", api_key=TOKEN, cache=False, **options)

    def address(**options):
        return made(**options)._parts.provider.address()

    west = made(base_url="https://bedrock-runtime.us-west-2.amazonaws.com")
    assert west._parts.provider.region == "us-west-2"
    assert west.space.fingerprint == made(provider_options={"region": "eu-west-1"}).space.fingerprint
    private = "https://vpce-0a1.bedrock-runtime.us-east-1.vpce.amazonaws.com"
    assert address(base_url=private) == private
    assert address(provider_options={"region": "cn-north-1"}) == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert address(provider_options={"region": "us-east-1"}) == "https://bedrock-runtime-fips.us-east-1.amazonaws.com"
    gateway = made(base_url="https://gateway.example")
    assert gateway.space.fingerprint != west.space.fingerprint


# What goes wrong.


@pytest.mark.usefixtures("_short_pauses")
def test_refusals_mean_what_their_names_say(caller, server):
    cases = {
        "429:code=ThrottlingException;message=Too many tokens, please wait before trying again.": RateLimitTimeoutError,
        "429:code=ModelNotReadyException;message=The model is not ready for inference.": ProviderUnavailableError,
        "400:code=ServiceQuotaExceededException;message=Your request exceeds the service quota": QuotaExceededError,
        "403:code=AccessDeniedException;message=You don't have access to the model": AuthenticationError,
        "403:code=UnrecognizedClientException;message=The security token is invalid.": AuthenticationError,
        "403:code=ExpiredTokenException;message=The security token included is expired": AuthenticationError,
        "400:message=The provided model identifier is invalid.": ConfigurationError,
        "400:message=Invocation of model ID x with on-demand throughput isn\u2019t supported.": ConfigurationError,
        "404:message=This model version has reached the end of its life.": ConfigurationError,
        "503:message=The service is unavailable": ProviderUnavailableError,
    }
    for fault, kind in cases.items():
        server.reset()
        server.on(lambda _: True, fault)
        with pytest.raises(kind) as caught:
            caller.embed(bedrock(server, max_retries=1), ["a"])
        assert type(caught.value) is kind, fault
        assert kind is not AuthenticationError or "aws sso login" in str(caught.value), fault
        assert (
            server.stats.calls == (2 if kind in {RateLimitTimeoutError, ProviderUnavailableError} else 1)
            or "40" in fault
        )
        assert server.stats.billed == {}


def test_a_rate_is_learnt_from_one_text_a_request(caller, server):
    server.rate = RateLimit(requests=20, window=0.5)
    texts = [f"text {i}" for i in range(40)]
    np.testing.assert_array_equal(caller.embed(bedrock(server), texts).vectors, truth(server, *texts))
    assert server.stats.calls <= 48
    assert set(server.stats.billed.values()) == {1}


def test_of_single_texts_only_the_one_at_fault_is_lost_and_the_others_are_not_paid_again(caller, server, tmp_path):
    texts = [f"text {i}" for i in range(10)]
    server.on(contains("text 4"), "400:message=blocked")
    with pytest.raises(Exception, match="text 4") as caught:
        caller.embed(bedrock(server, cache=tmp_path), texts)
    assert caught.value.failed_indices == (4,)
    server.reset()
    caller.embed(bedrock(server, cache=tmp_path), texts)
    assert server.stats.billed == {"text 4": 1}
