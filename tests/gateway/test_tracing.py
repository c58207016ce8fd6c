"""Traces: one from the client to the provider, and nothing at all unless it is switched on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import opentelemetry.exporter.otlp.proto.http.trace_exporter as exporters
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import gateway.app
from gateway.settings import Settings
from gateway.tracing import Tracing, tracing_to

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SECRET = "not-for-traces"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(gateway.app, "tracing_to", lambda endpoint: Tracing(provider))
    return exporter


def client_of() -> httpx.AsyncClient:
    app = gateway.app.create_app(Settings(ephemeral=True))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def named(spans: InMemorySpanExporter) -> dict[str, Any]:
    return {span.name: span for span in spans.get_finished_spans()}


async def test_request_and_call_are_spans_of_the_trace_of_the_client(
    spans: InMemorySpanExporter,
) -> None:
    async with client_of() as client:
        path = f"/public/services/ws/echo?data={SECRET}"
        answer = await client.get(path, headers={"traceparent": PARENT})
        assert answer.status_code == 200
    found = named(spans)
    route = "/{workspace}/services/{service}/{function:path}"
    request, call = found[f"GET {route}"], found["call echo"]
    assert {span.context.trace_id for span in (request, call)} == {int(TRACE, 16)}
    assert request.parent.span_id == 0x00F067AA0BA902B7
    assert call.parent.span_id == request.context.span_id
    assert (request.kind, call.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert request.attributes["http.route"] == route
    assert request.attributes["http.response.status_code"] == 200
    assert call.attributes["rpc.method"] == "echo"
    assert SECRET not in "".join(span.to_json() for span in found.values())


async def test_what_fails_is_marked_and_its_text_is_not_told(spans: InMemorySpanExporter) -> None:
    async with client_of() as client:
        await client.get(f"/public/services/ws/echo?{SECRET}=1")
    call = named(spans)["call echo"]
    assert not call.status.is_ok
    assert call.attributes["error.type"] == "InvalidArguments"
    assert SECRET not in call.to_json()


async def test_a_request_without_a_trace_begins_one(spans: InMemorySpanExporter) -> None:
    async with client_of() as client:
        await client.get("/public/services", headers={"traceparent": "nonsense"})
    (request,) = spans.get_finished_spans()
    assert request.parent is None


def test_without_an_endpoint_nothing_is_loaded() -> None:
    assert tracing_to(None) is None
    script = (
        "import sys; from gateway.app import create_app; from gateway.settings import Settings;"
        "create_app(Settings(ephemeral=True));"
        "sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_an_endpoint_can_be_the_collector_or_its_path_for_traces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    class Exporter:
        def __init__(self, endpoint: str) -> None:
            seen.append(endpoint)

        def shutdown(self) -> None: ...

    monkeypatch.setattr(exporters, "OTLPSpanExporter", Exporter)
    for endpoint in ("http://collector:4318/", "http://collector:4318/v1/traces"):
        tracing = tracing_to(endpoint)
        assert tracing is not None
        tracing.close()
    assert seen == ["http://collector:4318/v1/traces"] * 2
