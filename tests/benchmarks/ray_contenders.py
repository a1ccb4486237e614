"""One contender of the scale-out: embeds the corpus once and prints the seconds.

python ray_contenders.py NAME BASE_URL COUNT
"""

from __future__ import annotations

import sys
import time
from typing import Any

import ray
from hosted_contenders import MODEL, corpus

from embedbridge import Embedder
from embedbridge.ray_data import embed_dataset


class Theirs:
    """What one writes by hand."""

    def __init__(self, url: str) -> None:
        from langchain_openai import OpenAIEmbeddings

        self._model = OpenAIEmbeddings(model=MODEL, base_url=url, api_key="sk-x", check_embedding_ctx_length=False)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch | {"embedding": self._model.embed_documents(list(batch["text"]))}


def alone(url: str, texts: list[str]) -> int:
    embedder = Embedder(f"openai:{MODEL}", base_url=url, api_key="sk-x", cache=False)
    return sum(len(result.vectors) for result in embedder.stream(texts, chunk_size=2048))


def ours(url: str, texts: list[str]) -> int:
    options = {"model": f"openai:{MODEL}", "base_url": url, "api_key": "sk-x", "cache": False}
    return consume(embed_dataset(dataset(texts), options=options, batch_size=2048))


def theirs(url: str, texts: list[str]) -> int:
    pool = ray.data.ActorPoolStrategy(size=2)
    mapped = dataset(texts).map_batches(Theirs, fn_constructor_args=(url,), batch_size=2048, compute=pool, num_cpus=0)
    return consume(mapped)


def dataset(texts: list[str]) -> Any:
    return ray.data.from_items([{"text": text} for text in texts], override_num_blocks=10)


def consume(mapped: Any) -> int:
    return sum(batch.num_rows for batch in mapped.iter_batches(batch_size=None, batch_format="pyarrow"))


def main(name: str, url: str, count: int) -> None:
    if name != "alone":
        ray.init(
            address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
    texts = corpus(count)
    begun = time.perf_counter()
    assert {"alone": alone, "ours": ours, "theirs": theirs}[name](url, texts) == count
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
