"""Servers over HTTP that answer what they should not: what the caller gets then."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.app import Parts
from gateway.upstreams.supervisor import State
from schema.errors import (
    FunctionNotFound,
    GatewayError,
    InvalidArguments,
    ProviderGone,
    ServiceError,
)
from tests.gateway.upstreams.conftest import Run, call, find, listening, status, until
from tests.gateway.upstreams.odd_server import OddServer
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(params=["newer", "older"])
async def odd(request: pytest.FixtureRequest, run: Run) -> AsyncIterator[tuple[OddServer, Parts]]:
    """A server that does odd things, and a gateway before it."""
    app = OddServer(is_modern=request.param == "newer")
    async with listening(app, timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        yield app, parts
        await parts.close()


WRONG: dict[str, tuple[type[GatewayError], str]] = {
    "page": (ServiceError, r"demo refused the request: HTTP 500$"),
    "page_with_200": (ServiceError, r"cannot be used: HTTP 200 with text/html$"),
    "forbidden": (ServiceError, r"demo refused the request: HTTP 403$"),
    "error": (InvalidArguments, r"^x is missing$"),
    "no_json": (ServiceError, r"is no JSON-RPC message"),
    "no_result": (ServiceError, r"has no result"),
    "bad_block": (ServiceError, r"answer to tools/call that is not valid"),
    "large": (ServiceError, r"larger than 33554432 bytes"),
    "large_event": (ServiceError, r"larger than 33554432 bytes"),
    "cut": (ProviderGone, r"connection to demo was lost"),
    "moved_away": (ServiceError, r"redirects to another place"),
    "broken": (ProviderGone, r"connection to demo was lost"),
}


async def test_an_answer_that_is_none_fails_its_own_call_alone(
    odd: tuple[OddServer, Parts],
) -> None:
    _, parts = odd
    for tool, (kind, words) in WRONG.items():
        with pytest.raises(kind, match=words):
            await call(parts, tool)
        assert await call(parts, "good") == "good", f"after {tool}"
    assert status(parts).supervisor.starts == 1


async def test_integers_keep_all_their_digits(odd: tuple[OddServer, Parts]) -> None:
    assert await call(odd[1], "digits") == {"n": 2**200}


async def test_a_redirect_on_the_same_host_is_followed(odd: tuple[OddServer, Parts]) -> None:
    _, parts = odd
    assert await call(parts, "moved") == "good"


async def test_answers_may_come_as_events(odd: tuple[OddServer, Parts]) -> None:
    _, parts = odd
    for _ in range(3):
        assert await call(parts, "events") == "good"


async def test_a_stream_that_ends_early_is_taken_up_again(run: Run) -> None:
    async with listening(OddServer(), timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        assert await call(parts, "resumed") == "good"
        await parts.close()


async def test_a_server_hears_that_its_caller_has_left(odd: tuple[OddServer, Parts]) -> None:
    server, parts = odd
    await find(parts)
    calling = asyncio.create_task(call(parts, "wait"))
    await server.began.wait()
    server.noticed.clear()
    calling.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await server.left.wait()
        if not server.is_modern:
            await server.noticed.wait()
    if not server.is_modern:
        [waiting] = [r for r in server.requests if r["method"] == "tools/call"]
        told = server.notifications[-1]
        assert told["method"] == "notifications/cancelled"
        assert told["params"]["requestId"] == waiting["id"]


async def test_an_entry_of_a_list_that_is_malformed_costs_nobody_the_others(run: Run) -> None:
    tools: list[Any] = [
        {"name": "good", "inputSchema": {"type": "object"}, "title": None},
        {"name": 7},
        "nonsense",
        {"inputSchema": {}},
        {"name": "no_schema"},
        {"name": "odd_schema", "inputSchema": "object"},
        {"name": "twice", "inputSchema": {"type": 12}},
    ]
    async with listening(OddServer(tools=tools), timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        service = await find(parts)
        assert sorted(service.functions) == ["good", "no_schema", "odd_schema", "twice"]
        assert await call(parts, "good") == "good"
        await parts.close()


async def test_a_server_may_have_thousands_of_tools(run: Run) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    tools = [{"name": f"tool_{i}", "inputSchema": schema} for i in range(5_000)]
    tools.append({"name": "good", "inputSchema": schema})
    async with listening(OddServer(tools=tools), timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        assert len((await find(parts)).functions) == 5_001
        assert await call(parts, "good") == "good"
        assert status(parts).supervisor.state is State.RUNNING
        await parts.close()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (401, r"it refuses the gateway \(HTTP 401\): give it a token in 'headers'"),
        (503, r"it answers with HTTP 503"),
    ],
)
async def test_the_operator_sees_how_a_server_refuses_the_gateway(
    run: Run, refusal: int, words: str
) -> None:
    server = OddServer()
    server.refuses_with = refusal
    async with listening(server, timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        supervisor = status(parts).supervisor
        await until(lambda: supervisor.failures > 0)
        assert re.match(words, supervisor.reason or "")
        server.refuses_with = None
        await status(parts).restart()
        assert await call(parts, "good") == "good"
        await parts.close()


async def test_a_tool_that_goes_while_it_is_called_still_answers(run: Run) -> None:
    server = OddServer()
    async with listening(server, timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"url": f"http://127.0.0.1:{port}/mcp"}})
        await find(parts)
        calling = asyncio.create_task(call(parts, "held"))
        await server.began.wait()
        server.tools[:] = [tool for tool in server.tools if tool["name"] != "held"]
        status(parts).review()
        await until(lambda: "held" not in status(parts).status()["tools"])
        server.left.set()
        assert await calling == "good"
        with pytest.raises(FunctionNotFound):
            await call(parts, "held")
        await parts.close()
