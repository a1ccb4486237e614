"""Mistral's jobs, `/v1/batch/jobs`; its files are at the same paths as OpenAI's."""

from __future__ import annotations

import json
from typing import Any

from ._batches import Batch, Batches, Work
from ._openai_batches import answer_files, found, lines_of, page
from ._pages import Page
from .request import Refusal, Request

PATH = "/v1/batch/jobs"
PREFIX = "/mistral"


def is_for_batches(path: str) -> bool:
    """Whether a path is one of them."""
    return path.removeprefix(PREFIX).startswith(PATH)


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:
    """Answer a request. Raises `Refusal`."""
    match request.method, *request.path.removeprefix(PREFIX).removeprefix(PATH).strip("/").split("/"):
        case "POST", "":
            asked = json.loads(request.body)
            (file,) = asked["input_files"]
            shared = {"model": asked["model"]}
            made = batches.make(
                file, asked.get("metadata") or {}, asked, lambda batch: lines_of(batches, batch, shared)
            )
            return page(_told(batches, made, work))
        case "GET", "":
            size, number = int(request.query.get("page_size") or 100), int(request.query.get("page") or 0)
            newest = batches.listed()[number * size : (number + 1) * size]
            listed = [_told(batches, batch, work) for batch in newest]
            return page({"object": "list", "data": listed, "total": len(batches.made), "page": number})
        case "GET", name:
            return page(_told(batches, found(batches, name), work))
        case "POST", name, "cancel":
            batch = found(batches, name)
            batch.cancelled |= not batches.is_over(batch)
            return page(_told(batches, batch, work))
    raise Refusal(404, f"no route {request.method} {request.path}", code="not_found")


def _told(batches: Batches, batch: Batch, work: Work) -> dict[str, Any]:
    """A job as JSON."""
    state, good, bad = "RUNNING", 0, 0
    files: dict[str, str | None] = {"output_file": None, "error_file": None}
    if batch.refused:
        state = "FAILED"
    elif batches.is_over(batch):
        state = "TIMEOUT_EXCEEDED" if batch.has("expire") else "CANCELLED" if batch.cancelled else "SUCCESS"
        names = answer_files(batches, batch, work)
        files = dict(zip(files, names, strict=True))
        good, bad = batches.counts(batch, work)
    return {
        "id": batch.id,
        "object": "batch",
        "input_files": [batch.file],
        "metadata": batch.metadata,
        "endpoint": "/v1/embeddings",
        "model": batch.about.get("model"),
        "errors": [{"message": each["message"], "count": 1} for each in batch.refused],
        "status": state,
        "created_at": 0,
        "total_requests": len(batch.asked),
        "completed_requests": good + bad,
        "succeeded_requests": good,
        "failed_requests": bad,
        **files,
    }
