"""Spans and metrics by OpenTelemetry's conventions for generative AI, as they are since version 1.37.

A call that the cache alone answers has a span and no metrics, because no request was made.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from embedbridge import events
from embedbridge._core.locks import OwnLock
from embedbridge._core.types import Report
from embedbridge.errors import MissingExtraError
from embedbridge.events import Event

try:
    from opentelemetry import context, metrics, trace
except ImportError as error:
    raise MissingExtraError('OpenTelemetry is not installed; run: pip install "embedbridge[otel]"') from error

__all__ = ["OpenTelemetryObserver"]

NAMES = {"azure": "azure.ai.openai"}
"""Our provider → its name in the conventions, where that is another."""
PORTS = {"http": 80, "https": 443}
SECONDS = tuple(0.01 * 2**step for step in range(14))
TOKENS = tuple(4**step for step in range(14))
"""Bounds of the histograms, as the conventions recommend them."""


class OpenTelemetryObserver:
    """One span per call, `embeddings MODEL`, and the metrics of GenAI clients: `observers=[OpenTelemetryObserver()]`.

    While a call runs its span is the current one, so that spans of an instrumented HTTP client are within it. Tokens
    are reported where the provider counted them. What the conventions have no name for is under `embedbridge.`.

    Args:
        tracer_provider: None: the global one.
        meter_provider: None: the global one.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        self._tracer = trace.get_tracer("embedbridge", tracer_provider=tracer_provider)
        meter = metrics.get_meter("embedbridge", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._lock = OwnLock()
        self._calls: dict[int, tuple[trace.Span, Any, dict[str, Any]]] = {}

    def __call__(self, event: Event) -> None:
        """Open, mark or close the span of the event's call."""
        match event:
            case events.CallStarted():
                self._begin(event)
            case events.RequestRetried(call, attempt, pause, status, _, endpoint):
                told: dict[str, Any] = {"attempt": attempt, "pause": pause} | (
                    {} if status is None else {"status": status}
                )
                told |= _at(endpoint)
                self._mark(call, "embedbridge.retry", told)
            case events.LimitWaited(call, seconds, endpoint):
                self._mark(call, "embedbridge.wait", {"seconds": seconds} | _at(endpoint))
            case events.EndpointProved(call, endpoint, far, reference):
                told = {"endpoint": endpoint, "distance": far, "reference": reference}
                self._mark(call, "embedbridge.endpoint.proved", told)
            case events.EndpointRefused(call, endpoint, reason):
                self._mark(call, "embedbridge.endpoint.refused", {"endpoint": endpoint, "reason": reason})
            case events.EndpointTripped(call, endpoint, seconds, _):
                self._mark(call, "embedbridge.endpoint.tripped", {"endpoint": endpoint, "seconds": seconds})
            case events.CallFinished(call, report):
                self._end(call, report)
            case events.CallFailed(call, error, report):
                self._end(call, report, error)
            case events.BatchHandedOver() | events.BatchCollected():
                self._tell_batch(event)

    def _tell_batch(self, event: events.BatchHandedOver | events.BatchCollected) -> None:
        """A span for a batch that was handed over or taken in, which is no call; and the tokens of one that came."""
        common = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": NAMES.get(event.provider, event.provider),
            "gen_ai.request.model": event.model,
        }
        told: dict[str, Any] = {"batch": event.batch, "texts": event.texts, "cost": event.cost}
        what = "handed over"
        if isinstance(event, events.BatchCollected):
            what, told = "collected", told | {"stored": event.stored, "saved": event.saved}
            self._tokens.record(event.tokens, common | {"gen_ai.token.type": "input"})
        own = {f"embedbridge.{name}": value for name, value in told.items() if value is not None}
        self._tracer.start_span(f"embeddings batch {what} {event.model}", attributes=common | own).end()

    def _begin(self, event: events.CallStarted) -> None:
        common = _common(event)
        span = self._tracer.start_span(
            f"embeddings {event.model}",
            kind=trace.SpanKind.CLIENT,
            attributes=common
            | {"embedbridge.input_type": event.input_type}
            | ({"gen_ai.embeddings.dimension.count": event.dimensions} if event.dimensions else {}),
        )
        token = context.attach(trace.set_span_in_context(span))
        with self._lock:
            self._calls[event.call] = span, token, common

    def _mark(self, call: int, name: str, attributes: dict[str, Any]) -> None:
        with self._lock:
            known = self._calls.get(call)
        if known is not None:
            known[0].add_event(name, attributes)

    def _end(self, call: int, report: Report, error: str | None = None) -> None:
        with self._lock:
            span, token, common = self._calls.pop(call)
        context.detach(token)
        failure = {} if error is None else {"error.type": error}
        counted = report.tokens_from == "provider" and report.requests > 0
        if report.requests:
            self._duration.record(report.seconds, common | failure)
        if counted:
            self._tokens.record(report.tokens, common | {"gen_ai.token.type": "input"})
        span.set_attributes(_told(report) | failure | ({"gen_ai.usage.input_tokens": report.tokens} if counted else {}))
        if error is not None:
            span.set_status(trace.StatusCode.ERROR)
        span.end()


def _common(event: events.CallStarted) -> dict[str, Any]:
    """Attributes of the span and of its metrics."""
    common: dict[str, Any] = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": NAMES.get(event.provider, event.provider),
        "gen_ai.request.model": event.model,
    }
    place = urlsplit(event.endpoint)
    if place.hostname:
        common |= {"server.address": place.hostname, "server.port": place.port or PORTS.get(place.scheme, 0)}
    return common


def _at(endpoint: str) -> dict[str, Any]:
    """Who of a pool."""
    return {"endpoint": endpoint} if endpoint else {}


def _told(report: Report) -> dict[str, Any]:
    names = (
        "texts",
        "unique",
        "hits",
        "shared",
        "from_batch",
        "misses",
        "requests",
        "retries",
        "waited",
        "cost",
        "saved",
    )
    values = {f"embedbridge.{name}": getattr(report, name) for name in names}
    if report.endpoints:
        values["embedbridge.endpoints"] = [each.name for each in report.endpoints if each.requests]
    return {name: value for name, value in values.items() if value is not None}
