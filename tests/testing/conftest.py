"""Official clients on the fault server, without retries of their own."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import openai
import pytest

from embedbridge.testing import FaultServer


@pytest.fixture
def client(server: FaultServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def ollama_client(server: FaultServer) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url) as client:
        yield client
