"""Long texts in six kinds of writing at a real llama.cpp that reads 512 tokens (W4): cut right, and told truly."""

from __future__ import annotations

import inspect
import json
import random
import textwrap
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedbridge import Embedder, events

pytestmark = [pytest.mark.slow]

LIMIT = 512
BATCH = 32
WORDS = {
    "English": "the raven hides nuts and remembers each of them through winter although nobody taught it why",
    "German": "Der Kolkrabe versteckt Nüsse, erinnert sich an Überwinterungsplätze und Gewohnheitsrechte größerer "
    "Vogelschutzgebiete, während Verwaltungsvorschriften Zuständigkeiten klären.",
    "Thai": "อีกา ซ่อน ถั่ว ไว้ใน ป่า และ จดจำ สถานที่ ตลอด ฤดูหนาว แม้ว่า ไม่มีใคร สอน มัน",
}
HAN = "乌鸦把坚果藏在森林里并且记住每一个地方直到冬天结束虽然没有人教过它检索增强生成需要向量"
SOURCE = [line for module in (inspect, json, textwrap, random) for line in inspect.getsource(module).splitlines()]


def write(kind, characters, rng):
    """A text of about so many characters."""
    text = ""
    while len(text) < characters:
        if kind in WORDS:
            text += " ".join(rng.choices(WORDS[kind].split(), k=60)) + rng.choice([". ", "\n"])
        elif kind == "Chinese":
            text += "".join(rng.choices(HAN, k=60)) + "。"
        elif kind == "code":
            at = rng.randrange(len(SOURCE) - 40)
            text += "\n".join(SOURCE[at : at + 40]) + "\n"
        else:
            text += rng.randbytes(32).hex() + "\n"
    return text[:characters].strip()


class Counter:
    """The server's own tokenizer, asked past us."""

    def __init__(self, url):
        self.url = url

    def __call__(self, text):
        body = json.dumps({"content": text, "add_special": True}).encode()
        asked = urllib.request.Request(f"{self.url}/tokenize", body, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - a loopback server of ours
            return len(json.load(answer)["tokens"])

    def all(self, texts):
        """Of each text."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(self, texts))


def corpus(kind, number, count):
    """Texts of 100 to 3,000 tokens."""
    rng = random.Random(f"{kind} {number}")
    sample = write(kind, 4000, rng)
    rate = len(sample) / count(sample)
    return [write(kind, int(rate * rng.uniform(110, 2900)), rng) for _ in range(number)]


@pytest.mark.parametrize("policy", ["truncate", "mean"])
@pytest.mark.parametrize("number", [4, pytest.param(200, marks=pytest.mark.long)])
def test_texts_of_every_kind_are_cut_right_and_nearly_without_refusals(caller, quick_llama_server, policy, number):
    """W4: every cut is told with the tokens that the server counts, and one request in ten at most is refused."""
    count, seen, packed = Counter(quick_llama_server.url), [], 0
    options = {"base_url": quick_llama_server.base_url, "too_long": policy, "cache": False, "batch_size": BATCH}
    embedder = Embedder(f"openai:{quick_llama_server.model}", observers=[seen.append], timeout=600, **options)
    for kind in (*WORDS, "Chinese", "code", "hex"):
        texts = corpus(kind, number, count)
        true = count.all(texts)
        long = {at: tokens for at, tokens in enumerate(true) if tokens > LIMIT}
        seen.clear()
        result = caller.embed(embedder, texts)
        assert {cut.index: cut.tokens for cut in result.report.cut} == long
        if policy == "truncate":
            assert all(LIMIT * 0.95 < cut.kept <= LIMIT for cut in result.report.cut)
            whole = sum(tokens for tokens in true if tokens <= LIMIT)
            assert result.report.tokens == whole + sum(cut.kept for cut in result.report.cut)
        assert np.allclose(np.linalg.norm(result.vectors, axis=1), 1, atol=1e-3)
        sent = sum(event.texts for event in seen if isinstance(event, events.BatchFinished))
        packed += -(-sent // BATCH)
        print(kind, policy, len(long), result.report.requests, -(-sent // BATCH), f"{result.report.seconds:.1f} s")  # noqa: T201
    assert embedder.usage.requests - 10 <= 1.1 * packed
