"""Bedrock before boto3 and the frameworks' integrations: the same bodies where these are right, and where not."""

import json

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.slow

ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI"
TITAN, NOVA = "amazon.titan-embed-text-v2:0", "amazon.nova-2-multimodal-embeddings-v1:0"
COHERE_3, COHERE_4 = "cohere.embed-english-v3", "cohere.embed-v4:0"


@pytest.fixture
def server():
    with FaultServer(tls=True, api_keys=[f"{ID}:{SECRET}", "token"]) as server:
        yield server


@pytest.fixture
def runtime(server):
    boto3 = pytest.importorskip("boto3")
    options = {"region_name": "us-west-2", "endpoint_url": server.url, "verify": server.certificate}
    client = boto3.client("bedrock-runtime", aws_access_key_id=ID, aws_secret_access_key=SECRET, **options)
    yield client
    client.close()


def ours(server, model, **options):
    own = {
        "region": "us-west-2",
        "aws_access_key_id": ID,
        "aws_secret_access_key": SECRET,
        "verify": server.certificate,
    }
    return Embedder(f"bedrock:{model}", base_url=server.url, cache=False, provider_options=own, **options)


def bodies(server):
    found = [json.loads(request.body) for request in server.requests]
    server.reset()
    return found


def test_boto3_is_understood_and_sends_what_we_send(server, runtime):
    for model in (TITAN, NOVA, COHERE_3, f"us.{COHERE_4}"):
        vector = ours(server, model).embed_query("grüße")
        (sent,) = server.requests
        body = sent.body
        server.reset()
        answer = runtime.invoke_model(modelId=model, body=body)
        (theirs,) = server.requests
        assert (theirs.target, theirs.body) == (sent.target, body)
        found = json.loads(answer["body"].read())
        numbers = found.get("embedding") or found["embeddings"]
        numbers = numbers["float"][0] if isinstance(numbers, dict) else numbers
        numbers = numbers[0]["embedding"] if isinstance(numbers[0], dict) else numbers
        np.testing.assert_array_equal(np.array(numbers, np.float32), vector)
        assert int(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"]) == 2
        server.reset()


def test_boto3_reads_refusals_by_their_names(runtime):
    from botocore.exceptions import ClientError

    wrong = json.dumps({"texts": ["a"] * 97, "input_type": "search_document"})
    for model, body, says in (
        (COHERE_3, wrong, "ValidationException"),
        (TITAN, json.dumps({"inputText": "word " * 9000}), "ValidationException.*Max input tokens: 8192"),
        ("anthropic.claude-3", "{}", "ValidationException.*identifier is invalid"),
    ):
        with pytest.raises(ClientError, match=says):
            runtime.invoke_model(modelId=model, body=body)


def test_a_bearer_token_is_taken_from_boto3_too(server, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "token")
    client = boto3.client(
        "bedrock-runtime", region_name="us-west-2", endpoint_url=server.url, verify=server.certificate
    )
    client.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "a"}))
    client.close()
    assert server.requests[0].headers["authorization"] == "Bearer token"


def test_langchain_sends_titan_and_cohere_what_we_send_but_rewrites_texts_and_nova_has_no_roles(server, runtime):
    """Line breaks become blanks, documents go one by one in sequence, and a query of Nova is sent as a document."""
    BedrockEmbeddings = pytest.importorskip("langchain_aws").BedrockEmbeddings  # noqa: N806
    theirs = BedrockEmbeddings(client=runtime, model_id=TITAN)
    vectors = theirs.embed_documents(["a", "b\nc"])
    assert bodies(server) == [{"inputText": "a"}, {"inputText": "b c"}]
    np.testing.assert_array_equal(np.array(vectors[0], np.float32), ours(server, TITAN).embed_documents(["a"])[0])
    assert ours(server, TITAN).embed_documents(["b\nc"]).shape == (1, 1024)
    assert bodies(server) == [{"inputText": "a"}, {"inputText": "b\nc"}]
    nova = BedrockEmbeddings(client=runtime, model_id=NOVA)
    nova.embed_query("q")
    nova.embed_documents(["q"])
    assert [body["singleEmbeddingParams"]["embeddingPurpose"] for body in bodies(server)] == ["GENERIC_INDEX"] * 2
    ours(server, NOVA).embed_query("q")
    ours(server, NOVA).embed_documents(["q"])
    assert [body["singleEmbeddingParams"]["embeddingPurpose"] for body in bodies(server)] == [
        "TEXT_RETRIEVAL",
        "GENERIC_INDEX",
    ]
    cohere = BedrockEmbeddings(client=runtime, model_id=COHERE_4, dimensions=512)
    cohere.embed_documents(["a", "b"])
    (body,) = bodies(server)
    ours(server, COHERE_4, dimensions=512).embed_documents(["a", "b"])
    assert bodies(server) == [body | {"embedding_types": ["float"], "truncate": "RIGHT"}]


def test_llama_index_cuts_for_cohere_4_at_2048_characters_without_a_word(server, runtime):
    BedrockEmbedding = pytest.importorskip("llama_index.embeddings.bedrock").BedrockEmbedding  # noqa: N806
    keys = {"aws_access_key_id": ID, "aws_secret_access_key": SECRET, "region_name": "us-west-2"}
    theirs = BedrockEmbedding(model_name=COHERE_4, client=runtime, **keys)
    text = "x" * 5000
    theirs.get_text_embedding(text)
    assert [len(text) for text in server.requests[0].items] == [2048]
    server.reset()
    report = ours(server, COHERE_4).embed([text]).report
    assert [len(text) for text in server.requests[0].items] == [5000]
    assert report.cut == ()
