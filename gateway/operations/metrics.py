"""The counters in the text format of Prometheus.

``prometheus_client`` writes the text; it is loaded when somebody first asks. Names without prefix
are those that dashboards for Hypha use (HTTP contract).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.auth.audit import AuditLog
from gateway.counters import BUCKET_SECONDS, Counters, Timings
from gateway.edge.bounds import Bounds
from gateway.hub import Hub
from gateway.registry.registry import Registry
from gateway.routing.router import Router
from gateway.rpc.endpoint import Endpoint

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Looks at the parts when it is asked."""

    def __init__(
        self,
        counters: Counters,
        bounds: Bounds,
        hub: Hub,
        router: Router,
        endpoint: Endpoint,
        registry: Registry,
        audit: AuditLog,
    ) -> None:
        self._audit = audit
        self._counters = counters
        self._bounds = bounds
        self._hub = hub
        self._router = router
        self._endpoint = endpoint
        self._registry = registry
        self._text: Callable[[], bytes] | None = None

    def text(self) -> bytes:
        """All metrics now."""
        if self._text is None:
            self._text = self._exposition()
        return self._text()

    def _exposition(self) -> Callable[[], bytes]:
        # Half of the tests and most servers never ask; loading it takes a tenth of their start.
        from prometheus_client import (  # noqa: PLC0415
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            generate_latest,
        )

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        return lambda: generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """What ``prometheus_client`` asks a collector for."""
        from prometheus_client.core import (  # noqa: PLC0415 - see above
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        def labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Any:
            family = CounterMetricFamily(name, text, labels=[label])
            for value, count in values.items():
                family.add_metric([value], count)
            return family

        counters = self._counters
        for name, text, value in self._totals():
            yield CounterMetricFamily(name, text, value=value)
        for name, text, value in self._levels():
            yield GaugeMetricFamily(name, text, value=value)
        for name, text, label, values in (
            ("polyport_mcp_requests", "MCP requests.", "method", counters.operations),
            ("polyport_calls", "Calls over HTTP and MCP.", "outcome", counters.calls),
            ("polyport_authentications", "Credentials.", "outcome", counters.authentications),
            ("polyport_rate_limited_requests", "Refused.", "by", self._bounds.rates.rejected),
        ):
            yield labelled(name, text, label, dict(values))
        timings = HistogramMetricFamily(
            "polyport_http_request_duration_seconds",
            "Time until the answer to a request began.",
            labels=["route", "method", "status"],
        )
        for (route, method, status), timing in list(counters.requests.items()):
            timings.add_metric(
                [route, method, str(status)], cumulative(timing), timing.total_seconds
            )
        yield timings

    def _totals(self) -> Iterator[tuple[str, str, float]]:
        counters, router = self._counters, self._router
        own = sum(counters.calls.values())
        by_clients = router.calls + self._endpoint.served
        yield "rpc_call", "Calls of functions, by clients and through doors.", by_clients + own
        yield "client_requests", "Calls by clients.", by_clients
        yield (
            "websocket_connections_established",
            "Connections of clients that were opened.",
            counters.connections,
        )
        yield (
            "websocket_rate_limited_disconnects",
            "Clients disconnected because they sent too much.",
            counters.flooding_clients,
        )
        bounds = self._bounds
        yield (
            "polyport_refused_bodies",
            "Requests refused because those before them had so large bodies.",
            bounds.bodies.refused,
        )
        yield (
            "polyport_refused_connections",
            "Connections refused because their address had too many.",
            bounds.connections.refused,
        )
        yield (
            "polyport_audit_entries_lost",
            "Entries of the audit log that the database did not take.",
            self._audit.lost,
        )

    def _levels(self) -> Iterator[tuple[str, str, float]]:
        counters = self._counters
        yield "websocket_connections", "Connected clients.", self._hub.connections
        now = time.monotonic()
        yield (
            "client_load_current",
            "Calls to clients in the last minute, the older the less they count.",
            sum(session.load_at(now) for session in self._router.sessions()),
        )
        yield "polyport_services", "Registered services.", self._registry.count()
        yield (
            "polyport_outbox_bytes",
            "What waits for clients that read slowly.",
            sum(session.outbox.queued_bytes for session in self._router.sessions()),
        )
        bounds = self._bounds
        yield "polyport_body_bytes", "Request bodies in memory.", bounds.bodies.held_bytes
        yield (
            "polyport_anonymous_connections",
            "Connections of strangers, from other machines.",
            bounds.connections.open,
        )
        yield "polyport_calls_in_flight", "Calls being served.", self._endpoint.calls_in_flight
        yield "polyport_http_active_requests", "Requests being answered.", counters.active_requests
        yield "polyport_http_open_streams", "Answers begun, not ended.", counters.open_streams


def cumulative(timings: Timings) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each counts all that is not above its bound."""
    bounds = [*map(str, BUCKET_SECONDS), "+Inf"]
    total = 0
    buckets = []
    for bound, count in zip(bounds, timings.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
