"""What a pool's cache entries, spaces and copies are known by, and what of its keys leaves the process."""

import copy
import pickle

import numpy as np
import pytest
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder, SpaceMismatchError, batch, guard
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.testing import FaultServer, contains

from .conftest import MODEL, always, pool_of

pytest.importorskip("openai")
pytestmark = pytest.mark.filterwarnings("ignore:endpoint .* is left out")


@pytest.fixture
def three():
    with FaultServer() as first, FaultServer() as second, FaultServer() as third:
        yield first, second, third


def expected_of(server, texts, dimensions=None):
    return [server.vector(text, model="text-embedding-3-small", dims=dimensions) for text in texts]


def asked_for(text, *servers):
    return sum(each.stats.billed[text] for each in servers)


def test_with_a_name_endpoints_are_added_removed_and_reordered_with_the_same_entries(caller, three, tmp_path):
    first, second, third = three
    named = {"cache": tmp_path, "base_url": f"{first.url}/v1"}
    caller.embed(pool_of(first, second, **named), ["a"])
    for servers in ((second, first), (third, second, first), (second, third)):
        assert caller.embed(pool_of(*servers, **named), ["a"]).report.hits == 1
    assert asked_for("a", *three) == 1


def test_without_one_the_first_endpoint_names_the_pool(caller, three, tmp_path):
    first, second, third = three
    caller.embed(pool_of(first, second, cache=tmp_path), ["a"])
    assert caller.embed(pool_of(first, third, cache=tmp_path), ["a"]).report.hits == 1
    assert caller.embed(pool_of(second, third, cache=tmp_path), ["a"]).report.hits == 0


def test_keys_at_one_address_have_the_entries_of_that_address(caller, server, tmp_path):
    alone = Embedder(MODEL, base_url=f"{server.url}/v1", api_key="k", cache=tmp_path)
    endpoints = [{"base_url": f"{server.url}/v1", "api_key": key} for key in ("sk-1", "sk-2")]
    pool = Embedder(MODEL, endpoints=endpoints, cache=tmp_path)
    caller.embed(alone, ["a"])
    assert caller.embed(pool, ["a"]).report.hits == 1
    caller.embed(pool, ["b"])
    assert caller.embed(alone, ["b"]).report.hits == 1


@pytest.mark.parametrize("option", [{}, {"dimensions": 256}], ids=["as they are", "cut"])
def test_what_any_endpoint_stored_alone_is_bought_by_no_pool_not_even_by_its_first_call(caller, pair, tmp_path, option):
    """The reference and the one that stored it prove their vectors, with fixed texts, and nothing else is sent."""
    first, second = pair
    alone = Embedder(MODEL, base_url=f"{second.url}/v1", api_key="k", cache=tmp_path)
    caller.embed(alone, ["a", "b"])
    pool = pool_of(first, second, cache=tmp_path, **option)
    assert pool.estimate(["b"]).cached == 0  # nothing is sent for an estimate, so nothing is proved
    result = caller.embed(pool, ["a", "b", "c"])
    assert result.report.hits == 2
    np.testing.assert_allclose(result.vectors, expected_of(second, ["a", "b", "c"], **option), atol=1e-6)
    assert asked_for("a", *pair) == asked_for("b", *pair) == asked_for("c", *pair) == 1
    assert pool_of(first, second, cache=tmp_path, **option).estimate(["b"]).cached == 1


def test_one_that_does_not_answer_is_asked_for_no_proof_of_what_it_stored_alone(caller, pair, tmp_path):
    first, second = pair
    caller.embed(Embedder(MODEL, base_url=f"{second.url}/v1", api_key="k", cache=tmp_path), ["a", "b", "c"])
    second.on(always, "503")
    pool = pool_of(first, second, cache=tmp_path)
    calls = second.stats.calls
    for text in "abc":
        assert caller.embed(pool, [text]).report.hits == 0
    assert second.stats.calls == calls + 1


