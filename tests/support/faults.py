"""Faults of the loopback server that tests write out."""

from __future__ import annotations

import base64
import json
from typing import Any


def body(status: int, answer: Any) -> str:
    """This JSON with that status."""
    return f"body:status={status};json={base64.urlsafe_b64encode(json.dumps(answer).encode()).decode()}"
