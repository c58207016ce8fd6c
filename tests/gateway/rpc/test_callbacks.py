"""Functions lent to a provider: who may call them, and what becomes of them when the call ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.app import Parts
from gateway.core import GatewayCore
from gateway.rpc.callbacks import MAX_RUNNING
from gateway.rpc.endpoint import Endpoint
from schema.errors import InvalidMessage, InvalidRequest, ProviderGone
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


def endpoint_of(parts: Parts) -> Endpoint:
    assert isinstance(parts.gateway, GatewayCore)
    return parts.gateway._endpoint


async def call(parts: Parts, peer: Peer, method: str, *args: Any) -> Any:
    endpoint = endpoint_of(parts)
    identity = endpoint.manager_identity(peer.workspace)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await endpoint.call(identity, peer.address, method, args)


class Lent:
    """A function that waits until it is let go; it tells when it has begun and how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self, value: Any = None) -> Any:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return value


async def test_only_the_called_client_can_call_back(parts: Parts) -> None:
    peer, stranger = await Peer.join(parts), await Peer.join(parts)
    methods: list[Any] = []
    done = asyncio.Event()

    peer._decoded = lambda value: value  # type: ignore[method-assign]

    async def keep(encoded: dict[str, Any]) -> Any:
        methods.append(encoded)
        await done.wait()
        return await peer.call(encoded["_rtarget"], encoded["_rmethod"], "mine")

    peer.functions["services.s.use"] = keep
    lent = Lent()
    lent.let_go.set()
    calling = asyncio.create_task(call(parts, peer, "services.s.use", lent))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not methods:
            await asyncio.sleep(0)
    encoded = methods[0]
    with pytest.raises(RemoteFailure, match="Method expired or not found"):
        await stranger.call(encoded["_rtarget"], encoded["_rmethod"], "forged")
    assert not lent.begun.is_set()
    with pytest.raises(RemoteFailure, match="Method expired or not found"):
        await peer.call(encoded["_rtarget"], encoded["_rmethod"] + "0")
    done.set()
    assert await calling == "mine"


async def test_what_still_runs_at_the_end_of_the_call_is_cancelled_and_told(parts: Parts) -> None:
    peer = await Peer.join(parts)
    lent = Lent()
    waiting: list[asyncio.Future[Any]] = []

    async def use(function: Any) -> str:
        waiting.append(asyncio.ensure_future(function()))
        await lent.begun.wait()
        return "done"

    peer.functions["services.s.use"] = use
    assert await call(parts, peer, "services.s.use", lent) == "done"
    with pytest.raises(RemoteFailure, match="Method expired or not found"):
        await waiting[0]
    assert lent.was_cancelled
    assert endpoint_of(parts).calls_in_flight == 0


async def test_callbacks_end_with_a_provider_that_leaves(parts: Parts) -> None:
    peer = await Peer.join(parts)
    lent = Lent()

    async def use(function: Any) -> Any:
        return await function()

    peer.functions["services.s.use"] = use
    calling = asyncio.create_task(call(parts, peer, "services.s.use", lent))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await lent.begun.wait()
    peer.leave()
    with pytest.raises(ProviderGone):
        await calling
    async with asyncio.timeout(PATIENCE_SECONDS):
        while endpoint_of(parts).calls_in_flight:
            await asyncio.sleep(0)
    assert lent.was_cancelled


async def test_wrong_arguments_of_a_callback_are_the_providers_error(parts: Parts) -> None:
    peer = await Peer.join(parts)

    async def no_arguments() -> None: ...

    async def fail() -> None:
        raise InvalidRequest("not now")

    async def use(function: Any, failing: Any) -> list[str]:
        texts = []
        for calling in (function(1), failing()):
            try:
                await calling
            except RemoteFailure as error:
                texts.append(str(error))
        return texts

    peer.functions["services.s.use"] = use
    assert await call(parts, peer, "services.s.use", no_arguments, fail) == [
        "TypeError: too many positional arguments",
        "ValueError: not now",
    ]


async def test_a_provider_cannot_have_any_number_of_callbacks_running(parts: Parts) -> None:
    peer = await Peer.join(parts)
    lent = Lent()

    async def use(function: Any) -> int:
        calls = [asyncio.ensure_future(function()) for _ in range(MAX_RUNNING + 5)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        lent.let_go.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return sum(isinstance(outcome, RemoteFailure) for outcome in outcomes)

    peer.functions["services.s.use"] = use
    assert await call(parts, peer, "services.s.use", lent) == 5


async def test_what_is_no_function_and_cannot_be_sent_is_refused(parts: Parts) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(InvalidMessage, match="object"):
        await call(parts, peer, "services.s.use", object())
    assert endpoint_of(parts).calls_in_flight == 0
