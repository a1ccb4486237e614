"""`embedbridge demo`: the main job as a person sees it: real text, both frameworks, a second run that embeds nothing.

The frameworks and the text are imported when the command runs, because every command imports this module.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedbridge.embedder import Embedder
from embedbridge.options import DEFAULT_MODEL

from .arguments import add_model_argument
from .common import Commands, say

if TYPE_CHECKING:
    from embedbridge.langchain import BridgeEmbeddings
    from embedbridge.llama_index import BridgeEmbedding

__all__ = ["add"]

QUESTIONS = (
    "How does Python decide which except clause handles an exception?",
    "What makes an object usable in a with statement?",
    "How do I format a number with thousands separators?",
)
HELP = "embed the Python language reference in both frameworks, ask it questions, and do it again"
EPILOG = """\
examples:
  embedbridge demo
  embedbridge demo -m voyage:voyage-4 --question "What is a yield?\""""
FOUND = 3
"""Passages for each question."""
CHUNK = 700
"""Characters: about 170 tokens, well within what small models read."""


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser("demo", help=HELP, description=f"{HELP[0].upper()}{HELP[1:]}.", epilog=EPILOG)
    add_model_argument(parser, "the model (default: %(default)s)", default=DEFAULT_MODEL)
    parser.add_argument("--base-url", metavar="URL", help="of the server, as the official SDK takes it")
    parser.add_argument("--question", action="append", help="ask this instead; may be given more than once")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embed, ask, and embed again; 0 when both frameworks agree and the second run embedded nothing."""
    asked = list(options.question or QUESTIONS)
    given = {"model": options.model, "base_url": options.base_url}
    from pydoc_data.topics import topics

    chunks = split_topics()
    texts = [text for _, text in chunks]
    say(f"The Python language reference: {len(topics)} topics, {len(texts)} passages.\nModel: {options.model}\n")
    with tempfile.TemporaryDirectory(prefix="embedbridge-demo-") as folder:
        cache = Path(folder)
        first = embed(texts, given | {"cache": cache})
        same = ask(asked, chunks, given | {"cache": cache})
        say("\nThe same passages once more, in a new embedder over the same cache:")
        second = embed(texts, given | {"cache": cache})
    say(f"\n{'':14}{'embedded':>10}{'from cache':>12}{'seconds':>10}")
    for name, (report, seconds) in (("first run", first), ("second run", second)):
        say(f"{name:14}{report.misses:>10}{report.hits:>12}{seconds:>10.2f}")
    nothing = second[0].misses == 0 and second[0].requests == 0
    say(f"\nEmbedded twice: {'nothing' if nothing else second[0].misses}. {first[1] / second[1]:.0f} times as fast.")
    if not same:
        say("The two frameworks do not agree, which they should: please report it.")
    return 0 if same and nothing else 1


def embed(texts: Sequence[str], given: dict[str, Any]) -> tuple[Any, float]:
    """Embed all passages with a moving bar; the report and the seconds it took."""
    with Embedder(**given, show_progress=True) as embedder:
        begun = time.perf_counter()
        report = embedder.embed(texts).report
        return report, time.perf_counter() - begun


def ask(questions: Sequence[str], chunks: Sequence[tuple[str, str]], given: dict[str, Any]) -> bool:
    """Answer each question through both frameworks; whether their vectors and answers are the same."""
    from embedbridge.langchain import BridgeEmbeddings
    from embedbridge.llama_index import BridgeEmbedding

    embeddings, embed_model = BridgeEmbeddings(**given), BridgeEmbedding(**given)
    with embeddings.embedder, embed_model.embedder:
        return compare(questions, chunks, embeddings, embed_model)


def compare(
    questions: Sequence[str],
    chunks: Sequence[tuple[str, str]],
    embeddings: BridgeEmbeddings,
    embed_model: BridgeEmbedding,
) -> bool:
    """Print what both frameworks find, and how far their vectors are apart."""
    by_langchain, by_llama_index = langchain_answers(embeddings, chunks), llama_index_answers(embed_model, chunks)
    agree = True
    for question in questions:
        found, also_found = by_langchain(question), by_llama_index(question)
        agree &= found[0] == also_found[0]
        same = {"the same in both frameworks": found} if found == also_found else {}
        say(f"\n? {question}")
        for name, answers in (same or {"in LangChain": found, "in LlamaIndex": also_found}).items():
            (topic, passage), *others = answers
            say(beginning("  ", f"[{topic}] {passage}"))
            say(f"  then {' '.join(f'[{topic}]' for topic, _ in others)}; {name}")
    ours = np.array([embeddings.embed_query(question) for question in questions])
    theirs = np.array([embed_model.get_query_embedding(question) for question in questions])
    difference = float(np.abs(ours - theirs).max())
    say(f"\nLargest difference between the vectors of the two frameworks: {difference:g}")
    return agree and difference == 0.0


def langchain_answers(embeddings: BridgeEmbeddings, chunks: Sequence[tuple[str, str]]) -> Any:
    """A function from a question to the three best passages, by a LangChain retriever."""
    from langchain_core.documents import Document
    from langchain_core.vectorstores import InMemoryVectorStore

    documents = [Document(text, metadata={"topic": topic}) for topic, text in chunks]
    retriever = InMemoryVectorStore.from_documents(documents, embeddings).as_retriever(search_kwargs={"k": FOUND})

    def answer(question: str) -> list[tuple[str, str]]:
        return [(each.metadata["topic"], each.page_content) for each in retriever.invoke(question)]

    return answer


def llama_index_answers(embed_model: BridgeEmbedding, chunks: Sequence[tuple[str, str]]) -> Any:
    """A function from a question to the three best passages, by a LlamaIndex retriever."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    nodes = [
        TextNode(text=text, metadata={"topic": topic}, excluded_embed_metadata_keys=["topic"]) for topic, text in chunks
    ]
    retriever = VectorStoreIndex(nodes, embed_model=embed_model).as_retriever(similarity_top_k=FOUND)

    def answer(question: str) -> list[tuple[str, str]]:
        return [(each.node.metadata["topic"], each.node.get_content()) for each in retriever.retrieve(question)]

    return answer


def beginning(head: str, passage: str) -> str:
    """Two lines of the terminal's width, without the rules under the passage's headings."""
    words = re.sub(r"([*=~^-])\1{3,}", " ", passage)
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(
        " ".join(words.split()),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        max_lines=2,
        placeholder=" …",
    )


def split_topics() -> list[tuple[str, str]]:
    """Python's own language reference as (topic, passage): paragraphs joined up to `CHUNK` characters.

    Some topics share sections. A passage is taken once: among equals, which one a search finds first would be chance.
    """
    from pydoc_data.topics import topics

    chunks = []
    for topic, text in sorted(topics.items()):
        passage = ""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            if passage and len(passage) + len(paragraph) > CHUNK:
                chunks.append((topic, passage))
                passage = ""
            passage = f"{passage}\n\n{paragraph}" if passage else paragraph
        if passage:
            chunks.append((topic, passage))
    topic_of = {passage: topic for topic, passage in reversed(chunks)}
    return [(topic, passage) for passage, topic in reversed(topic_of.items())]
