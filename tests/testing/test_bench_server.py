"""The benchmark server is right before it is fast."""

import numpy as np
import openai

from support.bench_server import BenchServer, vector


def test_a_text_has_one_vector_whatever_its_batch_and_encoding():
    with BenchServer() as server:
        with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            packed = client.embeddings.create(model="m", input=["a", "b"])
            plain = client.embeddings.create(model="m", input="b", encoding_format="float")
        vectors = [entry.embedding for entry in (*packed.data, *plain.data)]
        np.testing.assert_allclose(vectors, [vector("a"), vector("b"), vector("b")], atol=1e-7)
        assert server.counts() == {"calls": 2, "texts": 3, "most": 1}
        assert server.counts()["calls"] == 0
