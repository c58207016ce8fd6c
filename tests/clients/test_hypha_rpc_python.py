"""hypha-rpc for Python, as its users import it: services, calls, values, access."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from hypha_rpc.rpc import RemoteException

from tests.clients.conftest import Connect

PUBLIC = {"visibility": "public"}


async def offer(provider: Any, **service: Any) -> str:
    """Register a public service and return its full id."""
    registered = await provider.register_service(
        {"id": "offer", "name": "Offer", "config": PUBLIC, **service}
    )
    return str(registered["id"])


async def test_anonymous_clients_get_a_workspace_each(connect: Connect) -> None:
    one, other = await connect(), await connect()
    assert one.config.workspace != other.config.workspace
    assert one.config.user["is_anonymous"]


async def test_a_registered_service_is_listed_and_found_by_every_form_of_its_id(
    connect: Connect,
) -> None:
    provider, caller = await connect(client_id="maker"), await connect()
    workspace = provider.config.workspace
    full = f"{workspace}/maker:offer"
    assert await offer(provider, type="toy", answer=42) == full

    assert [s["id"] for s in await provider.list_services({"type": "toy"})] == [full]
    assert [s["id"] for s in await caller.list_services({"workspace": workspace})] == [full]
    for query in (full, f"{full}@*", f"{workspace}/offer"):
        found = await caller.get_service(query)
        assert (found["id"], found["answer"]) == (full, 42)
    for query in ("offer", "maker:offer"):
        assert (await provider.get_service(query))["id"] == full


async def test_arguments_arrive_by_position_and_by_name(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    def describe(first: Any, second: Any = "two", **more: Any) -> list[Any]:
        return [first, second, more]

    service = await caller.get_service(await offer(provider, describe=describe))
    assert await service.describe(1) == [1, "two", {}]
    assert await service.describe(1, {"deep": [None, 2.5]}) == [1, {"deep": [None, 2.5]}, {}]
    assert await service.describe("x", second=b"\x00\xff") == ["x", b"\x00\xff", {}]
    assert await service.describe(first=1, third=3) == [1, "two", {"third": 3}]


async def test_nested_functions_constants_and_documentation_survive(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    full = await offer(provider, maths={"add": add, "pi": 3.14}, steps=[{"run": add}], version="1")
    service = await caller.get_service(full)
    assert await service.maths.add(1, 2) == 3
    assert await service["steps"][0]["run"](3, 4) == 7
    assert (service.maths.pi, service.version) == (3.14, "1")
    assert service.maths.add.__doc__ == "Add two numbers."
    assert service.maths.add.__name__ == "add"


async def test_an_exception_reaches_the_caller_with_its_type_and_message(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    def paint(colour: str) -> None:
        raise LookupError(f"no such colour: {colour}")

    service = await caller.get_service(await offer(provider, paint=paint))
    with pytest.raises(RemoteException, match="LookupError: no such colour: plaid"):
        await service.paint("plaid")
    with pytest.raises(RemoteException, match="TypeError"):
        await service.paint()


async def test_a_callback_passed_as_an_argument_is_called_back_before_the_result(
    connect: Connect,
) -> None:
    provider, caller = await connect(), await connect()
    seen: list[int] = []

    async def count_to(n: int, tell: Any) -> int:
        return sum([await tell(i) for i in range(n)])

    def tell(i: int) -> int:
        seen.append(i)
        return i * 10

    service = await caller.get_service(await offer(provider, count_to=count_to))
    assert await service.count_to(4, tell) == 60
    assert seen == [0, 1, 2, 3]


async def test_generators_deliver_every_item_in_order(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    def count(n: int) -> Iterator[int]:
        yield from range(n)

    async def words(*, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word

    service = await caller.get_service(await offer(provider, count=count, words=words))
    assert [i async for i in await service.count(5)] == [0, 1, 2, 3, 4]
    assert [w async for w in await service.words(text="to be made")] == ["to", "be", "made"]


async def test_leaving_a_generator_early_closes_it_at_the_provider(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    service = await caller.get_service(await offer(provider, endless=endless))
    items = await service.endless()
    assert await anext(items) == 1
    assert not closed.is_set()
    await items.aclose()
    await closed.wait()


async def test_an_error_in_a_generator_comes_after_the_items_before_it(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    def falter() -> Iterator[int]:
        yield 1
        raise ArithmeticError("out of numbers")

    service = await caller.get_service(await offer(provider, falter=falter))
    items = await service.falter()
    assert await anext(items) == 1
    with pytest.raises(RemoteException, match="ArithmeticError: out of numbers"):
        await anext(items)


async def test_numpy_arrays_keep_their_type_and_shape(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    service = await caller.get_service(await offer(provider, double=lambda array: array * 2))
    for dtype in ("uint8", "int64", "float32", "complex128"):
        array = np.arange(12).reshape(3, 4).astype(dtype)
        doubled = await service.double(array)
        assert (doubled.dtype, doubled.shape) == (array.dtype, (3, 4))
        np.testing.assert_array_equal(doubled, array * 2)


async def test_twenty_megabytes_go_there_and_back(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    sizes: list[int] = []

    def echo(data: bytes) -> bytes:
        sizes.append(len(data))
        return data

    service = await caller.get_service(await offer(provider, echo=echo))
    data = bytes(range(256)) * (20 * 4096)
    assert await service.echo(data) == data
    assert sizes == [20 * 1024 * 1024]


async def test_the_gateway_itself_takes_and_returns_long_messages(connect: Connect) -> None:
    client = await connect()
    array = np.random.default_rng(1).random((700, 600))
    np.testing.assert_array_equal(await client.echo(array), array)


async def test_a_function_that_asks_for_context_learns_who_calls(connect: Connect) -> None:
    provider, caller = await connect(), await connect()

    def who(context: dict[str, Any]) -> dict[str, Any]:
        return {key: context[key] for key in ("ws", "from", "to", "user")}

    config = {**PUBLIC, "require_context": True}
    service = await caller.get_service(await offer(provider, config=config, who=who))
    assert await service.who() == {
        "ws": caller.config.workspace,
        "from": f"{caller.config.workspace}/{caller.config.client_id}",
        "to": f"{provider.config.workspace}/{provider.config.client_id}",
        "user": caller.config.user,
    }


async def test_a_service_is_replaced_by_one_of_its_id_only_if_asked_to(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    full = await offer(provider, version=lambda: 1)
    with pytest.raises(Exception, match="already exists"):
        await offer(provider, version=lambda: 2)
    service = {"id": "offer", "config": PUBLIC, "version": lambda: 2}
    await provider.register_service(service, {"overwrite": True})

    assert len(await caller.list_services({"workspace": provider.config.workspace})) == 1
    assert await (await caller.get_service(full)).version() == 2


async def test_an_unregistered_service_is_gone(connect: Connect) -> None:
    provider, caller = await connect(), await connect()
    full = await offer(provider, answer=42)
    await provider.unregister_service("offer")
    with pytest.raises(RemoteException, match="Service not found"):
        await caller.get_service(full)
    assert await caller.list_services({"workspace": provider.config.workspace}) == []


async def test_an_interface_that_was_handed_over_works_until_its_owner_leaves(
    connect: Connect,
) -> None:
    provider, owner = await connect(), await connect()
    kept: list[Any] = []
    notes: asyncio.Queue[str] = asyncio.Queue()

    def keep(listener: Any) -> None:
        kept.append(listener)

    service = await owner.get_service(await offer(provider, keep=keep))
    await service.keep({"_rintf": True, "notify": notes.put_nowait})
    await kept[0].notify("long after the call")
    assert await notes.get() == "long after the call"
    await owner.disconnect()
    with pytest.raises(Exception, match=r"Peer|not connected|Client disconnected"):
        await kept[0].notify("too late")
