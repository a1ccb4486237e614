"""Clients that vendors and frameworks wrote for the real servers, before the quirks that stand for them."""

import pytest

from embedbridge.testing import FaultServer

pytestmark = pytest.mark.slow


def test_nvidias_own_client_takes_the_quirk_for_nim():
    NVIDIAEmbeddings = pytest.importorskip("langchain_nvidia_ai_endpoints").NVIDIAEmbeddings  # noqa: N806
    with FaultServer(quirks=["nim"], width=64) as server:
        model = "nvidia/nv-embedqa-e5-v5"
        client = NVIDIAEmbeddings(model=model, base_url=f"{server.url}/v1", nvidia_api_key="nvapi-test")
        query, documents = client.embed_query("q"), client.embed_documents(["a", "b"])
        assert query == pytest.approx(server.vector("q", model=model, input_type="query", dims=64))
        assert documents[1] == pytest.approx(server.vector("b", model=model, input_type="passage", dims=64))
        with pytest.raises(Exception, match="Input length 1000 exceeds maximum allowed token size 512"):
            client.embed_documents(["x" * 4000])


def test_mistrals_own_client_takes_the_quirk_for_mistral():
    MistralAIEmbedding = pytest.importorskip("llama_index.embeddings.mistralai").MistralAIEmbedding  # noqa: N806
    with FaultServer(quirks=["mistral"], width=64) as server:
        embedding = MistralAIEmbedding(api_key="test")
        embedding._client.sdk_configuration.server_url = server.url  # it has no option for it
        given = embedding.get_text_embedding_batch(["a", "b"])
        assert given[1] == pytest.approx(server.vector("b", model="mistral-embed", dims=64))
        with pytest.raises(Exception, match="Too many inputs in request, split into more batches"):
            embedding._get_text_embeddings(["x"] * 257)
