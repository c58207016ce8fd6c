"""A client without a socket: it joins through the hub and speaks the wire format itself."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Callable
from typing import Any

import msgpack

from gateway.admission import Hello
from gateway.app import Parts
from gateway.routing.session import ClientSession
from tests.patience import PATIENCE_SECONDS

Message = dict[str, Any]


class RemoteFailure(Exception):
    """A call was rejected; the text is what a client library would raise."""


class Peer:
    """One connected client. ``inbox`` holds what is neither a reply nor a call it serves."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.session: ClientSession = None  # type: ignore[assignment]
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.frames: list[bytes] = []
        self.closed_with: asyncio.Future[tuple[int, str]] = (
            asyncio.get_running_loop().create_future()
        )
        self.functions: dict[str, Callable[..., Any]] = {}
        self.contexts: list[Message] = []
        self._pending: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.mute = False

    @classmethod
    async def join(cls, parts: Parts, client_id: str | None = None, **hello: Any) -> Peer:
        peer = cls(parts)
        peer.session = await parts.hub.open(
            Hello(client_id or secrets.token_hex(6), **hello), close=peer._closed
        )
        parts.hub.ready(peer.session, peer._receive)
        peer.functions["services.built-in.ping"] = lambda msg: "pong"
        return peer

    @property
    def address(self) -> str:
        return self.session.address

    @property
    def workspace(self) -> str:
        return self.session.workspace

    def leave(self) -> None:
        """Say goodbye."""
        self.parts.hub.closed(self.session)

    def break_off(self) -> None:
        """Lose the connection."""
        self.parts.hub.closed(self.session, may_return=True)

    def send(self, header: Message, body: Message | None = None) -> None:
        packed = msgpack.packb(body) if body is not None else b""
        self.parts.router.route(self.session, msgpack.packb(header) + packed)

    async def call(self, to: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call with the short promise form, as clients call what they got from get_service."""
        session = secrets.token_hex(6)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[session] = future
        body: Message = {"args": [*args], "promise": "*", "t": 15.0}
        if kwargs:
            body["args"].append(kwargs)
            body["with_kwargs"] = True
        self.send({"type": "method", "to": to, "method": method, "session": session}, body)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await future

    async def manager(self, function: str, *args: Any, **kwargs: Any) -> Any:
        address = self.parts.router.manager_address
        return await self.call(address, f"services.default.{function}", *args, **kwargs)

    async def register(
        self, service_id: str, functions: dict[str, Callable[..., Any]], **info: Any
    ) -> str:
        """Register a service and serve its functions; returns the absolute id."""
        full_id = f"{self.address}:{service_id}"
        schema = {
            name: {"type": "function", "function": getattr(f, "__schema__", {"name": name})}
            for name, f in functions.items()
        }
        for name, function in functions.items():
            self.functions[f"services.{service_id}.{name}"] = function
        shown = {name: _encoded(self, service_id, name) for name in functions}
        previous = self.functions.get("services.built-in.get_service")
        config = info.pop("config", {"visibility": "public"})

        def get_service(wanted: str) -> Any:
            if wanted == service_id:
                return {"id": service_id, "config": dict(config), **shown}
            if previous is None:
                raise KeyError(f"Service not found: {wanted}")
            return previous(wanted)

        self.functions["services.built-in.get_service"] = get_service
        await self.manager(
            "register_service",
            {"id": full_id, "config": config, "service_schema": schema, **info},
        )
        return full_id

    async def event(self, kind: str) -> Message:
        """The next message of a type, however many others come before it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.inbox.get()
                if message["type"] == kind:
                    return message

    async def _receive(self, frame: bytes) -> None:
        self.frames.append(frame)
        parts = list(_split(frame))
        header, body = parts[0], parts[1] if len(parts) > 1 else {}
        if header["type"] == "method":
            self._on_method(header, body)
        elif header["type"] == "peer_not_found":
            self._settle(header["session"], RemoteFailure(header["error"]))
        else:
            self.inbox.put_nowait(header)

    def _on_method(self, header: Message, body: Message) -> None:
        session, _, action = header["method"].rpartition(".")
        args = body.get("args")
        value = args[0] if isinstance(args, list) and args else None
        if action == "resolve":
            self._settle(session, value)
        elif action == "reject":
            text = value.get("_rvalue") if isinstance(value, dict) else value
            self._settle(session, RemoteFailure(text))
        elif action != "heartbeat" and not self.mute:
            task = asyncio.get_running_loop().create_task(self._serve(header, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _settle(self, session: str, outcome: Any) -> None:
        future = self._pending.pop(session, None)
        if future is None or future.done():
            return
        if isinstance(outcome, RemoteFailure):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    async def _serve(self, header: Message, body: Message) -> None:
        self.contexts.append(header)
        session = header.get("session")
        try:
            args = [self._decoded(argument) for argument in body.get("args") or []]
            kwargs = args.pop() if body.get("with_kwargs") else {}
            value = self.functions[header["method"]](*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            reply = ("resolve", value)
        except Exception as error:  # noqa: BLE001 - a provider turns whatever happens into a reply
            text = f"Traceback (most recent call last):\n{type(error).__name__}: {error}\n"
            reply = ("reject", {"_rtype": "error", "_rvalue": str(error), "_rtrace": text})
        if session is not None:
            answer = {"type": "method", "to": header["from"], "method": f"{session}.{reply[0]}"}
            self.send(answer, {"args": [reply[1]]})

    def _decoded(self, value: Any) -> Any:
        """An argument, with a callable for every function that the caller has lent."""
        if isinstance(value, dict):
            if value.get("_rtype") == "method":
                return lambda *args: self.call(value["_rtarget"], value["_rmethod"], *args)
            return {key: self._decoded(child) for key, child in value.items()}
        return [self._decoded(child) for child in value] if isinstance(value, list) else value

    def _closed(self, code: int, reason: str) -> None:
        if not self.closed_with.done():
            self.closed_with.set_result((code, reason))


def _encoded(peer: Peer, service_id: str, name: str) -> Message:
    return {
        "_rtype": "method",
        "_rtarget": peer.session.client_id,
        "_rmethod": f"services.{service_id}.{name}",
        "_rpromise": "*",
    }


def _split(frame: bytes) -> Any:
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 26)
    unpacker.feed(frame)
    return unpacker
