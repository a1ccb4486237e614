"""Dimensions of a model that nobody has documented: the first vectors decide, in this process and in the cache."""

from __future__ import annotations

from functools import partial

from embedbridge.errors import RequestFailed

from .effects import Call, Flow
from .job import Job
from .kinds import Kind


def recall_width(job: Job) -> Flow[None]:
    """Have known what the cache holds, where nothing else says it."""
    if job.shared.width is None and (held := (yield from hold(job, None))) is not None:
        job.shared.agree(held, cached=True)


def check_width(job: Job, width: int, *, foreign: bool) -> Flow[None]:
    """Raise `RequestFailed` where vectors of this width cannot stand beside all others; the cache holds no foreign."""
    shared, held = job.shared, None if foreign else (yield from hold(job, width))
    if held is not None and held != width:
        shared.width, shared.width_from_cache = held, True
    if not shared.agree(width):
        failure = f"vectors of {width} dimensions, {shared.width} of others"
        raise told(job, RequestFailed(failure, kind=Kind.WIDTH, billed=True))


def hold(job: Job, width: int | None) -> Flow[int | None]:
    """The width that the cache holds; if it holds none, this one from now on."""
    shared, store = job.shared, job.store
    if shared.held is None and shared.width_key is not None and store is not None:
        ask = partial(store.hold_width, shared.width_key, width, patience=job.patience)
        shared.held = yield Call(ask, blocking=store.blocking)
    return shared.held


def told(job: Job, failure: RequestFailed) -> RequestFailed:
    """A failure for vectors of another width, with what to do where it is the cache that they differ from."""
    if failure.kind is not Kind.WIDTH or not job.shared.width_from_cache:
        return failure
    return RequestFailed(
        f"{failure}; the cache holds vectors of {job.shared.width} for this model: set dimensions= if the model "
        "offers several, give another cache=, or clear this one",
        kind=failure.kind,
        billed=failure.billed,
    )
