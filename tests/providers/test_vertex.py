"""Vertex AI: where requests go, who asks, two shapes of requests, and what answers tell of tokens and cuts."""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from embedbridge import AuthenticationError, ConfigurationError, DeadlineExceededError, Embedder, InputTooLongError
from embedbridge.testing import FaultServer, Limits
from embedbridge.testing.loopback import LoopbackServer

FIRST, SECOND, OLDER = "gemini-embedding-001", "gemini-embedding-2", "text-embedding-005"
PLACE = {"project": "a-project", "location": "europe-west1"}


class Token:
    """Credentials that never end."""

    valid = True

    def apply(self, headers):
        headers["authorization"] = "Bearer a-token-of-theirs"


def vertex(server, model=OLDER, *, own=PLACE, credentials=True, **options):
    own = {**own, **({"credentials": Token()} if credentials else {})}
    return Embedder(
        f"vertex:{model}", **{"base_url": server and server.url, "cache": False, "provider_options": own} | options
    )


def truth(server, *texts, model=OLDER, role="RETRIEVAL_DOCUMENT", dims=None):
    return server.vectors(texts, dialect="vertex", model=model, input_type=role, dims=dims)


def test_many_texts_are_one_prediction_and_each_has_its_role_and_title(caller, server):
    texts = ["a", "title: B | text: b"]
    result = caller.embed(vertex(server, dimensions=256), texts)
    (request,) = server.requests
    assert (
        request.path == f"/v1beta1/projects/a-project/locations/europe-west1/publishers/google/models/{OLDER}:predict"
    )
    assert request.headers["authorization"] == "Bearer a-token-of-theirs"
    assert request.payload == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_DOCUMENT"},
            {"content": "b", "task_type": "RETRIEVAL_DOCUMENT", "title": "B"},
        ],
        "parameters": {"autoTruncate": True, "outputDimensionality": 256},
    }
    np.testing.assert_allclose(result.vectors, truth(server, *texts, dims=256), rtol=1e-6)
    assert (result.report.tokens, result.report.tokens_from) == (server.stats.tokens, "provider")


def test_the_second_gemini_model_takes_one_text_in_a_request_and_few_requests_at_once(caller, server):
    server.latency = type(server.latency)(base=0.02)
    texts = [f"text {i}" for i in range(24)]
    result = caller.embed(vertex(server, SECOND), texts)
    assert server.requests[0].path.endswith(f"publishers/google/models/{SECOND}:embedContent")
    assert server.requests[0].payload == {
        "content": {"parts": [{"text": server.requests[0].items[0]}], "role": "user"},
        "embedContentConfig": {"autoTruncate": True},
    }
    prefixed = [f"title: none | text: {text}" for text in texts]
    np.testing.assert_array_equal(result.vectors, truth(server, *prefixed, model=SECOND, role=""))
    assert dict(server.stats.billed) == dict.fromkeys(prefixed, 1)
    assert server.stats.max_in_flight <= 8
    assert result.report.tokens == server.stats.tokens


