"""Mistral's batch API over its documented wire: OpenAI's lines and files, and jobs of its own."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, BinaryIO

from embedbridge._core.types import Batch

from ._batch_api import TAG, Answered, BatchApi, BatchLimits, Remote, count_of, name_of
from ._openai_batches import read_answer_line
from .hosted import NO_KEY

RUNNING = {"QUEUED", "RUNNING", "CANCELLATION_REQUESTED"}
"""As the vendor's SDK has it; any other state is an end."""
PAGE = 100
HOURS = 24


class MistralBatches(BatchApi):
    """`/v1/files` and `/v1/batch/jobs`, by a client of the HTTP library."""

    share = Fraction(1, 2)
    limits = BatchLimits(texts=1_000_000, lines=1_000_000, size=512_000_000)
    domains = ("mistral.ai",)

    def line(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """The body of an ordinary request, under a name; the model is said once for all lines."""
        body = {field: value for field, value in self.provider.body(batch).items() if field != "model"}
        return {"custom_id": name, "body": body}

    def send_file(self, client: Any, name: str, file: BinaryIO) -> Any:
        """A form."""
        form = {"file": (f"{name}.jsonl", file, "application/jsonl")}
        return client.post(self._at("files"), data={"purpose": "batch"}, files=form, **self._added())

    def send_create(self, client: Any, file: str, tag: str, sample: Batch) -> Any:
        """A job of a file."""
        job = {
            "input_files": [file],
            "endpoint": "/v1/embeddings",
            "model": self.provider.model,
            "metadata": {TAG: tag},
            "timeout_hours": HOURS,
        }
        return client.post(self._at("batch/jobs"), json=job, **self._added())

    def send_look(self, client: Any, batch: str) -> Any:
        """A job."""
        return client.get(self._at(f"batch/jobs/{batch}"), **self._added())

    def send_list(self, client: Any, after: str) -> Any:
        """A page of jobs."""
        query = {"page": after or "0", "page_size": str(PAGE), "order_by": "-created"}
        return client.get(self._at("batch/jobs"), **self._added(query))

    def send_cancel(self, client: Any, batch: str) -> Any:
        """End a job."""
        return client.post(self._at(f"batch/jobs/{batch}/cancel"), **self._added())

    def send_content(self, client: Any, file: str) -> Any:
        """A file's."""
        return client.get(self._at(f"files/{file}/content"), **self._added())

    def read_batch(self, payload: Mapping[str, Any]) -> Remote:
        """A job. Of its errors only the number is told."""
        state, files = str(payload["status"]), (payload.get("output_file"), payload.get("error_file"))
        errors = payload.get("errors") or ()
        return Remote(
            id=name_of(payload["id"]),
            state=state,
            ended=state not in RUNNING,
            empty=state not in RUNNING and not files[0],
            tag=str((payload.get("metadata") or {}).get(TAG) or ""),
            files=tuple(name_of(name) for name in files if name),
            reason=f"{len(errors)} errors" if errors else "",
            answered=count_of(payload.get("succeeded_requests")),
        )

    def read_list(self, payload: Mapping[str, Any]) -> tuple[list[Remote], str]:
        """Jobs, and the number of the next page."""
        remotes = [self.read_batch(each) for each in payload.get("data") or ()]
        page = int(payload.get("page") or 0)
        return remotes, str(page + 1) if len(remotes) == PAGE else ""

    def read_line(self, record: Mapping[str, Any]) -> Answered:
        """As OpenAI's."""
        return read_answer_line(record)

    def _at(self, path: str) -> str:
        return f"{self.provider.address().rstrip('/')}/{path}"

    def _added(self, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Headers and query of a request: the key, and what the user adds to every one."""
        provider, secret = self.provider, self.provider.secret()
        key = {} if secret in {"", NO_KEY} else {"authorization": f"Bearer {secret}"}
        params = {**(getattr(provider.options, "query", None) or {}), **(query or {})}
        return {"headers": provider.headers() | key, "params": params or None}
