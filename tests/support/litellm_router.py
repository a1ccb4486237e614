"""litellm's Router in an environment of its own: this file is its program, and what a test says to it.

`router(FIRST, SPARE)` starts it over two base URLs; the model "first" falls back to "spare".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def router(first: str, spare: str) -> Iterator[Callable[[list[str]], list[dict[str, Any]]]]:
    """Asks for texts, one request each: what came back, `{"model", "vector"}` or `{"error"}`."""
    from .litellm_proxy import PROGRAM  # as a program, this file is in no package

    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    command = [PROGRAM.with_name("python"), __file__, first, spare]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin
    assert process.stdout

    def ask(texts: list[str]) -> list[dict[str, Any]]:
        process.stdin.write(json.dumps(texts) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("[{"):
                return json.loads(line)
        raise RuntimeError("litellm's Router has ended")

    try:
        yield ask
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


def _main() -> None:
    from litellm import Router

    def deployed(name: str, url: str) -> dict[str, Any]:
        own = {"model": f"openai/{name}", "api_base": url, "api_key": "none", "encoding_format": "float"}
        return {"model_name": name, "litellm_params": own}

    made = Router(
        model_list=[deployed("first", sys.argv[1]), deployed("spare", sys.argv[2])],
        fallbacks=[{"first": ["spare"]}],
        num_retries=0,
        timeout=30,
    )
    for line in sys.stdin:
        answers = []
        for text in json.loads(line):
            try:
                reply = made.embedding(model="first", input=[text])
                answers.append({"model": reply.model, "vector": reply.data[0]["embedding"]})
            except Exception as error:
                answers.append({"error": f"{type(error).__name__}: {error}"})
        print(json.dumps(answers), flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    _main()
