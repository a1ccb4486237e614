"""Quirks of the fault server: a client that is not ours meets each as it meets the real server."""

import json

import httpx
import numpy as np
import openai
import pytest

from embedbridge.testing import QUIRKS, FaultServer, Limits

MODEL = "some-model"


@pytest.fixture(params=QUIRKS)
def quirk(request):
    return request.param


def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0)


def plain(server, texts, **body):
    """Asked by the official SDK."""
    return client(server).embeddings.create(model=MODEL, input=texts, encoding_format="float", extra_body=body)


def fields(quirk):
    return {"input_type": "query"} if quirk == "nim" else {}


def test_every_quirk_answers_the_official_sdk(quirk):
    with FaultServer(quirks=[quirk]) as server:
        reply = plain(server, ["a", "b"], **fields(quirk))
        given = np.array([entry.embedding for entry in reply.data], np.float32)
        role = fields(quirk).get("input_type", "")
        np.testing.assert_allclose(given, server.vectors(["a", "b"], model=MODEL, input_type=role))
        assert server.stats.served == 1


def test_every_quirk_tells_a_fault_in_its_own_words(quirk):
    with FaultServer(quirks=[quirk]) as server:
        server.script("429:retry-after=2;message=slow down")
        if quirk == "openrouter":
            reply = client(server).embeddings.with_raw_response.create(model=MODEL, input=["a"])
            assert json.loads(reply.text)["error"] == {"message": "slow down", "code": 429}
            return
        with pytest.raises(openai.RateLimitError) as caught:
            plain(server, ["a"], **fields(quirk))
        assert "slow down" in caught.value.response.text
        assert server.stats.served == 0


def test_every_limit_is_said_and_holds(quirk):
    with FaultServer(quirks=[quirk]) as server:
        limits = server.limits["openai"]
        for texts in (["a"] * (limits.items + 1), ["x" * (4 * limits.tokens_per_item + 1)]):
            if quirk == "openrouter":
                reply = client(server).embeddings.with_raw_response.create(model=MODEL, input=texts)
                assert json.loads(reply.text)["error"]["code"] == 400
                continue
            with pytest.raises(openai.APIStatusError) as caught:
                plain(server, texts, **fields(quirk))
            said = caught.value.response.text
            wants = str(limits.items if len(texts) > 1 else limits.tokens_per_item)
            assert wants in said or quirk == "mistral"
        assert server.stats.served == 0


def test_gemini_leaves_out_zero_and_names_a_wait_in_the_body_alone():
    with FaultServer(quirks=["gemini"]) as server:
        assert [entry.get("index") for entry in plain(server, ["a", "b", "c"]).to_dict()["data"]] == [None, 1, 2]
        server.script("429:retry-after=1.2")
        with pytest.raises(openai.RateLimitError) as caught:
            plain(server, ["a"])
        ((error,),) = [entry.values() for entry in caught.value.response.json()]
        assert error["status"] == "RESOURCE_EXHAUSTED"
        assert error["details"][0]["retryDelay"] == "1.2s"
        assert "Please retry in 1.2s" in error["message"]
        assert "retry-after" not in caught.value.response.headers


def test_nim_wants_a_role_and_cuts_when_it_is_told_to():
    with FaultServer(quirks=["nim"]) as server:
        for wrong in ({}, {"input_type": "document"}):
            with pytest.raises(openai.BadRequestError) as caught:
                plain(server, ["a"], **wrong)
            assert "'input_type'" in caught.value.response.json()["error"]
        plain(server, ["x" * 4000], input_type="passage", truncate="END")
        assert server.stats.tokens == 512


def test_mistral_knows_dimensions_by_its_own_name_alone():
    with FaultServer(quirks=["mistral"]) as server:
        assert len(plain(server, ["a"], output_dimension=256).data[0].embedding) == 256
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client(server).embeddings.create(model=MODEL, input="a", dimensions=256)
        assert caught.value.response.json()["message"]["detail"][0]["loc"] == ["body", "dimensions"]


@pytest.mark.parametrize(
    ("quirk", "path", "found"),
    [
        ("tei", "/info", lambda page: (page["max_client_batch_size"], page["max_input_length"]) == (32, 512)),
        ("vllm", "/v1/models", lambda page: page["data"][0]["max_model_len"] == 512),
        ("llamacpp", "/props", lambda page: page["default_generation_settings"]["n_ctx"] == 512),
    ],
)
def test_servers_that_publish_their_limits_do(quirk, path, found):
    with FaultServer(quirks=[quirk]) as server:
        assert found(httpx.get(server.url + path).json())


def test_quirks_compose_with_each_other_and_with_limits_of_ones_own():
    with FaultServer(quirks=["tei", "openrouter"], limits={"openai": Limits(4, 512, None)}) as server:
        reply = client(server).embeddings.with_raw_response.create(model=MODEL, input=["a"] * 5)
        assert reply.status_code == 200
        said = {"message": "batch size 5 > maximum allowed batch size 4", "code": 413}
        assert json.loads(reply.text)["error"] == said


def test_a_quirk_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no quirk 'gemni'; there are: gemini, nim"):
        FaultServer(quirks=["gemni"])
