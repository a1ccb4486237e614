"""What a stand-in sends otherwise than it was given, as its original does, or otherwise than that: it says so."""

from __future__ import annotations

import pickle
import warnings

import pytest

from embedbridge import langchain, llama_index

AWS = {"region_name": "us-east-1", "aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
COHERE = "cohere.embed-english-v3"


def texts_sent(server):
    return [text for one in server.requests for text in one.items]


def bedrock(server, model=COHERE, **more):
    return llama_index.BedrockEmbedding(model, base_url=server.url, cache=False, **AWS, **more)


def test_coheres_models_on_bedrock_are_sent_the_characters_that_the_original_sends(server, caller):
    long, short = "word " * 500, "a short text"
    with pytest.warns(UserWarning, match="2048 characters of a text, and so does its stand-in"):
        caller.call(bedrock(server), "get_text_embedding_batch", [long, short])
    with pytest.warns(UserWarning, match="2048 characters"):
        caller.call(bedrock(server), "get_query_embedding", long)
    assert sorted(texts_sent(server)) == sorted([long[:2048], short, long[:2048]])
    server.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caller.call(bedrock(server), "get_text_embedding_batch", [short])
        caller.call(bedrock(server, "cohere.embed-v4:0", too_long="truncate"), "get_text_embedding_batch", [long])
        caller.call(bedrock(server, "amazon.titan-embed-text-v2:0"), "get_text_embedding_batch", [long])
    assert sorted(texts_sent(server)) == sorted([short, long, long])


def test_a_query_that_the_original_sends_as_a_passage_is_told_of_once(server):
    made = llama_index.NVIDIAEmbedding(
        "nvidia/nv-embedqa-e5-v5", api_key="k", base_url=f"{server.url}/nvidia/v1", cache=False
    )
    with pytest.warns(UserWarning, match="sends a query as a query; version 0.6"):
        made.get_query_embedding("a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.get_query_embedding("b")
    assert [one.payload["input_type"] for one in server.requests] == ["query", "query"]
    assert pickle.loads(pickle.dumps(made)).model == made.model  # noqa: S301 - our own


@pytest.mark.parametrize("keyword", ["sync_client_kwargs", "async_client_kwargs"])
def test_settings_of_one_kind_of_calls_are_told_to_hold_for_both(keyword):
    with pytest.warns(UserWarning, match=f"{keyword} hold for both kinds of calls here") as told:
        langchain.OllamaEmbeddings(model="m", cache=False, **{keyword: {"timeout": 5}})
    assert len(told) == 1


PROFILES = "[default]\n{0}AKDEFAULT\n{1}s0\n[mine]\n{0}AKMINE\n{1}s1\naws_session_token = of mine\n"
KEY = {"aws_access_key_id": "AKGIVEN", "aws_secret_access_key": "s2"}
PROFILE = {"credentials_profile_name": "mine"}
AMBIENT = {"AWS_ACCESS_KEY_ID": "AKAMBIENT", "AWS_SECRET_ACCESS_KEY": "s3", "AWS_SESSION_TOKEN": "ambient"}
CHAIN = [
    ({}, {}, ("AKDEFAULT", None)),
    ({}, PROFILE, ("AKMINE", "of mine")),
    ({"AWS_PROFILE": "mine"}, {}, ("AKMINE", "of mine")),
    (AMBIENT, {}, ("AKAMBIENT", "ambient")),
    (AMBIENT, PROFILE, ("AKMINE", "of mine")),
    (AMBIENT | {"AWS_PROFILE": "mine"}, {}, ("AKAMBIENT", "ambient")),
    (AMBIENT, KEY, ("AKGIVEN", None)),
    ({"AWS_SESSION_TOKEN": "ambient"}, KEY, ("AKGIVEN", "ambient")),
    (AMBIENT | {"AWS_ACCESS_KEY_ID": "AKGIVEN"}, KEY, ("AKGIVEN", "ambient")),
    (AMBIENT, KEY | {"aws_session_token": "given"}, ("AKGIVEN", "given")),
    ({}, KEY | PROFILE, ("AKMINE", "of mine")),
]
"""The environment, keywords, and whose key signs with which token: as of the original, but for the token of another."""


@pytest.mark.filterwarnings("ignore:.*credentials_profile_name is used")
@pytest.mark.parametrize(("ambient", "keywords", "wanted"), CHAIN)
def test_aws_credentials_are_found_as_by_the_original(ambient, keywords, wanted, server, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text(PROFILES.format("aws_access_key_id = ", "aws_secret_access_key = "))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name, value in ambient.items():
        monkeypatch.setenv(name, value)
    made = langchain.BedrockEmbeddings(region_name="us-east-1", endpoint_url=server.url, cache=False, **keywords)
    made.embed_query("a")
    made.embedder.close()
    (sent,) = server.requests
    signer = sent.headers["authorization"].partition("Credential=")[2].partition("/")[0]
    assert (signer, sent.headers.get("x-amz-security-token")) == wanted
    told = f"{made!r} {made.model_dump()} {made.embedder.options!r}"
    assert not any(secret in told for secret in ("s2", "s3", "AKGIVEN", "AKAMBIENT", "ambient", "given'"))
