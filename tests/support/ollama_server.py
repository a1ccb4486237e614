"""Ollama's API over llama.cpp, which is also what Ollama itself runs underneath.

Behaves as Ollama 0.33's `/api/embed`: silent truncation, unit vectors, `dimensions`, its status codes and messages.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedbridge.testing.connection import Connection
from embedbridge.testing.loopback import LoopbackServer
from embedbridge.testing.request import Refusal, Request

_JSON = {"content-type": "application/json; charset=utf-8"}
_SPECIAL = 2
"""Tokens that a BERT model adds to every text."""


@dataclass(frozen=True, slots=True)
class Model:
    """A llama.cpp server's URL and the tokens it reads."""

    url: str
    context: int


class OllamaServer(LoopbackServer):
    """Serves `models` by name; `name:latest` means the same."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        super().__init__()
        self.models = models

    async def answer(self, connection: Connection, request: Request) -> bool:
        try:
            status, reply = 200, await asyncio.to_thread(self._reply, request)
        except Refusal as refusal:
            status, reply = refusal.status, {"error": refusal.message}
        await connection.send(status, _JSON, json.dumps(reply).encode())
        return True

    def _reply(self, request: Request) -> dict[str, Any]:
        match request.method, request.path:
            case "GET", "/api/version":
                return {"version": "0.33.0"}
            case "GET", "/api/tags":
                return {"models": [{"name": f"{name}:latest", "model": f"{name}:latest"} for name in self.models]}
            case "POST", "/api/show":
                return self._show(_payload(request))
            case "POST", "/api/embed":
                return self._embed(_payload(request))
            case "POST", "/api/embeddings":
                return self._embed_one(_payload(request))
        raise Refusal(404, "not found")

    def _model(self, payload: dict[str, Any]) -> Model:
        name = str(payload.get("model") or "")
        if name.removesuffix(":latest") not in self.models:
            raise Refusal(404, f"model '{name}' not found")
        return self.models[name.removesuffix(":latest")]

    def _show(self, payload: dict[str, Any]) -> dict[str, Any]:
        facts = {"general.architecture": "bert", "bert.context_length": self._model(payload).context}
        return {"model_info": facts, "details": {"family": "bert"}, "capabilities": ["embedding"]}

    def _embed(self, payload: dict[str, Any]) -> dict[str, Any]:
        began, model, texts = time.perf_counter_ns(), self._model(payload), payload.get("input") or []
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Refusal(400, "invalid input type")
        if not texts:
            return {"model": payload["model"], "embeddings": []}
        asked = (payload.get("options") or {}).get("num_ctx") or model.context
        room = min(asked, model.context) - _SPECIAL
        dimensions, vectors, tokens = payload.get("dimensions") or 0, [], 0
        for text in texts:
            kept = _fit(model, text, room, cut=payload.get("truncate") is not False)
            vector, used = _vector(model, kept)
            vectors.append(_unit(_unit(vector)[:dimensions] if 0 < dimensions < len(vector) else vector).tolist())
            tokens += used
        spent = time.perf_counter_ns() - began
        times = {"total_duration": spent, "load_duration": 1, "prompt_eval_count": tokens}
        return {"model": payload["model"], "embeddings": vectors, **times}

    def _embed_one(self, payload: dict[str, Any]) -> dict[str, Any]:
        if not payload.get("model"):
            raise Refusal(400, "model is required")
        model, prompt = self._model(payload), payload.get("prompt")
        return {"embedding": _vector(model, prompt)[0].tolist() if prompt else []}


def _payload(request: Request) -> dict[str, Any]:
    if not request.body:
        raise Refusal(400, "missing request body")
    try:
        payload = json.loads(request.body)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if not isinstance(payload, dict):
        raise Refusal(400, "the request's body must be an object")
    return payload


def _fit(model: Model, text: str, room: int, *, cut: bool) -> str:
    """The text, cut to `room` tokens if it may be."""
    tokens = _ask(model, "/tokenize", {"content": text, "add_special": False})["tokens"]
    if len(tokens) <= room:
        return text
    if not cut:
        raise Refusal(400, "the input length exceeds the context length")
    if room <= 0:
        raise Refusal(400, "input after truncation exceeds maximum context length")
    return _ask(model, "/detokenize", {"tokens": tokens[:room]})["content"]


def _vector(model: Model, text: str) -> tuple[np.ndarray, int]:
    """The model's vector and the tokens it read."""
    reply = _ask(model, "/v1/embeddings", {"input": text})
    return np.array(reply["data"][0]["embedding"], np.float32), reply["usage"]["prompt_tokens"]


def _unit(vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise Refusal(400, "embedding contains NaN or Inf values")
    return vector / max(np.linalg.norm(vector), 1e-12)


def _ask(model: Model, path: str, body: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(model.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - loopback
            return json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            raise Refusal(400, error.read().decode()[:300]) from None
