"""How a request for vectors is answered: understood, admitted, worked out, billed, and sent with its faults."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from collections.abc import Set as AbstractSet
from random import Random
from typing import Any

from . import _gemini_batches, _mistral_batches, _openai_batches
from ._batches import Batches, Work
from ._pages import Page, early_page
from ._plan import Plan
from ._transit import send_answer, silencer, stay_silent
from .answer import Answer, spoil
from .connection import Connection
from .dialects import DIALECTS, Dialect, Quirky, dialect_for
from .faults import Faults, parse_faults
from .limits import Latency, Limits, RateLimit, check_key, take_rate
from .loopback import LoopbackServer
from .request import Refusal, Request
from .stats import Stats
from .vectors import vector_for

JSON = {"content-type": "application/json"}
TURN = 64
"""Vectors worked out before other connections get a turn."""
VENDORS = (_mistral_batches, _gemini_batches, _openai_batches)


class Answering(LoopbackServer):
    """What a client meets. Subclasses set the attributes, and say which requests are for vectors."""

    limits: dict[str, Limits]
    rate: RateLimit | None
    latency: Latency
    api_keys: AbstractSet[str] | None
    width: int | None
    max_concurrent: int | None
    bytes_per_token: int
    batches: Batches
    _quirky: Quirky
    _rng: Random
    _plan: Plan

    async def _embeddings(self, connection: Connection, request: Request, spec: str, stats: Stats) -> bool:
        dialect: Dialect = self._quirky
        faults, early = Faults(), None
        headers, body = dict(JSON), b""
        try:
            dialect = self._understand(request)
            faults = parse_faults(spec) if spec else self._plan.choose(request)
            request.fault = str(faults)
            if (fault := silencer(faults)) is not None:
                stats.answered(request, 0)
                return await stay_silent(connection, fault)
            early = self._early(request, dialect, faults)
            if early is None:
                headers |= self._admit(request, dialect, stats)
                told, body = await self._work(request, dialect, faults, stats)
                headers |= told
        except Refusal as refusal:
            early = refused(dialect, refusal)
        extra = {"x-request-id": f"req_{stats.calls}"} | dict(named.args if (named := faults.get("header")) else {})
        stats.answered(request, early[0] if early else 200)
        if early is not None:
            await connection.send(early[0], early[1] | extra, early[2])
            return True
        return await send_answer(connection, headers | extra, body, faults)

    async def _batches(self, connection: Connection, request: Request, spec: str, stats: Stats) -> bool:
        """Answer a request to a batch API, with faults on its way as into any other."""
        faults = parse_faults(spec) if spec else self._plan.choose(request)
        request.fault = str(faults)
        if (fault := silencer(faults)) is not None:
            return await stay_silent(connection, fault)
        try:
            check_key(request, self.api_keys)
            work = functools.partial(self._work_out, request, stats)
            page = self._early(request, self._quirky, faults) or answer_batches(self.batches, request, work)
        except Refusal as refusal:
            page = refused(self._quirky, refusal)
        request.status = page[0]
        if page[0] == 200:
            return await send_answer(connection, page[1], page[2], faults)
        await connection.send(*page)
        return True

    def _early(self, request: Request, dialect: Dialect, faults: Faults) -> Page | None:
        """What is answered before any work. Raises `Refusal`."""
        return next(filter(None, (early_page(fault, dialect, self.url + request.path) for fault in faults)), None)

    def _work_out(self, request: Request, stats: Stats, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer and bill a line of a batch as an ordinary request."""
        before, version, _ = request.path.partition("/v1/")
        line = Request(
            "POST", f"{before if version else ''}/v1/embeddings", {}, request.headers, json.dumps(body).encode()
        )
        try:
            dialect = self._understand(line)
            dialect.check(line, self.limits[dialect.name])
            reader = reader_of(request) or dialect
            line.read = reader.read(line, self.limits[reader.name])
            line.dims = dialect.dims(line, self.width or dialect.model_width(line.model))
        except Refusal as refusal:
            return refusal.status, dict(self._quirky.error(refusal))
        stats.worked_out(line)
        make = functools.partial(vector_for, model=line.model, input_type=line.input_type, dims=line.dims)
        vectors: list[Any] = [make(item) for item in line.read]
        return 200, dialect.write(line, Answer(vectors, list(range(len(vectors))), line.tokens, line.model))

    def _understand(self, request: Request) -> Dialect:
        """Find the API, read the JSON, and find the texts in it."""
        dialect = dialect_for(request)
        if dialect is None:
            raise Refusal(404, f"no route {request.method} {request.path}", code="not_found")
        if request.method != "POST":
            raise Refusal(405, "method not allowed")
        most = self.limits[dialect.name].body_bytes
        if most is not None and len(request.body) > most:
            raise Refusal(413, "request body too large", code="request_too_large")
        try:
            payload = json.loads(request.body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise Refusal(400, "We could not parse the JSON body of your request.")
        request.payload = payload
        dialect = dialect_for(request) or dialect  # the model's name may say more than the path
        if dialect.name == Quirky.name:
            dialect = self._quirky
        request.dialect = dialect.name
        dialect.parse(request)
        return dialect

    def _admit(self, request: Request, dialect: Dialect, stats: Stats) -> dict[str, str]:
        """Refuse as the real service would, or give the rate limit's headers."""
        dialect.admit(request, self.api_keys)
        limits, request.bytes_per_token = self.limits[dialect.name], self.bytes_per_token
        dialect.check(request, limits)
        request.read = dialect.read(request, limits)
        request.dims = dialect.dims(request, self.width or dialect.model_width(request.model))
        if self.max_concurrent is not None and stats.in_flight > self.max_concurrent:
            raise Refusal(503, "overloaded", type_="server_error")
        return take_rate(self.rate, request.tokens)

    async def _work(
        self, request: Request, dialect: Dialect, faults: Faults, stats: Stats
    ) -> tuple[dict[str, str], bytes]:
        """Work out vectors, bill them, and write the answer with its content faults: its headers and its JSON."""
        await asyncio.sleep(self.latency.of(len(request.read), request.tokens, self._rng))
        make = functools.partial(vector_for, model=request.model, dims=request.dims)
        contexts = [group for group in request.groups for _ in group] or itertools.repeat(())
        roles = request.roles or itertools.repeat(request.input_type)
        vectors: list[Any] = []
        for item, context, role in zip(request.read, contexts, roles, strict=False):
            vectors.append(make(item, context=context, input_type=role))
            if len(vectors) % TURN == 0:
                await asyncio.sleep(0)
        stats.worked_out(request)
        answer = Answer(vectors, list(range(len(vectors))), request.tokens, request.model)
        spoil(answer, faults, self._rng)
        written = dialect.write(request, answer)
        return dialect.headers(answer), json.dumps(written).encode()  # NaN as a bare word, as careless servers do


def refused(dialect: Dialect, refusal: Refusal) -> Page:
    """A refusal as an API writes it."""
    status, headers, told = dialect.refuse(refusal)
    return status, JSON | headers, json.dumps(told).encode()


def is_for_batches(path: str) -> bool:
    """Whether a path is one of a batch API."""
    return any(vendor.is_for_batches(path) for vendor in VENDORS)


def reader_of(request: Request) -> Dialect | None:
    """The API that cuts the texts of a batch in its own way; None: the one that its lines are written for."""
    if not _gemini_batches.is_for_batches(request.path):
        return None
    return next(dialect for dialect in DIALECTS if dialect.name == "gemini")


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:
    """Answer a request. Raises `Refusal`."""
    vendor = next(vendor for vendor in VENDORS if vendor.is_for_batches(request.path))
    answer: Page = vendor.answer_batches(batches, request, work)
    return answer
