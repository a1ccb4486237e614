"""Google's batch API for Gemini over its documented wire: a text a line, files sent in two steps, long operations."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, BinaryIO

from embedbridge._core.types import Batch, Reply
from embedbridge.errors import RequestFailed

from ._batch_api import BYTES_A_SECOND, Answered, BatchApi, BatchLimits, Remote, count_of, name_of
from ._listing import tokens_of
from ._openai_batches import code_of
from ._wire import Exchange

PAGE = 100
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
"""What the names of final states end with: of BATCH_STATE_… and JOB_STATE_…"""


class GeminiBatches(BatchApi):
    """`models/NAME:asyncBatchEmbedContent`. A batch is found again by its display name."""

    share = Fraction(1, 2)
    limits = BatchLimits(texts=1_000_000, lines=1_000_000, size=2_000_000_000, line_texts=1)
    domains = ("googleapis.com",)

    def line(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """The request of one text, under a name."""
        return {"key": name, "request": self.provider.body(batch)}

    def upload(self, name: str, file: BinaryIO, *, size: int, timeout: float) -> str:
        """Ask where to send a file, and send it there, without the key."""
        begin = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(size),
            "x-goog-upload-header-content-type": "application/jsonl",
        }
        target = self.provider.converse(
            self._exchange(timeout, 1 << 20),
            lambda client: client.post(
                f"{self._base()}/upload/v1beta/files",
                json={"file": {"displayName": name}},
                headers=self._headers() | begin,
            ),
            _upload_address,
        )
        self._sent_to = self._checked(self._base(), target)
        return super().upload(name, file, size=size, timeout=timeout + size / BYTES_A_SECOND)

    def send_file(self, client: Any, name: str, file: BinaryIO) -> Any:
        """All of it at once."""
        whole = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        file.seek(0, 2)
        whole["content-length"] = str(file.tell())
        file.seek(0)
        return client.post(self._sent_to, content=file, headers=whole)

    def read_file(self, payload: Mapping[str, Any]) -> str:
        """`files/NAME`."""
        return str(payload["file"]["name"])

    def send_create(self, client: Any, file: str, tag: str, sample: Batch) -> Any:
        """A batch of a file."""
        body = {"batch": {"displayName": tag, "inputConfig": {"fileName": file}}}
        return client.post(
            self._at(f"models/{self.provider.model}:asyncBatchEmbedContent"), json=body, headers=self._headers()
        )

    def send_look(self, client: Any, batch: str) -> Any:
        """`batches/NAME`."""
        return client.get(self._at(batch), headers=self._headers())

    def send_list(self, client: Any, after: str) -> Any:
        """A page of them."""
        query = {"pageSize": str(PAGE)} | ({"pageToken": after} if after else {})
        return client.get(self._at("batches"), params=query, headers=self._headers())

    def send_cancel(self, client: Any, batch: str) -> Any:
        """End it."""
        return client.post(self._at(f"{batch}:cancel"), json={}, headers=self._headers())

    def send_content(self, client: Any, file: str) -> Any:
        """A file's."""
        return client.get(self._at(f"{file}:download"), params={"alt": "media"}, headers=self._headers())

    def read_batch(self, payload: Mapping[str, Any]) -> Remote:
        """An operation, whose metadata tell of the batch."""
        told = payload.get("metadata") or {}
        state = str(told.get("state") or ("SUCCEEDED" if payload.get("done") else "PENDING"))
        output = told.get("output") or payload.get("response") or {}
        file = output.get("responsesFile") if isinstance(output, dict) else None
        return Remote(
            id=name_of(payload["name"]),
            state=state,
            ended=state.endswith(ENDED),
            empty=state.endswith(ENDED) and not file,
            tag=str(told.get("displayName") or ""),
            files=(name_of(file),) if file else (),
            reason=code_of(payload.get("error")),
            answered=count_of((told.get("batchStats") or {}).get("successfulRequestCount")),
        )

    def read_list(self, payload: Mapping[str, Any]) -> tuple[list[Remote], str]:
        """A page of operations."""
        return [self.read_batch(each) for each in payload.get("operations") or ()], str(
            payload.get("nextPageToken") or ""
        )

    def read_line(self, record: Mapping[str, Any]) -> Answered:
        """One vector under a name, or an error."""
        name, response = str(record["key"]), record.get("response")
        if not isinstance(response, dict):
            return Answered(name, None, code_of(record.get("error")) or "no answer")
        tokens = tokens_of(response, "usageMetadata", "promptTokenCount") or tokens_of(response, "tokenCount")
        return Answered(name, Reply([response["embedding"]["values"]], tokens=tokens))

    def _base(self) -> str:
        """The address without the API's version."""
        return self.provider.address().rstrip("/").removesuffix("/v1beta")

    def _at(self, path: str) -> str:
        return f"{self._base()}/v1beta/{path}"

    def _headers(self) -> dict[str, str]:
        return self.provider.headers() | {"x-goog-api-key": self.provider.secret()}


def _upload_address(held: Exchange) -> str:
    """Where Google wants a file."""
    if held.failure is not None:
        raise held.failure
    if held.status != 200 or not held.location:
        held.payload()
        raise RequestFailed("the answer does not say where to send the file", status=held.status)
    return held.location
