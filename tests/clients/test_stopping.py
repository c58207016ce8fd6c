"""Starting, and stopping well: calls are answered, connections are closed, the exit code is 0."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.gateways import SERVE, Gateway, started
from tests.clients.raw import Closed, Message, RawClient, admitted, call_header
from tests.patience import PATIENCE_SECONDS

UVICORN = ("-m", "uvicorn", "gateway.server:app", "--port", "0", "--ws", "websockets-sansio")
LAUNCHERS = {"product": SERVE, "uvicorn": UVICORN}
SIGNALS = [signal.SIGTERM, signal.SIGINT]
GOING_AWAY = Closed(1001, "The server is stopping")
SCHEMA = {"type": "function", "function": {"name": "wait", "parameters": {"type": "object"}}}

stops_on = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
launched_by = pytest.mark.parametrize("launcher", LAUNCHERS)


@pytest.fixture
def settings() -> dict[str, str]:
    return {}


@pytest.fixture
def launcher() -> str:
    return "product"


@pytest.fixture
def gateway(settings: dict[str, str], launcher: str, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test, which stops it."""
    environment = {"POLYPORT_EPHEMERAL": "1", **settings}
    with started(tmp_path, environment, LAUNCHERS[launcher]) as gateway:
        yield gateway


async def exit_code(gateway: Gateway) -> int:
    return await asyncio.to_thread(gateway.process.wait, PATIENCE_SECONDS)


async def stopping(gateway: Gateway, number: signal.Signals) -> None:
    """Send a signal and return once the gateway acts on it."""
    gateway.process.send_signal(number)
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as client:
        while (await client.get("/health/readiness")).status_code == 200:
            pass


async def offer(client: RawClient) -> str:
    """Register a service with a function ``wait`` and return its path over HTTP."""
    config = {"visibility": "public"}
    service = {
        "id": f"{client.address}:offer",
        "config": config,
        "service_schema": {"wait": SCHEMA},
    }
    await client.ask_manager("register_service", service)
    return f"/{client.workspace}/services/offer/wait"


async def answer(provider: RawClient, call: Message, value: Any) -> None:
    """Resolve a call that has arrived."""
    header = {
        "type": "method",
        "to": call.header["from"],
        "method": f"{call.header['session']}.resolve",
    }
    await provider.send(header, {"args": [value]})


async def test_idle_clients_are_told_at_once_that_the_server_goes_away(gateway: Gateway) -> None:
    async with admitted(gateway) as one, admitted(gateway) as other:
        gateway.process.send_signal(signal.SIGTERM)
        assert await one.closed() == GOING_AWAY
        assert await other.closed() == GOING_AWAY
    assert await exit_code(gateway) == 0
    assert "Traceback" not in gateway.written()


@launched_by
@stops_on
async def test_calls_in_flight_are_answered_before_the_server_stops(
    gateway: Gateway, number: signal.Signals
) -> None:
    async with (
        httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http,
        admitted(gateway) as provider,
        admitted(gateway) as caller,
    ):
        over_http = asyncio.ensure_future(http.get(await offer(provider)))
        first = await provider.received()
        await caller.send(call_header(provider.address, "services.offer.wait"), {"promise": "*"})
        second = await provider.received()
        await stopping(gateway, number)

        await answer(provider, first, "over HTTP")
        await answer(provider, second, "over RPC")
        response = await over_http
        assert (response.status_code, response.json()) == (200, "over HTTP")
        reply = await caller.received()
        assert (reply.header["method"], reply.body) == ("s1.resolve", {"args": ["over RPC"]})
        assert await caller.closed() == GOING_AWAY
        assert await provider.closed() == GOING_AWAY
    assert await exit_code(gateway) == 0


async def test_a_stopping_server_takes_nobody_in(gateway: Gateway) -> None:
    async with (
        httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http,
        admitted(gateway) as provider,
    ):
        call = asyncio.ensure_future(http.get(await offer(provider)))
        arrived = await provider.received()
        await stopping(gateway, signal.SIGTERM)

        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        key = {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        refused = await http.get("/ws", headers={**upgrade, **key})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert (await http.get("/health/liveness")).status_code == 200

        await answer(provider, arrived, "done")
        assert (await call).json() == "done"
    assert await exit_code(gateway) == 0


class TestWithLittlePatience:
    """A gateway that waits for calls in flight for half a second."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"POLYPORT_DRAIN_SECONDS": "0.5"}

    async def test_a_call_without_end_is_told_that_it_failed(self, gateway: Gateway) -> None:
        async with (
            httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http,
            admitted(gateway) as provider,
        ):
            call = asyncio.ensure_future(http.get(await offer(provider)))
            await provider.received()
            gateway.process.send_signal(signal.SIGTERM)
            assert await provider.closed() == GOING_AWAY
            response = await call
            assert (response.status_code, response.json()["code"]) == (502, "provider_gone")
        assert await exit_code(gateway) == 0


class TestWithMuchPatience:
    """A gateway that waits for calls in flight for longer than a test does."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"POLYPORT_DRAIN_SECONDS": f"{10 * PATIENCE_SECONDS:g}"}

    async def test_a_second_signal_ends_the_wait(self, gateway: Gateway) -> None:
        async with (
            httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http,
            admitted(gateway) as provider,
        ):
            call = asyncio.ensure_future(http.get(await offer(provider)))
            await provider.received()
            await stopping(gateway, signal.SIGINT)
            gateway.process.send_signal(signal.SIGINT)
            assert await exit_code(gateway) == 0
            await asyncio.gather(call, return_exceptions=True)


def test_the_server_says_when_it_is_ready(
    tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    with started(tmp_path, {}) as gateway:
        seconds = time.monotonic() - begun
        assert re.fullmatch(r"Polyport \S+ ready at http://127\.0\.0\.1:\d+\n", gateway.written())
        assert (
            httpx.get(f"{gateway.url}/health/readiness", timeout=PATIENCE_SECONDS).status_code
            == 200
        )
        assert gateway.end() == 0
    record_property("seconds_to_ready", round(seconds, 2))
    with capsys.disabled():
        print(f" [ready {seconds:.2f} s after the start of the process]", end="")


def test_a_port_that_is_taken_is_reported(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with started(tmp_path, {}) as gateway:
        port = gateway.url.rpartition(":")[2]
        arguments = ("-m", "gateway.server", "--port", port, "--ephemeral")
        again = started(tmp_path / "second", {}, arguments)
        with pytest.raises(AssertionError, match=os.strerror(errno.EADDRINUSE)), again:
            pass
        assert gateway.end() == 0
