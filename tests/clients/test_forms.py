"""Forms and files to functions of hypha-rpc clients, and callers that do not wait."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.clients.conftest import Connect


async def test_an_uploaded_file_reaches_the_function_as_bytes(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    provider = await connect()

    def measure(image: bytes, unit: str, factor: float = 1.0) -> dict[str, Any]:
        return {"kind": type(image).__name__, "size": len(image) * factor, "unit": unit}

    config = {"visibility": "public"}
    await provider.register_service({"id": "measure", "config": config, "measure": measure})
    url = f"/{provider.config.workspace}/services/measure/measure"
    answer = await http.post(
        url, files={"image": ("a.png", bytes(3_000_000))}, data={"unit": "B", "factor": "2"}
    )
    assert answer.json() == {"kind": "bytes", "size": 6_000_000, "unit": "B"}
    answer = await http.post(url, data={"image": "text", "unit": "B"})
    assert answer.json() == {"kind": "str", "size": 4.0, "unit": "B"}


async def test_a_caller_says_how_long_it_waits_and_may_leave(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    provider, go_on = await connect(), asyncio.Event()

    async def wait() -> str:
        await go_on.wait()
        return "done"

    config = {"visibility": "public"}
    await provider.register_service({"id": "slow", "config": config, "wait": wait})
    url = f"/{provider.config.workspace}/services/slow/wait"
    answer = await http.get(f"{url}?_timeout=0.2")
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
    try:
        await http.get(url, timeout=0.5)
    except httpx.TimeoutException:
        go_on.set()
    assert (await http.get(url)).json() == "done"