def test_entries_of_a_single_endpoint_that_fails_the_proof_are_never_read(caller, pair, tmp_path):
    first, second = pair
    caller.embed(Embedder(MODEL, base_url=f"{second.url}/v1", api_key="k", cache=tmp_path), ["a"])
    caller.embed(pool_of(first, second, cache=tmp_path), ["b"])
    second.on(always, "shufflelie")
    first.on(contains("a"), "503")
    with pytest.raises(Exception, match="503"):
        caller.embed(pool_of(first, second, cache=tmp_path, max_retries=0), ["a"])


def test_the_space_is_that_of_the_endpoint_that_names_the_pool(pair):
    first, second = pair
    alone = Embedder(MODEL, base_url=f"{first.url}/v1", api_key="k", cache=False)
    assert pool_of(first, second).space == alone.space
    assert pool_of(second, first, base_url=f"{first.url}/v1").space == alone.space
    assert pool_of(second, first).space != alone.space


def test_a_guard_knows_a_pool_by_its_name_and_a_model_in_its_place_by_canary_vectors(pair, tmp_path):
    first, second = pair
    named = {"base_url": f"{first.url}/v1"}

    def ask(*servers, **options):
        faces = pool_of(*servers, **options).as_langchain()
        retriever = InMemoryVectorStore.from_texts(["a"], faces).as_retriever()
        return guard(tmp_path, retriever, canary=True).invoke("a")

    for servers, options in ((pair, {}), ((second, first), named)):
        assert ask(*servers, **options)
    with pytest.raises(SpaceMismatchError, match="endpoint"):
        ask(second, first)
    second.on(always, "shufflelie")
    assert ask(first, second)
    with pytest.raises(SpaceMismatchError, match="1 - cosine is"):
        ask(second, first, **named)  # without a cache, the first that answers is what the others agree with


def test_keys_of_a_pool_show_nowhere_and_travel_nowhere(pair, tmp_path):
    pool = pool_of(*pair, cache=tmp_path)
    pool.embed(["a"])
    shown = [repr(pool.options), str(pool.options.model_dump()), pool.options.model_dump_json(), str(pool.describe())]
    data = pool.as_llama_index().to_dict()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [each for each in (*shown, str(data)) if "sk-0" in each or "sk-1" in each]
    assert not [each for each in files if b"sk-0" in each or b"sk-1" in each]
    with pytest.raises(ConfigurationError, match=r"endpoints: entry 0: api_key may be a secret.*key_env") as caught:
        pickle.dumps(pool)
    assert "sk-0" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="masks them"):
        Embedder(**{**pool.options.model_dump(mode="json"), "cache": False})
    again = copy.deepcopy(pool)
    assert again.options.endpoints[0].api_key == SecretStr("sk-0")
    assert BridgeEmbedding.from_dict(data, endpoints=pool.options.endpoints, cache=False).to_dict() == data


def test_keys_of_the_environment_are_found_by_whoever_reads_a_pickle(pair, monkeypatch):
    monkeypatch.setenv("FIRST_KEY", "sk-of-first")
    endpoints = [{"base_url": f"{each.url}/v1", "key_env": "FIRST_KEY"} for each in pair]
    pool = Embedder(MODEL, endpoints=endpoints, cache=False)
    frozen = pickle.dumps(pool)
    assert b"sk-of-first" not in frozen
    np.testing.assert_array_equal(pickle.loads(frozen).embed(["a"]).vectors, pool.embed(["a"]).vectors)  # noqa: S301
    assert {request.headers["authorization"] for request in pair[0].requests} == {"Bearer sk-of-first"}
    monkeypatch.delenv("FIRST_KEY")
    with pytest.raises(ConfigurationError, match="FIRST_KEY is not set"):
        pickle.loads(frozen)  # noqa: S301


def test_a_key_of_one_vendor_goes_to_no_other(pair):
    with pytest.raises(ConfigurationError, match="give endpoints in the same update"):
        pool_of(*pair).options.model_copy(update={"model": "voyage:voyage-4"})


def test_a_pool_has_no_batch_api(pair):
    with pytest.raises(ConfigurationError, match="a pool has no batch API"):
        batch.submit(pool_of(*pair), ["a"])
    with pytest.raises(ConfigurationError, match="batch='wait': a pool has no batch API"):
        pool_of(*pair, batch="wait")
