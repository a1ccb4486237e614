"""An embedder at a server that copies OpenAI's API, and the requests for vectors that the server saw."""

from __future__ import annotations

from embedbridge import Embedder

MODEL = "some-model"
"""One that no catalogue lists."""


def open_embedder(server, model=MODEL, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": False}
    return Embedder(f"openai:{model}", **usual | options)


def prose(tag, tokens):
    """A text of so many tokens, by the server's count."""
    words = f"{tag} " + " ".join(f"{tag} raven {at}" for at in range(tokens))
    return words[: 4 * tokens]


def posts(server):
    """Requests for vectors."""
    return server.requests.to("/v1/embeddings")


def refused(server):
    return sum(request.status != 200 for request in posts(server))


def answered(server):
    """Texts of the requests that were answered."""
    return [text for request in posts(server) if request.status == 200 for text in request.items]
