"""hypha-rpc for JavaScript in Node.js, alone and together with Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypha_rpc.rpc import RemoteException

from tests.clients.conftest import NODE, Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import Program, running

Node = tuple[str | Path, ...]
LONG = bytes(range(256)) * 6000


@pytest.fixture
async def provider(node: Node, gateway: Gateway) -> AsyncIterator[Program]:
    """The sample functions, in JavaScript."""
    async with running(*node, NODE / "provider.mjs", gateway.url) as program:
        yield program


def sample_functions() -> dict[str, Any]:
    """The same functions as provider.mjs has, in Python."""
    closed = asyncio.Event()

    def fail(message: str) -> None:
        raise IndexError(message)

    async def visit(count: int, tell: Any) -> int:
        return sum([await tell(i) for i in range(count)])

    def count(n: int) -> Iterator[int]:
        yield from range(n)

    async def words(text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word

    def falter() -> Iterator[int]:
        yield 1
        raise IndexError("out of numbers")

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    def who(context: dict[str, Any]) -> dict[str, Any]:
        return {"ws": context["ws"], "from": context["from"], "user": context["user"]["id"]}

    return {
        "id": "sample",
        "config": {"visibility": "public", "require_context": ["who"]},
        "version": 7,
        "add": lambda a, b: a + b,
        "maths": {"multiply": lambda a, b: a * b},
        "echo": lambda value: value,
        "total": lambda array: float(np.sum(array)),
        "closed": closed.is_set,
        **{f.__name__: f for f in (fail, visit, count, words, falter, endless, who)},
    }


def check(result: dict[str, Any], id: str, error: str) -> None:
    """What caller.mjs prints, whoever the provider is; ``error`` is what its functions raise."""
    workspace = id.partition("/")[0]
    assert f"{error}: no such colour" in result.pop("error")
    assert f"{error}: out of numbers" in result.pop("falter")
    assert f"Service not found: {workspace}/*:no-such-service@*" in result.pop("unknown")
    assert result == {
        "listed": [id],
        "id": id,
        "version": 7,
        "sum": 3,
        "product": 12,
        "object": {"deep": [1, None, {"text": "é"}], "flag": True, "pi": 3.5},
        "visited": [30, [0, 1, 2]],
        "count": [0, 1, 2, 3],
        "words": ["to", "be", "made"],
        "partly": [1],
        "endless": [1, True],
        "typed": [4, -2, 100000],
        "bytes": ["Uint8Array", 0],
        "long": [1_500_000, 0],
        "gateway": [1_500_000, 0],
        "who": result["me"],
        "me": result["me"],
    }


async def test_javascript_calls_javascript(node: Node, gateway: Gateway, provider: Program) -> None:
    id = (await provider.value())["id"]
    async with running(*node, NODE / "caller.mjs", gateway.url, id) as caller:
        check(await caller.value(), id, "RangeError")
        assert await caller.end() == 0


async def test_javascript_calls_python(node: Node, gateway: Gateway, connect: Connect) -> None:
    python = await connect()
    id = (await python.register_service(sample_functions()))["id"]
    async with running(*node, NODE / "caller.mjs", gateway.url, id) as caller:
        check(await caller.value(), id, "IndexError")
        assert await caller.end() == 0


async def test_python_calls_javascript(provider: Program, connect: Connect) -> None:
    offered = await provider.value()
    caller = await connect()
    assert [s["id"] for s in await caller.list_services({"workspace": offered["workspace"]})] == [
        offered["id"]
    ]
    sample = await caller.get_service(offered["id"])
    seen: list[int] = []

    def tell(i: int) -> int:
        seen.append(i)
        return i * 10

    assert sample.version == 7
    assert await sample.add(1, 2) == 3
    assert await sample.maths.multiply(3, 4) == 12
    value = {"deep": [1, None, {"text": "é"}], "flag": True, "pi": 3.5, "bytes": b"\x00\xff"}
    assert await sample.echo(value) == value
    assert await sample.echo(LONG) == LONG
    assert (await sample.visit(3, tell), seen) == (30, [0, 1, 2])
    assert [i async for i in await sample.count(4)] == [0, 1, 2, 3]
    assert [w async for w in await sample.words("to be made")] == ["to", "be", "made"]
    assert await sample.who() == {
        "ws": caller.config.workspace,
        "from": f"{caller.config.workspace}/{caller.config.client_id}",
        "user": caller.config.user["id"],
    }
    with pytest.raises(RemoteException, match="no such colour"):
        await sample.fail("no such colour")


async def test_python_reads_generators_of_javascript_partly(
    provider: Program, connect: Connect
) -> None:
    sample = await (await connect()).get_service((await provider.value())["id"])
    items = await sample.endless()
    assert await anext(items) == 1
    assert not await sample.closed()
    await items.aclose()
    assert await sample.closed()

    items = await sample.falter()
    assert await anext(items) == 1
    with pytest.raises(RemoteException, match="out of numbers"):
        await anext(items)


async def test_a_javascript_provider_unregisters_and_leaves(
    provider: Program, connect: Connect
) -> None:
    offered = await provider.value()
    caller = await connect()
    assert await provider.end() == 0
    with pytest.raises(RemoteException, match="Service not found"):
        await caller.get_service(offered["id"])
