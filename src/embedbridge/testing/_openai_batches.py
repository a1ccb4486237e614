"""OpenAI's batch API, `/v1/files` and `/v1/batches`, and Voyage's, which has the same paths."""

from __future__ import annotations

import email
import email.policy
import json
from typing import Any

from ._batches import Batch, Batches, Work, content
from ._pages import Page
from .request import Refusal, Request

_JSON = {"content-type": "application/json"}


def is_for_batches(path: str) -> bool:
    """Whether a path is one of a batch API."""
    return _parts(path)[:1] in (["files"], ["batches"])


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:  # noqa: PLR0911 - a table, one line a route
    """Answer a request. Raises `Refusal`."""
    match request.method, *_parts(request.path):
        case "POST", "files":
            name = batches.keep(_uploaded(request))
            return page(_file(batches, name))
        case "GET", "files", name:
            return page(_file(batches, name))
        case "GET", "files", name, "content":
            return _content(batches, name, request)
        case "POST", "batches":
            return page(_told(batches, _make(batches, request), work))
        case "GET", "batches":
            return page(_listed(batches, request, work))
        case "GET", "batches", name:
            return page(_told(batches, found(batches, name), work))
        case "POST", "batches", name, "cancel":
            batch = found(batches, name)
            if not batches.is_over(batch):
                batch.cancelled = True
            return page(_told(batches, batch, work))
    raise Refusal(404, f"no route {request.method} {request.path}", code="not_found")


def _parts(path: str) -> list[str]:
    """`/voyage/v1/files/x/content` → `files`, `x`, `content`."""
    return path.partition("/v1/")[2].strip("/").split("/")


def page(value: dict[str, Any]) -> Page:
    """A JSON object as an answer."""
    return 200, _JSON, json.dumps(value).encode()


def _uploaded(request: Request) -> bytes:
    """The file in a form."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    if "file" not in fields or fields["purpose"].get_content().strip() != "batch":
        raise Refusal(400, "a file with purpose=batch is wanted")
    payload = fields["file"].get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _file(batches: Batches, name: str) -> dict[str, Any]:
    if name not in batches.files:
        raise Refusal(404, "No such File object", code="not_found")
    size = len(batches.files[name])
    about = {"purpose": "batch", "filename": f"{name}.jsonl", "status": "processed", "created_at": 0}
    about |= {"sample_type": "batch_request", "source": "upload"}  # as Mistral tells besides
    return {"id": name, "object": "file", "bytes": size} | about


def _make(batches: Batches, request: Request) -> Batch:
    asked = json.loads(request.body)
    file = asked.get("input_file_id")
    if file not in batches.files or asked.get("endpoint") != "/v1/embeddings":
        raise Refusal(400, "a file and an endpoint are wanted", code="invalid_request")
    shared = asked.get("request_params") or {}

    return batches.make(file, asked.get("metadata") or {}, asked, lambda batch: lines_of(batches, batch, shared))


def lines_of(batches: Batches, batch: Batch, shared: dict[str, Any]) -> None:
    """Read the lines of a batch's file; `shared` is what they have in common."""
    for number, raw in enumerate(batches.files[batch.file].splitlines(), 1):
        try:
            line = json.loads(raw)
            name, body = line["custom_id"], {**shared, **line["body"]}
        except (ValueError, KeyError, TypeError):
            batch.refused = [{"code": "invalid_json_line", "message": "not parseable", "line": number}]
            return
        if (fault := batch.faults.get("narrow")) and number == int(fault.args["line"]) + 1:
            width = "output_dimension" if "output_dimension" in body else "dimensions"
            body = {**body, width: int(fault.args["n"])}
        batch.asked.append((name, body))


def found(batches: Batches, name: str) -> Batch:
    """A batch. Raises `Refusal`."""
    batch = batches.find(name)
    if batch is None:
        raise Refusal(404, "No batch found", code="not_found")
    return batch


def _told(batches: Batches, batch: Batch, work: Work) -> dict[str, Any]:
    """A batch as JSON, with the files of its answers once it has ended."""
    over, state = batches.is_over(batch), "in_progress"
    told: dict[str, Any] = {"output_file_id": None, "error_file_id": None, "errors": None}
    good = bad = 0
    if batch.refused:
        state, told["errors"] = "failed", {"object": "list", "data": batch.refused}
    elif over:
        state = "expired" if batch.has("expire") else "cancelled" if batch.cancelled else "completed"
        good, bad = batches.counts(batch, work)
        told["output_file_id"], told["error_file_id"] = answer_files(batches, batch, work)
    counts = {"total": len(batch.asked), "completed": good, "failed": bad}
    about = {"endpoint": "/v1/embeddings", "input_file_id": batch.file, "completion_window": "24h", "created_at": 0}
    return {
        "id": batch.id,
        "object": "batch",
        "status": state,
        "metadata": batch.metadata,
        "request_counts": counts,
        **about,
        **told,
    }


def answer_files(batches: Batches, batch: Batch, work: Work) -> list[str | None]:
    """The names of the files with the answers and the errors of a batch that has ended."""
    names: list[str | None] = []
    for kind, lines in zip(("output", "error"), batches.outcome(batch, work), strict=True):
        names.append(f"{batch.id}-{kind}" if lines else None)
        if (name := names[-1]) is not None and name not in batches.files:
            batches.files[name] = content(lines)
            if (fault := batch.faults.get("elsewhere")) is not None:
                batches.moved[name] = f"{fault.args['to']}/v1/files/{name}/content?moved=1"
    return names


def _content(batches: Batches, name: str, request: Request) -> Page:
    if name in batches.moved and "moved" not in request.query:
        return 302, {"location": batches.moved[name]}, b""
    of = batches.find(name.rpartition("-")[0])
    return 200, {"content-type": "application/octet-stream"}, batches.sent(of, name)


def _listed(batches: Batches, request: Request, work: Work) -> dict[str, Any]:
    newest = batches.listed()
    names = [batch.id for batch in newest]
    first = names.index(request.query["after"]) + 1 if request.query.get("after") in names else 0
    end = first + int(request.query.get("limit") or 20)
    page = [_told(batches, batch, work) for batch in newest[first:end]]
    return {"object": "list", "data": page, "has_more": end < len(newest), "first_id": None, "last_id": None}
