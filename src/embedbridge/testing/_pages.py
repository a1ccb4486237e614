"""What is answered in place of embeddings: pages that clients look at, and faults before any work, which are free."""

from __future__ import annotations

import base64
import email.utils
import json
import time
from typing import Any

from .dialects import Dialect
from .dialects.ollama import Ollama
from .faults import Fault
from .limits import Limits
from .request import Refusal, Request

Page = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""

_HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>502</h1></body></html>"
_CODES = {429: "rate_limit_exceeded", 401: "invalid_api_key"}


def early_page(fault: Fault, dialect: Dialect, here: str) -> Page | None:
    """The answer that takes the place of all others; None when the fault is of another kind. Raises `Refusal`."""
    if fault.status is not None:
        raise _refusal(fault, fault.status)
    if fault.name == "quota":
        message = "You exceeded your current quota, please check your plan and billing details."
        raise Refusal(429, message, code="insufficient_quota", type_="insufficient_quota")
    if fault.name == "html":
        return int(fault.number("status")), {"content-type": "text/html"}, _HTML
    if fault.name == "error200":
        body = json.dumps(dialect.error(Refusal(500, "upstream failed"))).encode()
        return 200, {"content-type": "application/json"}, body
    if fault.name == "body":
        body = base64.urlsafe_b64decode(fault.args["json"])
        return int(fault.number("status")), {"content-type": "application/json"}, body
    if fault.name == "redirect":
        return int(fault.number("status")), {"location": fault.args["to"] or here}, b""
    return None


def _refusal(fault: Fault, status: int) -> Refusal:
    args = fault.args
    headers = {name: value for name, value in args.items() if name.startswith(("x-", "retry-after"))}
    if "date" in args and "retry-after" in headers:
        at = time.time() + float(headers["retry-after"])
        headers["retry-after"] = email.utils.formatdate(at, usegmt=True)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    message, code = args.get("message", f"injected {status}"), args.get("code", _CODES.get(status))
    return Refusal(status, message, code=code, type_=args.get("type", kind), headers=headers)


_PAGES: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/"): {},
    ("GET", "/v1/models"): {"object": "list", "data": []},
    ("GET", "/api/version"): {"version": "0.0.0"},
    ("GET", "/api/tags"): {"models": []},
}


def side_page(request: Request, ollama: Limits, width: int | None) -> dict[str, Any] | None:
    """The JSON of a page; None when there is none. The limits and the width describe every Ollama model alike."""
    if (request.method, request.path) == ("POST", "/api/show"):
        sizes = {"bert.context_length": ollama.tokens_per_item, "bert.embedding_length": width or Ollama.width}
        facts = {"general.architecture": "bert", **sizes}
        return {"model_info": facts, "details": {"family": "bert"}, "capabilities": ["embedding"]}
    return _PAGES.get((request.method, request.path))
