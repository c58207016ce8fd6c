"""Generators across the wire: a provider's read by the gateway, the gateway's by a client."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from gateway.rpc.steps import Steps
from gateway.wire.codec import Identity
from schema.errors import FunctionNotFound, GatewayError, InternalError
from schema.values import GENERATOR, RTYPE, STOP_ITERATION, rtype


class Calls(Protocol):
    """The part of the endpoint that reading needs."""

    async def call(self, identity: Identity, target: str, method: str) -> Any: ...

    def steps(
        self, identity: Identity, target: str, method: str, *, is_cancellable: bool
    ) -> Steps: ...


class RemoteStream:
    """Items of a provider's generator, fetched one by one as they are asked for."""

    def __init__(
        self, calls: Calls, identity: Identity, target: str, steps: Steps, close_method: str
    ) -> None:
        self._calls = calls
        self._identity = identity
        self._target = target
        self._steps = steps
        self._close = close_method
        self._open = True
        self.check: Callable[[], None] | None = None
        """Asked before an item is given out; raises if the reader may have no more."""

    @classmethod
    def of(
        cls,
        calls: Calls,
        identity: Identity,
        target: str,
        encoded: dict[str, Any],
        *,
        is_cancellable: bool,
    ) -> RemoteStream:
        """Read an encoded generator that ``target`` returned. It can only name its own methods:
        where it says they live is not looked at. ``is_cancellable`` as in ``Endpoint.call``."""
        next_method, close_method = encoded.get("_rmethod"), encoded.get("_rclose_method")
        if not isinstance(next_method, str):
            raise InternalError("The provider returned a generator without a method")
        steps = calls.steps(identity, target, next_method, is_cancellable=is_cancellable)
        return cls(
            calls, identity, target, steps, close_method if isinstance(close_method, str) else ""
        )

    def __aiter__(self) -> RemoteStream:
        return self

    async def __anext__(self) -> Any:
        if not self._open:
            raise StopAsyncIteration
        try:
            item = await self._steps.next()
        except GatewayError:
            self._open = False
            raise
        if rtype(item) == STOP_ITERATION:
            self._open = False
            raise StopAsyncIteration
        if self.check is not None:
            self.check()
        return item

    def ready(self) -> list[Any]:
        """See ``gateway.api.ValueStream``."""
        if not self._open:
            return []
        if self.check is not None:
            self.check()
        return self._steps.ready()

    async def aclose(self) -> None:
        """Close the provider's generator if it has not ended. Never raises for a provider that
        is gone or objects."""
        self._steps.close()
        if self._open and self._close:
            self._open = False
            try:
                await self._calls.call(self._identity, self._target, self._close)
            except GatewayError:
                return


class LocalStreams:
    """Generators of the gateway's own services, while clients read them."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[str, AsyncIterator[Any]]] = {}

    def encode(self, reader: str, address: str, items: AsyncIterator[Any]) -> dict[str, Any]:
        """Keep a generator for ``reader`` and describe it so that the client can step it."""
        key = secrets.token_urlsafe(16)
        self._streams[key] = (reader, items)
        return {
            RTYPE: GENERATOR,
            "_rtarget": address,
            "_rmethod": f"{key}.next",
            "_rclose_method": f"{key}.next:close",
            "_rpromise": "*",
            "_rdoc": "Remote generator",
        }

    async def step(self, reader: str, method: str) -> Any:
        """The next item, the end, or the closing of a generator. Raises FunctionNotFound."""
        key, _, action = method.partition(".")
        owner, items = self._streams.get(key, ("", None))
        if items is None or owner != reader:
            raise FunctionNotFound(f"Method expired or not found: {method}")
        if action == "next:close":
            del self._streams[key]
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
            return True
        try:
            return await items.__anext__()
        except StopAsyncIteration:
            self._streams.pop(key, None)
            return {RTYPE: STOP_ITERATION}
        except Exception:
            self._streams.pop(key, None)
            raise

    def drop_reader(self, reader: str) -> None:
        """Forget the generators of a client that has left."""
        for key in [k for k, (owner, _) in self._streams.items() if owner == reader]:
            del self._streams[key]
