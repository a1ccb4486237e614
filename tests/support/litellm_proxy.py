"""litellm's own proxy, as its package brings it, in a process and an environment of its own.

Its bounds would take back packages that ours come with, so it is not installed beside them: `.ci/run` makes
`.venv-litellm`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

KEY = "sk-the-proxys-own-key"
PROGRAM = Path(__file__).parents[2] / ".venv-litellm" / "bin" / "litellm"
STARTS_WITHIN = 300.0
"""Seconds; it takes some 20 on an idle machine."""


@contextmanager
def litellm_proxy(models: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """The base URL of a running proxy; `models` are the names that it offers, with their `litellm_params`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "model_list": [{"model_name": name, "litellm_params": dict(params)} for name, params in models.items()],
        "general_settings": {"master_key": KEY},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config))  # which is YAML too
    command = [PROGRAM, "--config", path, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    with (folder / "litellm.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            _await(process, f"http://127.0.0.1:{port}/health/liveliness", folder / "litellm.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"litellm's proxy did not start:\n{log.read_text()[-2000:]}")
