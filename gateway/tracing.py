"""Traces by OpenTelemetry: a span for each request at the edge, and one for each call.

Off unless an endpoint is configured; then the SDK is loaded, which reads the rest from the usual
``OTEL_…`` variables (headers, sampler, service name). The context of a trace travels as text (W3C
Trace Context): from the client's headers into the span of the request, from there through
``CallOptions.context`` into the span of the call, and on to the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from gateway.requests import TRACE_HEADERS, trace_context
from schema.services import ServiceInfo

if TYPE_CHECKING:  # loaded only when traces are on
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_TRACES_PATH: Final = "/v1/traces"


class Tracing:
    """Makes spans. ``provider`` says where they go."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - see the module
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._api = trace
        self._provider = provider
        self._tracer = provider.get_tracer("polyport")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Any) -> Iterator[Span]:
        """A span around the answer to a request. The request's headers then name it as the parent
        of what follows."""
        headers = scope["headers"]
        sent = {n.decode(): value.decode("latin-1") for n, value in headers if n in TRACE_HEADERS}
        parent = self._propagator.extract(trace_context(sent))
        method: str = scope["method"]
        span = self._tracer.start_span(
            method,
            parent,
            kind=self._api.SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
        )
        told = self._context_of(span)
        others = [pair for pair in headers if pair[0] not in TRACE_HEADERS[:2]]
        scope["headers"] = others + [(k.encode(), v.encode()) for k, v in told.items()]
        try:
            yield span
        finally:
            span.end()

    def answered(self, span: Span, method: str, route: str, status: int) -> None:
        """Note how a request was answered."""
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(self._api.StatusCode.ERROR)

    @contextmanager
    def call(
        self, service: ServiceInfo, function: str, context: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """A span around a call; gives the context to call with. Of a failure it shows the class,
        and nothing of what providers and callers wrote."""
        span = self._tracer.start_span(
            f"call {function}",
            self._propagator.extract(trace_context(context)),
            kind=self._api.SpanKind.CLIENT,
            attributes={
                "rpc.system": "hypha-rpc",
                "rpc.service": str(service.id),
                "rpc.method": function,
            },
        )
        try:
            yield {**context, **self._context_of(span)}
        except BaseException as error:
            span.set_status(self._api.StatusCode.ERROR)
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()

    def _context_of(self, span: Span) -> dict[str, str]:
        told: dict[str, str] = {}
        self._propagator.inject(told, self._api.set_span_in_context(span))
        return told


def tracing_to(endpoint: str | None) -> Tracing | None:
    """Traces that go to a collector at a URL (OTLP over HTTP); None without one."""
    if endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    url = endpoint.rstrip("/")
    url = url if url.endswith(_TRACES_PATH) else url + _TRACES_PATH
    # What OTEL_SERVICE_NAME says wins: it is merged over these.
    resource = Resource({"service.name": "polyport"}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return Tracing(provider)
