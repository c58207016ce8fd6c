"""Probes and metrics: what they say, and to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app import create_app
from gateway.counters import Counters
from gateway.operations.health import REPORT_SECONDS, Health, status_of
from gateway.settings import Settings

TOKEN = "r" * 32
ADMIN = {"authorization": f"Bearer {TOKEN}"}
SHAPE = {
    "timestamp": ...,
    "status": ...,
    "health_score": ...,
    "issues": ...,
    "memory": {"rss_mb", "vms_mb", "percent"},
    "connections": {"active", "total_created", "total_closed", "orphaned", "leaked_handlers"},
    "objects": {"rpc_objects", "connection_objects"},
    "event_bus": {
        "circuit_breaker_open",
        "consecutive_failures",
        "max_failures",
        "last_successful_connection",
    },
    "system": {"cpu_percent", "memory_percent", "disk_usage", "load_average"},
    "tasks": {"active"},
    "calls": {"in_flight"},
    "leak_monitor": {"collections"},
    "uptime_seconds": ...,
}


def client_of(peer: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
    app = create_app(Settings(ephemeral=True, root_token=TOKEN, **settings))
    transport = httpx.ASGITransport(app, client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def test_probes_have_the_shape_that_orchestrators_know() -> None:
    async with client_of("8.8.8.8") as client:
        live, ready = [await client.get(f"/health/{kind}") for kind in ("liveness", "readiness")]
        assert (live.status_code, live.json()) == (200, {"status": "OK"})
        assert (ready.status_code, ready.json()["status"]) == (200, "OK")
        assert ready.json()["detail"]["store"] is True


async def test_health_has_the_shape_that_dashboards_know() -> None:
    async with client_of() as client:
        answer = await client.get("/health")
    report = answer.json()
    assert (answer.status_code, report["status"], report["issues"]) == (200, "HEALTHY", [])
    assert set(report) == set(SHAPE)
    for key, members in SHAPE.items():
        if members is not ...:
            assert set(report[key]) == members, key
    assert 10 < report["memory"]["rss_mb"] < 2000


@pytest.mark.parametrize(
    ("shown_to", "peer", "headers", "is_shown"),
    [
        ("local", "127.0.0.1", {}, True),
        ("local", "::1", {}, True),
        ("local", "127.0.0.1", {"x-forwarded-for": "8.8.8.8"}, False),
        ("local", "127.0.0.1", {"via": "1.1 proxy"}, False),
        ("local", "127.0.0.1", {"host": "localhost:9527"}, True),
        ("local", "127.0.0.1", {"host": "[::1]:9527"}, True),
        ("local", "127.0.0.1", {"host": "10.0.0.5"}, True),
        ("local", "127.0.0.1", {"host": "rebound.example"}, False),
        ("local", "8.8.8.8", {}, False),
        ("local", "8.8.8.8", {"authorization": "Bearer wrong"}, False),
        ("local", "8.8.8.8", ADMIN, True),
        ("admins", "127.0.0.1", {}, False),
        ("admins", "127.0.0.1", ADMIN, True),
        ("all", "8.8.8.8", {}, True),
    ],
)
async def test_n15_details_are_for_the_machine_itself_and_administrators(
    shown_to: str, peer: str, headers: dict[str, str], is_shown: bool
) -> None:
    async with client_of(peer, show_operations_to=shown_to) as client:
        health = await client.get("/health", headers=headers)
        metrics = await client.get("/metrics", headers=headers)
    assert health.status_code == 200
    assert ("memory" in health.json()) is is_shown
    assert set(health.json()) >= {"status", "timestamp"}
    assert metrics.status_code == (200 if is_shown else 403)
    assert (b"process_" in metrics.content) is is_shown


async def test_metrics_count_by_route_and_never_by_path_or_name() -> None:
    async with client_of() as client:
        for path in ("/public/services", "/secret-lab/services", "/a/b/c/d", "/health/liveness"):
            await client.get(path)
        await client.request("BREW", "/public/services")
        bad = await client.get("/public/services", headers={"authorization": "Bearer nonsense"})
        assert bad.status_code == 401
        call = await client.get("/public/services/ws/echo?data=1")
        answer = await client.get("/metrics")
    assert call.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "secret-lab" not in answer.text
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }

    def count(route: str, status: int, method: str = "GET") -> float | None:
        labels = {"route": route, "method": method, "status": str(status)}.items()
        return found.get(("polyport_http_request_duration_seconds_count", *sorted(labels)))

    services = "/{workspace}/services"
    assert (count(services, 200), count(services, 404), count(services, 401)) == (1, 1, 1)
    assert count(services, 405, "other") == 1
    assert count("/health/liveness", 200) == 1
    assert found[("polyport_calls_total", ("outcome", "ok"))] == 1
    assert found[("polyport_authentications_total", ("outcome", "unauthenticated"))] == 1
    assert found[("polyport_authentications_total", ("outcome", "anonymous"))] == 3
    assert found[("websocket_connections",)] == 0
    for name in (
        "rpc_call_total",
        "client_requests_total",
        "client_load_current",
        "polyport_outbox_bytes",
    ):
        assert (name,) in found
    assert found[("polyport_http_active_requests",)] == 1, "the one that asks"


async def test_below_a_base_path_routes_are_counted_all_the_same() -> None:
    async with client_of(base_path="/gw") as client:
        await client.get("/gw/public/services")
        assert b'route="/{workspace}/services"' in (await client.get("/gw/metrics")).content


class Hub:
    is_draining = False
    connections = 3


class Endpoint:
    calls_in_flight = 2


def health(ping: Any, clock: Any) -> Health:
    return Health(Hub(), Endpoint(), Counters(), ping, clock=clock)  # type: ignore[arg-type]


async def test_n9_a_report_is_made_once_for_all_who_ask() -> None:
    asked = 0
    now = 0.0

    async def ping() -> None:
        nonlocal asked
        asked += 1

    watched = health(ping, lambda: now)
    reports = await asyncio.gather(*(watched.report() for _ in range(10)))
    assert asked == 1
    assert all(report is reports[0] for report in reports)
    now = REPORT_SECONDS
    assert await watched.report() is not reports[0]


async def test_a_database_that_does_not_answer_makes_the_gateway_unready_and_not_dead() -> None:
    async def ping() -> None:
        raise OSError("no route to host 10.0.0.7")

    watched = health(ping, lambda: 0.0)
    assert await watched.not_ready() == "the database does not answer"
    report = await watched.report()
    assert (report["status"], report["issues"]) == ("CRITICAL", ["The database does not answer"])


@pytest.mark.parametrize(
    ("score", "word"), [(100, "HEALTHY"), (80, "HEALTHY"), (79, "WARNING"), (59, "CRITICAL")]
)
def test_only_the_worst_scores_fail_probes(score: int, word: str) -> None:
    assert status_of(score) == word
