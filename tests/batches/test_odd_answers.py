"""Words that no file can hold, and a machine without room: a named error at most, and what is sound is kept."""

import errno
import io
import json
import os
import tempfile

import pytest

from embedbridge import EmbeddingError, batch
from embedbridge._batch import desk
from embedbridge.testing import _openai_batches

TEXTS = [f"text {number}" for number in range(20)]
LONE = "\ud800"


class FullDisk(io.FileIO):
    """A file on a disk without room."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_names_and_codes_with_lone_surrogates_spoil_no_other_line(caller, server, embedder):
    caller.call(batch, "submit", embedder(batch_size=5), TEXTS)
    caller.call(batch, "status", embedder())
    name = f"{server.batches.made[0].id}-output"
    first, *others = map(json.loads, server.batches.files[name].splitlines())
    odd = [first | {"response": None, "error": {"code": LONE}}, first | {"custom_id": LONE}]
    server.batches.files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in [*odd, *others])
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored, "a line that nobody asked for" in came.reason) == (True, 15, True)


@pytest.mark.usefixtures("_short_pauses")
def test_a_batch_that_is_told_of_in_lone_surrogates_is_a_named_error_or_shown(caller, embedder, monkeypatch):
    real = _openai_batches._told
    monkeypatch.setattr(_openai_batches, "_told", lambda *given: real(*given) | {"status": f"{LONE}x" * 999})
    caller.call(batch, "submit", embedder(), TEXTS[:10])
    assert caller.call(batch, "status", embedder())[0].state.startswith("?x")
    monkeypatch.setattr(_openai_batches, "_told", lambda *given: real(*given) | {"id": LONE})
    with pytest.raises(EmbeddingError, match="not one of a batch API"):
        caller.call(batch, "submit", embedder(), TEXTS)


def test_without_room_for_temporary_files_nothing_is_lost(caller, server, embedder, monkeypatch, tmp_path):
    with monkeypatch.context() as lost:
        lost.setattr(tempfile, "tempdir", "/no/such/folder")
        with pytest.raises(EmbeddingError, match="set TMPDIR"):
            caller.call(batch, "submit", embedder(), TEXTS)
    caller.call(batch, "submit", embedder(), TEXTS)
    with monkeypatch.context() as full:
        full.setattr(desk, "TemporaryFile", lambda: FullDisk(tmp_path / "file", "w+"))
        with pytest.raises(EmbeddingError, match=r"cannot be written .*No space left.*set TMPDIR"):
            caller.call(batch, "collect", embedder())
    assert caller.call(batch, "collect", embedder())[0].stored == 20
    assert len(server.batches.made) == 1
