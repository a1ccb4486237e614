"""OpenAI's batch API over its SDK, and Voyage's, which is the same but for what stands in a line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

from embedbridge._core.types import Batch
from embedbridge.errors import RequestFailed

from ._batch_api import TAG, Answered, BatchApi, BatchLimits, Remote, count_of, name_of
from ._listing import listing

ENDED = {"completed", "expired", "cancelled", "failed"}
PAGE = 100
"""Batches of one list."""


class OpenAIBatches(BatchApi):
    """`/v1/files` and `/v1/batches`."""

    share = Fraction(1, 2)
    limits = BatchLimits(texts=50_000, lines=50_000, size=200_000_000)
    domains: ClassVar[Collection[str]] = ("openai.com",)
    window: ClassVar[str] = "24h"

    def line(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """The body of an ordinary request, under a name."""
        return {"custom_id": name, "method": "POST", "url": "/v1/embeddings", "body": self.body(batch)}

    def body(self, batch: Batch) -> dict[str, Any]:
        """The JSON of the ordinary request."""
        found: dict[str, Any] = self.provider.body(batch)
        return found

    def send_file(self, client: Any, name: str, file: BinaryIO) -> Any:
        """By the SDK."""
        return client.files.create(file=(f"{name}.jsonl", file, "application/jsonl"), purpose="batch")

    def send_create(self, client: Any, file: str, tag: str, sample: Batch) -> Any:
        """By the SDK."""
        return self.make(client, input_file_id=file, metadata={TAG: tag})

    def make(self, client: Any, **more: Any) -> Any:
        """Have the SDK make a batch."""
        return client.batches.create(completion_window=self.window, endpoint="/v1/embeddings", **more)

    def send_look(self, client: Any, batch: str) -> Any:
        """By the SDK."""
        return client.batches.retrieve(batch)

    def send_list(self, client: Any, after: str) -> Any:
        """By the SDK."""
        return client.batches.list(limit=PAGE, **({"after": after} if after else {}))

    def send_cancel(self, client: Any, batch: str) -> Any:
        """By the SDK."""
        return client.batches.cancel(batch)

    def send_content(self, client: Any, file: str) -> Any:
        """By the SDK."""
        return client.files.content(file)

    def read_batch(self, payload: Mapping[str, Any]) -> Remote:
        """As OpenAI tells of it."""
        state, files = str(payload["status"]), (payload.get("output_file_id"), payload.get("error_file_id"))
        return Remote(
            id=name_of(payload["id"]),
            state=state,
            ended=state in ENDED,
            empty=state in ENDED and not files[0],
            tag=str((payload.get("metadata") or {}).get(TAG) or ""),
            files=tuple(name_of(name) for name in files if name),
            reason=_codes(payload.get("errors")),
            answered=count_of((payload.get("request_counts") or {}).get("completed")),
        )

    def read_list(self, payload: Mapping[str, Any]) -> tuple[list[Remote], str]:
        """A page of them."""
        remotes = [self.read_batch(each) for each in payload["data"]]
        return remotes, remotes[-1].id if remotes and payload.get("has_more") else ""

    def read_line(self, record: Mapping[str, Any]) -> Answered:
        """An ordinary answer under a name, or an error."""
        return read_answer_line(record)


class VoyageBatches(OpenAIBatches):
    """Voyage's: a line has the texts, and what is the same for all lines is said once."""

    share = Fraction(2, 3)
    limits = BatchLimits(texts=100_000, lines=100_000, size=1_000_000_000)
    domains = ("voyageai.com", "mongodb.com")
    window = "12h"

    def line(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """The texts under a name."""
        return {"custom_id": name, "body": {"input": self.body(batch)["input"]}}

    def send_create(self, client: Any, file: str, tag: str, sample: Batch) -> Any:
        """With the fields of an ordinary request beside the texts."""
        params = {name: value for name, value in self.body(sample).items() if name != "input"}
        return self.make(client, input_file_id=file, metadata={TAG: tag}, extra_body={"request_params": params})


def read_answer_line(record: Mapping[str, Any]) -> Answered:
    """A line with an ordinary answer under a name, or with an error."""
    name, response, error = str(record["custom_id"]), record.get("response") or {}, record.get("error")
    body = response.get("body")
    if response.get("status_code", 200) != 200 or not isinstance(body, dict):
        return Answered(name, None, code_of(error) or code_of((body or {}).get("error")) or "no answer")
    try:
        return Answered(name, listing(body))
    except (KeyError, TypeError, AttributeError):
        raise RequestFailed("a line holds no list of vectors", kind="no_data", billed=True) from None


def code_of(error: Any) -> str:
    """The code of an error; its sentence may quote a text."""
    code = error.get("code") if isinstance(error, dict) else None
    return str(code)[:60] if isinstance(code, str | int) else ""


def _codes(errors: Any) -> str:
    """Code and line of each error of a batch that was not begun."""
    listed = errors.get("data") if isinstance(errors, dict) else None
    told = []
    for error in listed if isinstance(listed, list) else ():
        line = error.get("line") if isinstance(error, dict) else None
        told.append((code_of(error) or "error") + (f" in line {line}" if isinstance(line, int) else ""))
    return ", ".join(dict.fromkeys(told[:5]))
