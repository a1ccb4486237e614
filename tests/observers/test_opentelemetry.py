"""What OpenTelemetry's own SDK exports of a call: the spans and metrics that its conventions ask for."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the package opentelemetry-sdk")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from embedbridge import AuthenticationError, Embedder
from embedbridge.observers.opentelemetry import OpenTelemetryObserver


class Telemetry:
    """An application's tracer and meter, and what they have exported."""

    def __init__(self):
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracing, self.metering = TracerProvider(), MeterProvider([self._metrics])
        self.tracing.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observer = OpenTelemetryObserver(self.tracing, self.metering)

    @property
    def spans(self):
        return self._spans.get_finished_spans()

    @property
    def points(self):
        """Metric → its one data point."""
        data = self._metrics.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: metric.data.data_points for scope in scopes for metric in scope.metrics}


@pytest.fixture
def telemetry():
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracing.shutdown()
    telemetry.metering.shutdown()


@pytest.fixture
def hosted(server, telemetry):
    def make(**options):
        usual = {"base_url": f"{server.url}/v1", "api_key": "sk-secret", "observers": [telemetry.observer]}
        return Embedder("openai:text-embedding-3-small", **usual | options)

    return make


def common(server):
    return {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
    }


def test_a_call_is_one_client_span_with_the_conventions_attributes(caller, hosted, server, telemetry):
    report = caller.embed(hosted(batch_size=1, dimensions=256), ["a text", "another text"]).report
    (span,) = telemetry.spans
    assert span.name == "embeddings text-embedding-3-small"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.status.is_unset
    assert dict(span.attributes) == common(server) | {
        "gen_ai.embeddings.dimension.count": 256,
        "gen_ai.usage.input_tokens": report.tokens,
        "embedbridge.input_type": "document",
        "embedbridge.texts": 2,
        "embedbridge.unique": 2,
        "embedbridge.hits": 0,
        "embedbridge.shared": 0,
        "embedbridge.from_batch": 0,
        "embedbridge.misses": 2,
        "embedbridge.requests": 2,
        "embedbridge.retries": 0,
        "embedbridge.waited": 0.0,
        "embedbridge.cost": report.cost,
        "embedbridge.saved": 0.0,
    }


def test_tokens_and_seconds_are_metrics(caller, hosted, server, telemetry):
    report = caller.embed(hosted(), ["a text of some length"]).report
    (tokens,), (seconds,) = (
        telemetry.points[name] for name in ("gen_ai.client.token.usage", "gen_ai.client.operation.duration")
    )
    assert tokens.sum == report.tokens
    assert dict(tokens.attributes) == common(server) | {"gen_ai.token.type": "input"}
    assert tokens.explicit_bounds[:4] == (1, 4, 16, 64)
    assert seconds.sum == pytest.approx(report.seconds)
    assert dict(seconds.attributes) == common(server)
    assert seconds.explicit_bounds[:3] == (0.01, 0.02, 0.04)


def test_a_call_that_the_cache_answers_has_a_span_and_no_metrics(caller, hosted, telemetry):
    caller.embed(hosted(), ["a text"])
    before = {name: points[0].count for name, points in telemetry.points.items()}
    caller.embed(hosted(), ["a text"])
    assert telemetry.spans[1].attributes["embedbridge.hits"] == 1
    assert "gen_ai.usage.input_tokens" not in telemetry.spans[1].attributes
    assert {name: points[0].count for name, points in telemetry.points.items()} == before


def test_tokens_that_nobody_counted_are_not_told(caller, server, telemetry):
    server.script("nousage")
    embedder = Embedder("openai:m", base_url=f"{server.url}/v1", observers=[telemetry.observer])
    caller.embed(embedder, ["a text"])
    assert "gen_ai.client.token.usage" not in telemetry.points
    assert "gen_ai.usage.input_tokens" not in telemetry.spans[0].attributes


def test_retries_are_events_of_the_span(caller, hosted, server, telemetry):
    server.script("503:retry-after=0.01")
    caller.embed(hosted(), ["a text"])
    (retry,) = [event for event in telemetry.spans[0].events if event.name == "embedbridge.retry"]
    assert (retry.attributes["attempt"], retry.attributes["status"]) == (1, 503)


def test_an_error_is_in_the_span_and_in_the_metric_and_no_text_or_key_is_anywhere(caller, hosted, server, telemetry):
    server.script("401")
    with pytest.raises(AuthenticationError):
        caller.embed(hosted(), ["a very secret text"])
    (span,) = telemetry.spans
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes["error.type"] == "AuthenticationError"
    (seconds,) = telemetry.points["gen_ai.client.operation.duration"]
    assert seconds.attributes["error.type"] == "AuthenticationError"
    assert "secret" not in span.to_json() + str(telemetry.points)


def test_a_span_is_within_the_callers_and_those_of_its_requests_are_within_it(caller, hosted, telemetry):
    tracer = telemetry.tracing.get_tracer("an instrumented HTTP client")
    embedder = hosted(batch_size=1)
    ask, aask = embedder._parts.provider.ask, embedder._parts.provider.aask

    def traced(batch, **options):
        with tracer.start_as_current_span("POST"):
            return ask(batch, **options)

    async def atraced(batch, **options):
        with tracer.start_as_current_span("POST"):
            return await aask(batch, **options)

    embedder._parts.provider.ask, embedder._parts.provider.aask = traced, atraced
    with tracer.start_as_current_span("page") as page:
        caller.embed(embedder, ["a", "b", "c"])
        assert trace.get_current_span() is page
    *requests, call, _ = telemetry.spans
    assert call.parent.span_id == page.get_span_context().span_id
    assert {request.parent.span_id for request in requests} == {call.get_span_context().span_id}
    assert len(requests) == 3


def test_the_spans_of_a_stream_are_within_the_callers_too(hosted, telemetry):
    tracer = telemetry.tracing.get_tracer("an application")
    with tracer.start_as_current_span("page") as page, hosted() as embedder:
        assert len(list(embedder.stream(["a", "b", "c"], chunk_size=1))) == 3
    *calls, _ = telemetry.spans
    assert [call.parent.span_id for call in calls] == [page.get_span_context().span_id] * 3


def test_calls_at_once_have_a_span_each(caller, hosted, telemetry):
    caller.at_once(hosted(cache=False), [["a"], ["b"], ["c"]])
    assert len({span.get_span_context().span_id for span in telemetry.spans}) == 3
    assert [span.attributes["embedbridge.misses"] for span in telemetry.spans] == [1, 1, 1]
