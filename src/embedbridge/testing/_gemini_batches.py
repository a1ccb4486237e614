"""Google's batch API for Gemini: files that are sent in two steps, `:asyncBatchEmbedContent`, and operations."""

from __future__ import annotations

import json
import re
from typing import Any

from ._batches import Batch, Batches, Line, Work
from ._openai_batches import page
from ._pages import Page
from .request import Refusal, Request

_PATH = re.compile(
    r"/(upload/|download/)?v1beta/(files|batches|models/([^/:]+):asyncBatchEmbedContent)(/[^:]+)?(:\w+)?"
)


def is_for_batches(path: str) -> bool:
    """Whether a path is one of them."""
    return _PATH.fullmatch(path) is not None


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:
    """Answer a request. Raises `Refusal`."""
    if (known := _PATH.fullmatch(request.path)) is None:
        raise Refusal(404, "not found")
    side, what, model, name, verb = known.groups()
    if what == "files" and side == "upload/":
        return _upload(batches, request)
    if (
        what == "files" and verb == ":download" and name
    ):  # by Google's documentation with `download/`, by its SDK without
        return _download(batches, f"files{name}", request)
    if what == "batches" and name is None:
        return _listed(batches, request, work)
    if what == "batches":
        batch = batches.find(f"batches{name}")
        if batch is None:
            raise Refusal(404, "no such batch", code="NOT_FOUND")
        if verb == ":cancel":
            batch.cancelled |= not batches.is_over(batch)
            return page({})
        return page(_told(batches, batch, work))
    if model is not None:
        return page(_told(batches, _make(batches, json.loads(request.body)["batch"], model), work))
    raise Refusal(404, "not found")


def _upload(batches: Batches, request: Request) -> Page:
    if request.headers.get("x-goog-upload-command") == "start":
        target = f"http://{request.headers['host']}/upload/v1beta/files?upload_id=1"
        return (
            200,
            {"content-type": "application/json", "x-goog-upload-url": target, "x-goog-upload-status": "active"},
            b"{}",
        )
    name = f"files/{batches.keep(request.body)}"
    batches.files[name] = request.body
    status, headers, body = page({"file": {"name": name, "uri": name, "state": "ACTIVE"}})
    return status, headers | {"x-goog-upload-status": "final"}, body


def _download(batches: Batches, name: str, request: Request) -> Page:
    if name in batches.moved and "moved" not in request.query:
        return 302, {"location": batches.moved[name]}, b""
    of = batches.find(name.removeprefix("files/").removesuffix("-answers").replace("-", "/"))
    return 200, {"content-type": "application/octet-stream"}, batches.sent(of, name)


def _make(batches: Batches, asked: dict[str, Any], model: str) -> Batch:
    source = asked.get("inputConfig") or asked.get("input_config") or {}
    file = source.get("fileName") or source.get("file_name") or ""
    inline = (source.get("requests") or {}).get("requests") or []

    def read(batch: Batch) -> None:
        rows = [json.loads(raw) for raw in batches.files[file].splitlines()] if file else inline
        for number, row in enumerate(rows):
            key = row.get("key") or (row.get("metadata") or {}).get("key") or number
            batch.asked.append((str(key), _as_usual(row["request"], model, batch, number)))

    return batches.make(file, {}, asked, read, prefix="batches/")


def _as_usual(request: dict[str, Any], model: str, batch: Batch, number: int) -> dict[str, Any]:
    """A text's request as one of OpenAI's."""
    text = "".join(part["text"] for part in request["content"]["parts"])
    task = request.get("taskType") or request.get("task_type") or ""
    width = request.get("outputDimensionality") or request.get("output_dimensionality")
    if (fault := batch.faults.get("narrow")) and number == int(fault.args["line"]):
        width = int(fault.args["n"])
    return {"model": model, "input": [text], "input_type": task} | ({"dimensions": width} if width else {})


def _row(line: Line) -> dict[str, Any]:
    about = {"key": line.name, "metadata": {"key": line.name}}
    if line.error is not None or line.status != 200:
        return about | {"error": {"code": 13, "message": "it did not work"}}
    vector = line.body["data"][0]["embedding"]
    usage = {"promptTokenCount": line.body["usage"]["total_tokens"]}
    return about | {"response": {"embedding": {"values": vector}, "usageMetadata": usage}}


def _told(batches: Batches, batch: Batch, work: Work) -> dict[str, Any]:
    """An operation as JSON."""
    told: dict[str, Any] = {"displayName": batch.about.get("displayName") or batch.about.get("display_name") or ""}
    done, state = batches.is_over(batch), "BATCH_STATE_RUNNING"
    operation: dict[str, Any] = {"name": batch.id, "metadata": told, "done": done}
    if batch.refused:
        state, operation["error"] = "BATCH_STATE_FAILED", {"code": 8, "message": batch.refused[0]["message"]}
    elif done:
        cut = "BATCH_STATE_EXPIRED" if batch.has("expire") else "BATCH_STATE_CANCELLED" if batch.cancelled else None
        state = cut or "BATCH_STATE_SUCCEEDED"
        good, bad = batches.outcome(batch, work)
        rows = [_row(line) for line in [*good, *bad]]
        if not batch.file:
            told["output"] = {"inlinedEmbedContentResponses": {"inlinedResponses": rows}}
        else:
            name = f"files/{batch.id.replace('/', '-')}-answers"
            batches.files[name] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            if (fault := batch.faults.get("elsewhere")) is not None:
                batches.moved[name] = f"{fault.args['to']}/download/v1beta/{name}:download?moved=1"
            told["output"] = {"responsesFile": name}
        operation["response"] = told["output"]
        names = ("successfulRequestCount", "failedRequestCount")
        counts = zip(names, map(str, batches.counts(batch, work)), strict=True)
        told["batchStats"] = {"requestCount": str(len(batch.asked))} | dict(counts)
    told["state"] = state
    return operation


def _listed(batches: Batches, request: Request, work: Work) -> Page:
    newest = batches.listed()
    first, size = int(request.query.get("pageToken") or 0), int(request.query.get("pageSize") or 50)
    told = [_told(batches, batch, work) for batch in newest[first : first + size]]
    more = {"nextPageToken": str(first + size)} if first + size < len(newest) else {}
    return page({"operations": told} | more)
