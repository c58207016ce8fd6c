"""The gateway as one long-lived RPC peer: it serves its own services and calls providers.

There is one endpoint per process, reachable as ``*/<manager id>`` and, so that providers see the
workspace of whoever calls, as ``<workspace>/<manager id>``. A call is a record with an outcome for
every way it can end: reply, error, silence, or a provider that leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from gateway.auth.audit import AuditLog
from gateway.requests import UNKNOWN, current_address
from gateway.routing.router import METHOD, Router
from gateway.routing.session import ClientSession
from gateway.rpc.callbacks import Callbacks
from gateway.rpc.chunks import MAX_DIRECT_BYTES, ChunkStore, send_in_chunks
from gateway.rpc.local import LocalServices, Packed
from gateway.rpc.pending import SETTLING, Awaited, PendingCalls
from gateway.rpc.promises import (
    Reply,
    answered_promise,
    bare_promise,
    call_content,
    read_arguments,
)
from gateway.rpc.steps import Steps
from gateway.rpc.streams import LocalStreams, RemoteStream
from gateway.rpc.values import TARGET, encode_error, has_function
from gateway.wire.codec import RESERVED_KEYS, Identity, Splitter, join, pack, unpack_body
from gateway.wire.methods import SERVICES, called, service_method
from schema.errors import (
    GatewayError,
    InternalError,
    InvalidArguments,
    InvalidMessage,
    ProviderGone,
)
from schema.identity import ROOT_USER, Caller
from schema.services import BUILT_IN, MANAGER_SERVICE
from schema.values import GENERATOR, rtype

logger = logging.getLogger(__name__)

MAX_HEARTBEAT_SECONDS: Final = 5.0
"""Longest interval at which a provider is asked to show that it works on a call."""

UNLOGGED: Final = frozenset({BUILT_IN, MANAGER_SERVICE})
"""Own services whose calls are not in the audit log: the one is asked all the time, and of the
other each function says for itself whether it is."""

CANCEL_SECONDS: Final = 0.5
"""The same for a call that can be cancelled: what it takes at most to tell."""

_TARGET: Final = TARGET.encode()

_NOTHING: Final = pack({"args": [None]})
_ONE_ARGUMENT: Final = pack({"args": [None]})[:-1]


class Endpoint:
    """See the module. ``router`` carries its messages, ``services`` are what it serves."""

    def __init__(
        self,
        router: Router,
        services: LocalServices,
        *,
        silence_seconds: float,
        audit: AuditLog | None = None,
    ) -> None:
        self._audit = audit if audit is not None and audit.with_calls else None
        self._router = router
        self._services = services
        self._silence_seconds = silence_seconds
        self._pending = PendingCalls()
        self._session_ids = _session_ids()
        self.chunks = ChunkStore()
        self._streams = LocalStreams()
        self._splitter = Splitter()
        self._identities: WeakKeyDictionary[Caller, Identity] = WeakKeyDictionary()
        self._reply_identities: WeakKeyDictionary[Caller, Identity] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self.served = 0
        """Calls of clients to the gateway itself so far."""
        self._root = ROOT_USER.to_wire()
        router.endpoint = self

    @property
    def calls_in_flight(self) -> int:
        """Calls to providers that have not ended, and calls of clients being served."""
        return len(self._pending) + len(self._tasks)

    # Calling providers

    def identity_of(self, caller: Caller) -> Identity:
        """How a provider sees calls that the gateway makes for a caller without a connection."""
        identity = self._identities.get(caller)
        if identity is None:
            address = f"{caller.workspace}/{self._router.manager_id}"
            identity = Identity(address, caller.workspace, caller.user_on_wire())
            self._identities[caller] = identity
        return identity

    def manager_identity(self, workspace: str) -> Identity:
        """How a provider sees calls of the manager itself: as coming from its own workspace,
        because the manager has already decided who may ask."""
        return Identity(self._router.manager_address, workspace, self._root)

    async def call(  # noqa: PLR0913 - what to call, and three conditions that most calls leave out
        self,
        identity: Identity,
        target: str,
        method: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        silence_seconds: float | None = None,
        heartbeats: bool = True,
        context: Mapping[str, Any] | None = None,
        is_cancellable: bool = False,
        check: Callable[[], None] | None = None,
    ) -> Any:
        """Call ``method`` of the client at ``target`` and return its value or a RemoteStream.

        Raises ServiceError (it raised), ProviderGone, CallTimeout (neither reply nor heartbeat for
        ``silence_seconds``), InvalidMessage (arguments that cannot be sent). Without
        ``heartbeats`` the provider sends none: one message less, for what is answered at once.
        InvalidArguments: somebody's function in its encoded form. The provider would call it with
        its own rights, which who made it up need not have.

        Async functions among the arguments are lent to the provider until the call ends; ``check``
        is asked before and after each call of one, and what it raises is told to the provider.

        ``context`` is added to what a function with ``require_context`` is told of its caller; the
        keys that say who that is, and those of the protocol, cannot be given so.

        ``is_cancellable``: a Python client ends the function within a second after nobody waits
        for it any more, or when its connection breaks.
        """
        limit = silence_seconds or self._silence_seconds
        session = next(self._session_ids)
        interval = min(limit / 2, MAX_HEARTBEAT_SECONDS)
        promise: dict[str, Any] = {"promise": "*", "t": interval}
        if is_cancellable:
            promise = answered_promise(identity, session, min(interval, CANCEL_SECONDS))
        elif not heartbeats:
            promise = bare_promise(identity, session)
        content = call_content(args, kwargs, promise)
        callbacks: Callbacks | None = None
        try:
            body = pack(content)
        except InvalidMessage:
            callbacks = Callbacks(identity.address, session, check)
            body = callbacks.pack(content)
        if _TARGET in body and has_function([args, kwargs]):
            raise InvalidArguments("Functions of clients cannot be arguments here, only data")
        call = self._pending.open(session, target, method, limit)
        call.callbacks = callbacks
        try:
            header: dict[str, Any] = {"type": METHOD, "method": method, "session": session}
            if context:
                # Clients make the context of a call out of all keys of its header.
                header |= {k: v for k, v in context.items() if k not in RESERVED_KEYS}
            if len(body) > MAX_DIRECT_BYTES:
                header["to"] = target
                await send_in_chunks(self, identity, target, join(header, identity, body), None)
            elif not self._router.send(target, header, identity, body):
                raise ProviderGone(f"The provider {target} is not connected", delivered=False)
            value = await call.future
        finally:
            self._pending.close(session, call)
        if rtype(value) == GENERATOR:
            return RemoteStream.of(self, identity, target, value, is_cancellable=is_cancellable)
        return value

    def steps(
        self, identity: Identity, target: str, method: str, *, is_cancellable: bool = False
    ) -> Steps:
        """Have the client at ``target`` make the items of a generator.

        Each is a call with one message less: a provider sends the first heartbeat at once, before
        an item that is ready. Instead one that is silent is asked whether it is there. Only where a
        generator is to be cancelled while it makes an item, heartbeats are needed.
        """

        def message(session: str) -> bytes:
            promise = bare_promise(identity, session)
            if is_cancellable:
                promise = answered_promise(identity, session, CANCEL_SECONDS)
            header = {"type": METHOD, "method": method, "session": session, "to": target}
            return join(header, identity, pack(promise))

        return Steps(
            self._router,
            self._pending,
            target,
            method,
            message,
            silence_seconds=self._silence_seconds,
            probe=self._probe,
        )

    def _probe(self, call: Awaited) -> None:
        self._spawn(self._ask_whether_there(call))

    async def _ask_whether_there(self, call: Awaited) -> None:
        with contextlib.suppress(GatewayError):
            await self.ping(call.target, call.silence_seconds)
            call.hear()

    async def ping(self, address: str, seconds: float) -> None:
        """Return when a client has answered. Raises ProviderGone, CallTimeout, ServiceError."""
        await self.call(
            self.manager_identity(address.partition("/")[0]),
            address,
            service_method(BUILT_IN, "ping"),
            ("ping",),
            silence_seconds=seconds,
            heartbeats=False,
        )

    def peer_gone(self, address: str, *, calls_before: float | None = None) -> None:
        """Fail what waits for a client: all of it, or the calls made before a monotonic time (the
        later ones are kept for its return)."""
        self._pending.peer_gone(address, calls_before=calls_before)
        self.chunks.drop_sender(address)
        self._streams.drop_reader(address)

    def peer_resumed(self, address: str, away_since: float) -> None:
        """A client is back after a break that began at a monotonic time."""
        self._pending.peer_resumed(address, away_since)

    # Serving clients

    def receive(
        self,
        sender: ClientSession,
        header: dict[str, Any],
        body: bytes,
        addressed_as: str,
        frame: bytes = b"",
    ) -> None:
        """Take a message for the gateway itself: a reply, or a call of one of its services.
        ``frame`` is the message as it came, if it came whole."""
        if header["type"] != METHOD:
            return
        method: str = header["method"]
        if method.startswith(SERVICES):
            self.served += 1
            self._spawn(self._serve(sender, header, body, addressed_as))
            return
        session, _, action = method.rpartition(".")
        call = self._pending.get(session)
        if call is not None and action in SETTLING:
            # Only the client that was called may settle the call.
            if call.target == sender.address:
                call.settle(action, body, frame)
                if action == "heartbeat" and isinstance(header.get("session"), str):
                    # One that nobody waits for is refused below, like any unknown method.
                    answer = f"{header['session']}.resolve"
                    self._send(sender, addressed_as, answer, _NOTHING, parent=header["session"])
        elif "session" in header or (call is not None and call.callbacks is not None):
            self._spawn(self._serve(sender, header, body, addressed_as))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, sender: ClientSession, header: dict[str, Any], body: bytes, addressed_as: str
    ) -> None:
        """Run one call of a client and send what came of it."""
        current_address.set(sender.remote or UNKNOWN)
        reply = Reply.of(header, None)
        try:
            content = unpack_body(body)
            reply = Reply.of(header, content)
            value = await self._with_heartbeats(
                sender, addressed_as, reply, self._run(sender, header, content, addressed_as)
            )
        except asyncio.CancelledError:
            raise
        except GatewayError as error:
            await self._answer(sender, addressed_as, reply.reject, encode_error(error), reply)
        except Exception:
            logger.exception("service_failed method=%s", header["method"])
            failure = encode_error(InternalError("Internal error"))
            await self._answer(sender, addressed_as, reply.reject, failure, reply)
        else:
            await self._answer(sender, addressed_as, reply.resolve, value, reply)

    async def _run(
        self, sender: ClientSession, header: dict[str, Any], content: dict[str, Any], to: str
    ) -> Any:
        args, kwargs = read_arguments(content)
        method: str = header["method"]
        if not method.startswith(SERVICES):
            session, _, name = method.rpartition(".")
            call = self._pending.get(session)
            if call is not None and call.callbacks is not None and call.target == sender.address:
                call.hear()
                return await call.callbacks.run(name, args, kwargs)
            return await self._streams.step(sender.address, method)
        value = await self._run_service(sender, to, method, args, kwargs)
        if hasattr(value, "__anext__"):
            return self._streams.encode(sender.address, to, value)
        return value

    async def _run_service(
        self,
        sender: ClientSession,
        to: str,
        method: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        service, path = called(method)
        workspace = to.partition("/")[0]
        work = self._services.call(sender.caller, workspace, service, path, args, kwargs)
        if self._audit is None or service in UNLOGGED:
            return await work
        call = (workspace, "websocket", f"{to}:{service}", path)
        # What the gateway's own functions are given may be passwords.
        is_own = self._services.is_own(service)
        return await self._audit.noted(sender.caller, call, [args, kwargs], work, is_secret=is_own)

    def heard(self, session: str, address: str) -> bool:
        """The client at ``address`` is sending a long reply to a call: it is not silent. False if
        nobody waits for that."""
        call = self._pending.get(session)
        if call is None or call.target != address:
            return False
        call.hear()
        return True

    def receive_long(self, sender: ClientSession, frame: bytes) -> None:
        """Take a message that came in chunks, under the same rules as one that came whole.

        Raises InvalidMessage.
        """
        header, body = self._splitter.split(frame)
        to = header.get("to")
        if header.get("type") != METHOD or not isinstance(header.get("method"), str):
            raise InvalidMessage("A reassembled message must be a call or a reply")
        if not isinstance(to, str) or to.partition("/")[2] != self._router.manager_id:
            raise InvalidMessage("A reassembled message must be addressed to whom it was sent")
        self.receive(sender, header, body, to)

    async def _with_heartbeats(
        self,
        sender: ClientSession,
        addressed_as: str,
        reply: Reply,
        work: Coroutine[Any, Any, Any],
    ) -> Any:
        """Run ``work``; while it lasts longer than the caller's interval, tell that it lives."""
        if reply.heartbeat is None or reply.interval is None:
            return await work
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        method, interval = reply.heartbeat, reply.interval

        def beat() -> None:
            nonlocal timer
            self._send(sender, addressed_as, method, b"")
            timer = loop.call_later(interval, beat)

        timer = loop.call_later(interval, beat)
        try:
            return await work
        finally:
            timer.cancel()

    async def _answer(
        self,
        sender: ClientSession,
        addressed_as: str,
        method: str | None,
        value: Any,
        reply: Reply,
    ) -> None:
        if method is None:
            return
        try:
            body = _ONE_ARGUMENT + value if type(value) is Packed else pack({"args": [value]})
        except InvalidMessage as error:
            if reply.reject is None:
                return
            method, body = reply.reject, pack({"args": [encode_error(error)]})
        if len(body) <= MAX_DIRECT_BYTES:
            self._send(sender, addressed_as, method, body, parent=reply.session)
            return
        identity = self._reply_identity(sender, addressed_as)
        header = {"type": METHOD, "to": sender.address, "method": method}
        if reply.session is not None:
            header["parent"] = reply.session
        frame = join(header, identity, body)
        try:
            await send_in_chunks(self, identity, sender.address, frame, reply.session)
        except GatewayError as error:
            logger.info("reply_not_delivered reason=%s", error.code)

    def _send(
        self,
        sender: ClientSession,
        addressed_as: str,
        method: str,
        body: bytes,
        parent: str | None = None,
    ) -> None:
        header = {"type": METHOD, "method": method}
        if parent is not None:
            header["parent"] = parent
        # A reply comes from the address that was called; clients drop it otherwise.
        identity = self._reply_identity(sender, addressed_as)
        header["to"] = sender.address
        sender.outbox.put(join(header, identity, body))

    def _reply_identity(self, sender: ClientSession, addressed_as: str) -> Identity:
        identity = self._reply_identities.get(sender.caller)
        if identity is None or identity.address != addressed_as:
            identity = Identity(addressed_as, sender.workspace, self._root)
            self._reply_identities[sender.caller] = identity
        return identity


def _session_ids() -> Iterator[str]:
    """Names of calls, which nobody can guess. Random bytes for many are fetched at once: asking the
    system for each would be a twentieth of a call."""
    size = 24
    while True:
        digits = secrets.token_hex(128 * size)
        yield from (digits[start : start + size] for start in range(0, len(digits), size))