def test_what_the_server_cuts_is_told_by_it(caller, server):
    texts = ["short", "word " * 1700]
    for model, kept in ((OLDER, 2048), (SECOND, 8192)):
        long = [texts[0], texts[1] * (kept // 2048)]
        server.reset()
        report = caller.embed(vertex(server, model), long).report
        assert [(cut.index, cut.kept) for cut in report.cut] == [(1, kept)]
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(vertex(server, too_long="error"), texts)
    assert (caught.value.index, caught.value.limit) == (1, 2048)
    assert server.requests[-1].payload["parameters"] == {"autoTruncate": False}
    server.reset()
    caller.embed(vertex(server, too_long="mean"), texts)
    assert not server.stats.again()


def test_a_server_that_takes_one_text_only_is_believed_once_for_all(caller):
    with FaultServer(limits={"vertex": Limits(1, 2048, 20_000)}) as server:
        texts = [f"text {i}" for i in range(12)]
        embedder = vertex(server, FIRST)
        vectors = caller.embed_documents(embedder, texts)
        np.testing.assert_array_equal(vectors, truth(server, *texts, model=FIRST))
        assert (server.stats.statuses[400], server.stats.statuses[200]) == (1, 12)
        caller.embed_documents(embedder, ["more", "texts"])
        assert server.stats.statuses[400] == 1


def test_dense_texts_fit_a_request_and_one_that_does_not_is_halved(caller):
    with FaultServer(limits={"vertex": Limits(250, 2048, 5_000)}) as server:
        texts = [f"text {i} {'word ' * 800}" for i in range(12)]
        caller.embed_documents(vertex(server), texts)
        assert dict(server.stats.billed) == dict.fromkeys(texts, 1)


def test_each_place_has_its_own_address(monkeypatch):
    addresses = {
        "global": "https://aiplatform.googleapis.com",
        "us": "https://aiplatform.us.rep.googleapis.com",
        "europe-west1": "https://europe-west1-aiplatform.googleapis.com",
    }
    for location, address in addresses.items():
        embedder = vertex(None, own={"project": "p", "location": location})
        assert embedder._parts.provider.address() == address
        assert embedder.space == vertex(None, base_url=f"{address}/v1beta1", own={"location": location}).space
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us")
    assert vertex(None, own={})._parts.provider.address() == addresses["us"]
    assert vertex(None, own={}).space == vertex(None).space, "where it is asked decides no vector"


def test_who_asks_is_decided_as_by_googles_own_sdk(caller, server, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-environment")
    express = "/v1beta1/publishers/google/models/text-embedding-005:predict"
    whole = "/v1beta1/projects/{}/locations/{}/publishers/google/models/text-embedding-005:predict"

    def asks(*, environment=(), **options):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment:
                patch.setenv(name, value)
            caller.embed_query(vertex(server, **{"own": {}, "credentials": False} | options), "a")
        request = server.requests[-1]
        return request.path, request.headers.get("x-goog-api-key"), request.headers.get("authorization")

    theirs, token = [("GOOGLE_CLOUD_PROJECT", "theirs")], "Bearer a-token-of-theirs"
    assert asks() == (express, "key-of-the-environment", None)
    assert asks(api_key="a-key-of-ours") == (express, "a-key-of-ours", None)
    assert asks(api_key="a-key-of-ours", environment=theirs) == (express, "a-key-of-ours", None)
    assert asks(api_key="a-key-of-ours", own=PLACE) == (
        whole.format("a-project", "europe-west1"),
        "a-key-of-ours",
        None,
    )
    assert asks(credentials=True, environment=theirs) == (whole.format("theirs", "global"), None, token)
    assert asks(credentials=True, own=PLACE) == (whole.format("a-project", "europe-west1"), None, token)
    with pytest.raises(ConfigurationError, match="pass one of api_key and"):
        vertex(server, api_key="a-key-of-ours")
    with pytest.raises(ConfigurationError, match="credentials are google"):
        vertex(server, own={"credentials": "a token"}, credentials=False)


def test_models_of_others_are_found_by_their_whole_name(caller, server):
    for name in (f"google/{OLDER}", f"publishers/google/models/{OLDER}"):
        caller.embed_query(vertex(server, name), "a")
    whole = f"projects/other/locations/us/publishers/google/models/{OLDER}"
    caller.embed_query(vertex(server, whole), "a")
    first, second, third = (request.path.removeprefix("/v1beta1/") for request in server.requests)
    assert first == second == f"projects/a-project/locations/europe-west1/publishers/google/models/{OLDER}:predict"
    assert third == f"{whole}:predict"


def test_credentials_of_the_program_are_never_carried_elsewhere(server):
    bridge = vertex(server).as_langchain()
    with pytest.raises(ConfigurationError, match="credentials was given for another server"):
        bridge.model_copy(update={"base_url": "https://elsewhere.example"})


# Tokens.


class TokenServer(LoopbackServer):
    """Gives out tokens: to service accounts, and as a metadata server."""

    def __init__(self):
        super().__init__()
        self.given, self.lasts, self.status, self.waits = 0, 3600, 200, 0.0
        self.paths = []

    async def answer(self, connection, request):
        self.paths.append(request.path)
        await asyncio.sleep(self.waits)
        headers = {"content-type": "application/json", "metadata-flavor": "Google"}
        body = {"error": "invalid_grant", "error_description": "a-secret-of-theirs"}
        if request.path.endswith("project-id"):
            body = "metadata-project"
            headers["content-type"] = "application/text"
        elif request.path.endswith(("/token", "/service-accounts/default/")) and self.status == 200:
            self.given += request.path.endswith("/token")
            body = {"access_token": f"token-{self.given}", "expires_in": self.lasts, "token_type": "Bearer"}
            body |= {"email": "default", "scopes": [], "aliases": []}
        data = body if isinstance(body, str) else json.dumps(body)
        await connection.send(self.status, headers, data.encode())
        return True


@pytest.fixture
def tokens():
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="session")
def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@pytest.fixture
def account(tokens, private_key, tmp_path, monkeypatch):
    """The file of a service account, named by the environment."""
    content = {
        "type": "service_account",
        "project_id": "project-of-the-file",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "a@project-of-the-file.iam.gserviceaccount.com",
        "token_uri": f"{tokens.url}/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(content))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return file


def by_default(server, **options):
    return vertex(server, own={"location": "us"}, credentials=False, **options)


@pytest.mark.usefixtures("account")
def test_one_token_serves_all_requests_until_it_ends(caller, server, tokens):
    embedder = by_default(server, batch_size=1)
    assert tokens.given == 0, "nothing is sent at construction"
    caller.at_once(embedder, [["a", "b"], ["c", "d"]])
    assert tokens.given == 1
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer token-1"}
    assert "/projects/project-of-the-file/locations/us/" in server.requests[0].path
    embedder._parts.provider._tokens._credentials.expiry = None
    embedder._parts.provider._tokens._credentials.token = None
    caller.embed_query(embedder, "e")
    assert server.requests[-1].headers["authorization"] == "Bearer token-2"


@pytest.mark.usefixtures("account")
def test_a_token_that_is_refused_is_an_error_about_the_credentials(caller, server, tokens):
    tokens.status = 400
    with pytest.raises(AuthenticationError, match="gives no access token") as caught:
        caller.embed_query(by_default(server), "a")
    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "a-secret-of-theirs" not in told
    assert server.stats.calls == 0


@pytest.mark.usefixtures("account")
def test_google_refusing_an_account_is_an_error_about_the_credentials(caller, server):
    server.on(lambda _: True, "403:message=Permission denied")
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        caller.embed_query(by_default(server), "a")


@pytest.mark.usefixtures("account")
def test_a_slow_token_ends_a_call_at_its_deadline(caller, server, tokens):
    tokens.waits = 3.0
    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        caller.embed_query(by_default(server, deadline=0.5), "a")
    assert time.monotonic() - begun < 2.5
    assert server.stats.calls == 0


SCRIPT = """
import asyncio, sys
from embedbridge import Embedder

embedder = Embedder("vertex:text-embedding-005", base_url=sys.argv[1], cache=False)
for ask in (lambda: embedder.embed_query("a"), lambda: asyncio.run(embedder.aembed_query("b"))):
    try:
        print(ask().shape)
    except Exception as error:
        print(type(error).__name__, error)
"""


def in_a_process_of_its_own(server, folder, **environment):
    """What an embedder with nothing but these variables does: google-auth reads some of them once for all."""
    usual = {"PATH": os.environ["PATH"], "CLOUDSDK_CONFIG": str(folder)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, server.url]
    done = subprocess.run(command, env=usual | environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines(), done.stderr


@pytest.mark.slow
def test_a_machine_of_google_cloud_is_its_own_credential_and_no_proxy_comes_between(server, tokens, tmp_path):
    host = tokens.url.removeprefix("http://")
    told, errors = in_a_process_of_its_own(
        server,
        tmp_path,
        GCE_METADATA_HOST=host,
        GCE_METADATA_IP=host,
        HTTP_PROXY="http://127.0.0.1:9",
        NO_PROXY=server.url.removeprefix("http://"),
    )
    assert told == ["(768,)", "(768,)"], (told, errors)
    assert "/projects/metadata-project/locations/global/" in server.requests[0].path
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer token-1"}


@pytest.mark.slow
def test_missing_credentials_are_named(server, tmp_path):
    nowhere = {"GCE_METADATA_HOST": "127.0.0.1:9", "GCE_METADATA_IP": "127.0.0.1:9"}
    told, errors = in_a_process_of_its_own(server, tmp_path, **nowhere)
    assert len(told) == 2, (told, errors)
    for line in told:
        assert line.startswith("AuthenticationError")
        assert "no credentials of Google Cloud are found" in line
        assert "gcloud auth application-default login" in line
    assert server.stats.calls == 0


def test_a_file_of_credentials_that_is_none_is_named_at_construction(server, tmp_path, monkeypatch):
    file = tmp_path / "account.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    for content, why in ((None, "cannot be read"), ("not JSON", "holds no JSON"), ("[]", "holds no credentials")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigurationError, match=f"GOOGLE_APPLICATION_CREDENTIALS names .*{why}"):
            by_default(server)


def test_a_project_that_nobody_names_is_asked_for(caller, server):
    with pytest.raises(ConfigurationError, match="set GOOGLE_CLOUD_PROJECT"):
        caller.embed_query(vertex(server, own={}), "a")


@pytest.mark.usefixtures("account")
def test_another_process_finds_the_credentials_by_itself(caller, server):
    thawed = pickle.loads(pickle.dumps(by_default(server)))  # noqa: S301 - our own
    caller.embed_query(thawed, "a")
    assert server.requests[-1].headers["authorization"] == "Bearer token-1"


def test_credentials_travel_to_no_other_process_and_name_their_project():
    service_account = pytest.importorskip("google.oauth2.service_account")
    given = service_account.Credentials(SIGNER, "somebody@example.com", "https://token.example", project_id="theirs")
    given.token = "a-token-of-theirs"
    embedder = Embedder("vertex:text-embedding-005", cache=False, provider_options={"credentials": given})
    frozen = pickle.dumps(embedder)
    assert b"a-token-of-theirs" not in frozen
    assert b"of-the-key" not in frozen
    assert "/projects/theirs/" in embedder._parts.provider.root() or "theirs" in str(embedder._parts.provider.asides())


class SIGNER:
    key_id = "of-the-key"
