"""The probes of the HTTP contract that are about time and numbers: a call that takes longer than a
provider may be silent, a provider that falls silent, and too many requests.

The 35 s and 30 s of the contract are 3 s and 2 s here, by a setting.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.settings import Settings
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running

SILENT_PROVIDER = Path(__file__).parent / "scripts" / "waiting_provider.py"
SILENCE_SECONDS = 2.0
CALL_SECONDS = 3.0
BURST = 20
ORIGIN = {"origin": "https://a.example"}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        "POLYPORT_SILENCE_TIMEOUT_SECONDS": f"{SILENCE_SECONDS:g}",
        "HYPHA_HTTP_RATE_LIMIT": "0.001",
        "HYPHA_HTTP_BURST_LIMIT": f"{BURST}",
    }


def failure(answer: httpx.Response) -> tuple[int, Any, Any, Any]:
    told = answer.json()
    assert told["detail"]
    return answer.status_code, told["success"], told["code"], told["type"]


async def test_a_call_may_take_longer_than_a_provider_may_be_silent(
    http: httpx.AsyncClient, connect: Connect
) -> None:
    async def work() -> str:
        await asyncio.sleep(CALL_SECONDS)
        return "done"

    service = {"id": "slow", "config": {"visibility": "public"}, "work": work}
    path = (await (await connect()).register_service(service))["id"].replace("/", "/services/")
    answer = await http.get(f"/{path}/work")
    assert (answer.status_code, answer.json()) == (200, "done")
    assert answer.elapsed.total_seconds() > SILENCE_SECONDS


async def test_a_provider_that_falls_silent_is_a_gateway_timeout(
    gateway: Gateway, http: httpx.AsyncClient
) -> None:
    async with running(sys.executable, SILENT_PROVIDER, gateway.url) as provider:
        path = (await provider.value())["id"].replace("/", "/services/")
        call = asyncio.ensure_future(http.get(f"/{path}/wait"))
        assert await provider.value() == {"called": "wait"}
        provider.freeze()
        answer = await call
    assert failure(answer) == (504, False, "timeout", "CallTimeout")
    assert answer.elapsed.total_seconds() < Settings().silence_timeout_seconds


async def test_too_many_requests_are_told_when_to_come_again(http: httpx.AsyncClient) -> None:
    for _ in range(BURST + 1):
        answer = await http.get("/ws-nobody/services/nothing/f", headers=ORIGIN)
        if answer.status_code == 429:
            break
    assert failure(answer) == (429, False, "limit_exceeded", "LimitExceeded")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await http.get("/health/liveness")).status_code == 200
