"""Waist 2: every message between peers passes ``Router.route``.

It stamps the sender's identity, makes addresses absolute, keeps workspaces apart and hands the
message to one client, to the subscribers of a workspace, or to the gateway's own endpoint. All of
it is synchronous, so messages from one sender to one receiver stay in order. It does not decode
bodies, does not know services, and never waits for anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

from gateway.requests import trace_context
from gateway.routing.long_messages import PREFIX as LONG_MESSAGE_PREFIX
from gateway.routing.long_messages import LongMessages, Whole
from gateway.routing.session import ClientSession
from gateway.wire.codec import IDENTITY_KEYS, Identity, InvalidBody, Splitter, join, pack
from gateway.wire.methods import SERVICES
from schema.errors import (
    GatewayError,
    InvalidMessage,
    PayloadTooLarge,
    PermissionDenied,
    ProviderGone,
)

METHOD: Final = "method"
BROADCAST: Final = "*"

SERVER_TYPES: Final = frozenset(
    {
        "client_connected",
        "client_disconnected",
        "client_updated",
        "connected",
        "connection_info",
        "disconnected",
        "error",
        "force-exit",
        "manager_refreshed",
        "peer_not_found",
        "reconnection_token",
        "service_added",
        "service_removed",
        "service_updated",
        "services_registered",
        "services_registration_failed",
    }
)
"""Types that client libraries take as the server's word; no client may send them. On a stream of
the HTTP transport control messages are binary, too: a relayed one would give its receiver another
manager, or a token to come back with that is none."""

MAX_OPEN_CALLS: Final = 10_000
_SETTLED: Final = (".resolve", ".reject")


class LocalEndpoint(Protocol):
    """The gateway's own peer."""

    def receive(
        self,
        sender: ClientSession,
        header: dict[str, Any],
        body: bytes,
        addressed_as: str,
        frame: bytes,
    ) -> None:
        """Take a message that a client sent to ``addressed_as``, as it came in ``frame``. Must not
        block or raise."""
        ...

    def peer_gone(self, address: str, *, calls_before: float | None = None) -> None:
        """A client has left: calls to it (made before a monotonic time) will not be answered."""
        ...


class Guard(Protocol):
    """Who may call which service of a client directly."""

    def check(
        self, sender: ClientSession, target: ClientSession, method: str, body: bytes | memoryview
    ) -> None:
        """Raises a GatewayError for a call that is not to be relayed."""
        ...


class CallLog(Protocol):
    """Told of calls of one client to another; ``to`` is the address that is called."""

    def passed(self, sender: ClientSession, to: str, method: str, session: str | None) -> None:
        """A call is passed on; without a ``session`` nobody waits for its answer."""
        ...

    def refused(self, sender: ClientSession, to: str, method: str, error: GatewayError) -> None:
        """A call is not passed on."""
        ...

    def settled(self, caller: str, session: str, outcome: str) -> None:
        """The answer to a call of the client at ``caller`` is passed on: ``ok`` or the code of an
        error."""
        ...


class Router:
    """The table of connected clients, and the way of a message through it."""

    def __init__(self, manager_id: str, *, max_relay_bytes: int) -> None:
        self.manager_id = manager_id
        self.manager_address = f"*/{manager_id}"
        self.endpoint: LocalEndpoint | None = None
        self.calls = 0
        """Calls of one client to another that were passed on so far."""
        self.call_log: CallLog | None = None
        self.guard: Guard | None = None
        self.guarded: set[str] = set()
        """Addresses of clients whose functions are not all for everybody in their workspace."""
        self._max_relay_bytes = max_relay_bytes
        self._sessions: dict[str, ClientSession] = {}
        self._workspaces: dict[str, dict[str, ClientSession]] = {}
        self._split = Splitter().split
        self._long_messages = LongMessages()

    # The table

    def get(self, address: str) -> ClientSession | None:
        return self._sessions.get(address)

    def sessions(self) -> list[ClientSession]:
        """All connected clients."""
        return [s for s in self._sessions.values() if s.away_since is None]

    def sessions_in(self, workspace: str) -> list[ClientSession]:
        """The connected clients of a workspace."""
        members = self._workspaces.get(workspace, {})
        return [s for s in members.values() if s.away_since is None]

    def count_in(self, workspace: str) -> int:
        """How many clients a workspace has, with those that may come back."""
        return len(self._workspaces.get(workspace, ()))

    def is_deserted(self, workspace: str) -> bool:
        """No client is connected to the workspace or may come back to it."""
        return workspace not in self._workspaces

    def load_of(self, address: str) -> float:
        """How busy a client is: a number to compare, 0 for one that has not been called."""
        session = self._sessions.get(address)
        return session.load_at(time.monotonic()) if session is not None else 0.0

    def attach(self, session: ClientSession) -> ClientSession | None:
        """Make a client reachable; returns the session it replaces, which is no longer routed."""
        replaced = self._sessions.get(session.address)
        self._sessions[session.address] = session
        self._workspaces.setdefault(session.workspace, {})[session.client_id] = session
        return replaced

    def detach(self, session: ClientSession) -> bool:
        """Forget a client. False (and nothing happens) if another session has taken its place."""
        if self._sessions.get(session.address) is not session:
            return False
        del self._sessions[session.address]
        self._long_messages.forget(session.address)
        for address in session.foreign_peers or ():
            peer = self._sessions.get(address)
            if peer is not None and peer.foreign_callers is not None:
                peer.foreign_callers.discard(session.address)
        members = self._workspaces[session.workspace]
        del members[session.client_id]
        if not members:
            del self._workspaces[session.workspace]
        return True

    def announce_departure(
        self, session: ClientSession, *, but_not: frozenset[str] = frozenset()
    ) -> None:
        """Tell those who may wait for a client that it has gone; they fail their calls at once.

        ``but_not`` are addresses whose calls are kept for the client's return.
        """
        data = {"id": session.client_id, "workspace": session.workspace}
        frame = pack({"type": "client_disconnected", "to": BROADCAST, "data": data})
        for member in list(self._workspaces.get(session.workspace, {}).values()):
            if member.address in but_not:
                continue
            member.forget_calls_to(session.address)
            if "client_disconnected" in member.subscriptions:
                member.outbox.put(frame)
        for address in (session.foreign_callers or set()) - but_not:
            caller = self._sessions.get(address)
            if caller is not None:
                caller.forget_calls_to(session.address)
                caller.outbox.put(frame)

    def reject_held_calls(self, session: ClientSession) -> None:
        """Answer the calls that were kept for a client which has not come back."""
        held, session.held_calls = session.held_calls, []
        for address, call in held:
            caller = self._sessions.get(address)
            if caller is not None:
                self._peer_not_found(caller, call, session.address)

    # Messages

    def route(self, sender: ClientSession, frame: bytes) -> None:
        """Take one binary frame from a client to where it goes.

        Raises InvalidMessage, PayloadTooLarge and PermissionDenied; if the message belongs to a
        call, that call has then already been rejected to the sender.
        """
        if sender.expected is not None and sender.expected.take(frame):
            return
        try:
            header, body = self._split(frame)
        except InvalidBody as error:
            to = error.header.get("to")
            if type(to) is str:
                self.reject(sender, error.header, self._absolute(sender, to), error)
            raise
        message_type, to = header.get("type"), header.get("to")
        if type(message_type) is not str or type(to) is not str:
            raise InvalidMessage("A message needs the text keys 'type' and 'to'")
        try:
            self._route_checked(sender, message_type, to, header, frame, body)
        except GatewayError as error:
            self.reject(sender, header, self._absolute(sender, to), error)
            raise

    def _route_checked(
        self,
        sender: ClientSession,
        message_type: str,
        to: str,
        header: dict[str, Any],
        frame: bytes,
        body: bytes,
    ) -> None:
        workspace, slash, client = to.partition("/")
        if not slash:
            workspace, client = sender.workspace, to
            to = f"{workspace}/{to}"
        outgoing = _outgoing(message_type, header, to)
        if client == self.manager_id:
            if self.endpoint is not None:
                self.endpoint.receive(sender, outgoing, body, to, frame)
        elif client == BROADCAST:
            self._broadcast(sender, workspace, message_type, outgoing, body)
        else:
            self._to_client(sender, to, outgoing, body)

    def _to_client(
        self, sender: ClientSession, to: str, outgoing: dict[str, Any], body: bytes
    ) -> None:
        method: str = outgoing["method"] if outgoing["type"] == METHOD else ""
        target = self._sessions.get(to)
        session: str | None = outgoing.get("session")
        whole: Whole | None = None
        if method.startswith(SERVICES):
            if method.startswith(LONG_MESSAGE_PREFIX):
                body, whole = self._long_messages.pass_on(sender.address, to, method, body)
            refusal = self._refusal(sender, target, (method, body), whole)
            if self.call_log is not None:
                self._log_call(sender, to, whole or Whole(method, body, session), refusal, target)
            if refusal is not None:
                self.reject(sender, outgoing, to, refusal)
                return
        if target is None:
            if session is not None:  # an answer to a reply would start a storm of errors
                self._peer_not_found(sender, session, to)
            return
        if session is not None:
            self._note_call(sender, target, session)
        elif method.endswith(_SETTLED):
            self._settle(target, method)
        if whole is not None and whole.method.endswith(_SETTLED):
            self._settle(target, whole.method)
        self._relay(target, outgoing, sender.identity, body)

    def _refusal(
        self,
        sender: ClientSession,
        target: ClientSession | None,
        call: tuple[str, bytes],
        whole: Whole | None,
    ) -> GatewayError | None:
        """Why a call is not for its sender to make; ``whole`` is the long one that it completes."""
        if target is None or self.guard is None:
            return None
        if (
            sender.workspace == target.workspace
            and not sender.is_limited
            and target.address not in self.guarded
        ):
            return None
        try:
            self.guard.check(sender, target, *call)
            if whole is not None and whole.method.startswith(SERVICES):
                self.guard.check(sender, target, whole.method, whole.body)
        except GatewayError as error:
            return error
        return None

    def _log_call(
        self,
        sender: ClientSession,
        to: str,
        call: Whole,
        refusal: GatewayError | None,
        target: ClientSession | None,
    ) -> None:
        if self.call_log is None:
            return
        if refusal is None and target is None:
            refusal = ProviderGone(f"Peer {to} is not connected", delivered=False)
        if refusal is None:
            self.call_log.passed(sender, to, call.method, call.session)
        else:
            self.call_log.refused(sender, to, call.method, refusal)

    def _settle(self, caller: ClientSession, method: str) -> None:
        """An answer is on its way to ``caller``."""
        session, _, action = method.rpartition(".")
        caller.open_calls.pop(session, None)
        if self.call_log is not None:
            outcome = "ok" if action == "resolve" else "service_error"
            self.call_log.settled(caller.address, session, outcome)

    def _note_call(self, sender: ClientSession, target: ClientSession, session: str) -> None:
        target.count_call()
        self.calls += 1
        if len(sender.open_calls) > MAX_OPEN_CALLS:
            sender.open_calls.clear()  # never answered; only the wait at shutdown looks at them
        sender.open_calls[session] = target.address
        if target.workspace != sender.workspace:
            _note_foreigners(sender, target)
        if target.away_since is not None:
            target.held_calls.append((sender.address, session))

    @property
    def has_open_calls(self) -> bool:
        """Whether a connected client waits for the answer of another that is connected too."""
        connected = self.sessions()
        addresses = {session.address for session in connected}
        return any(not addresses.isdisjoint(s.open_calls.values()) for s in connected)

    def _relay(
        self, target: ClientSession, outgoing: dict[str, Any], identity: Identity, body: bytes
    ) -> None:
        frame = join(outgoing, identity, body)
        if len(frame) > self._max_relay_bytes:
            raise PayloadTooLarge(
                f"A message of {len(frame)} bytes is over the limit of {self._max_relay_bytes}; "
                "send it in chunks through message_cache"
            )
        target.outbox.put(frame)

    def _broadcast(
        self,
        sender: ClientSession,
        workspace: str,
        message_type: str,
        outgoing: dict[str, Any],
        body: bytes,
    ) -> None:
        if workspace != sender.workspace:
            raise PermissionDenied("Permission denied: a broadcast stays in its own workspace")
        if not sender.may_broadcast:
            raise PermissionDenied(
                f"Permission denied: read-only client {sender.address} cannot broadcast messages"
            )
        frame = join(outgoing, sender.identity, body)
        if len(frame) > self._max_relay_bytes:
            raise PayloadTooLarge(f"A broadcast of {len(frame)} bytes is over the limit")
        self._deliver_event(workspace, message_type, frame)

    # What the server itself sends

    def send(self, address: str, header: dict[str, Any], identity: Identity, body: bytes) -> bool:
        """Send a message of the gateway's own endpoint. False if the client is not connected."""
        target = self._sessions.get(address)
        if target is None:
            return False
        header["to"] = address
        target.count_call()
        target.outbox.put(join(header, identity, body))
        return True

    def publish(self, workspace: str, event: str, data: Any) -> None:
        """Send an event to the clients of a workspace that subscribed to it."""
        members = self._workspaces.get(workspace)
        if members and any(event in m.subscriptions for m in members.values()):
            frame = pack({"type": event, "to": BROADCAST, "data": data})
            self._deliver_event(workspace, event, frame)

    def reject(
        self, sender: ClientSession, header: dict[str, Any], from_: str, error: GatewayError
    ) -> None:
        """Answer a call on behalf of ``from_``, the address it was sent to."""
        session = header.get("session")
        if type(session) is not str:
            return  # not a call: answering a reply with an error would start a storm of errors
        failure = {"_rtype": "error", "_rvalue": error.wire_text(), "_rtrace": ""}
        answer = {
            "type": METHOD,
            "from": from_,
            "to": sender.address,
            "ws": sender.workspace,
            "method": f"{session}.reject",
        }
        sender.outbox.put(pack(answer) + pack({"args": [failure]}))

    def _peer_not_found(self, sender: ClientSession, session: str, to: str) -> None:
        sender.outbox.put(
            pack(
                {
                    "type": "peer_not_found",
                    "from": self.manager_address,
                    "to": sender.address,
                    "session": session,
                    "peer_id": to,
                    "error": f"Peer {to} is not connected",
                }
            )
        )

    def _deliver_event(self, workspace: str, event: str, frame: bytes) -> None:
        for session in list(self._workspaces.get(workspace, {}).values()):
            if event in session.subscriptions:
                session.outbox.put(frame)

    @staticmethod
    def _absolute(sender: ClientSession, to: str) -> str:
        return to if "/" in to else f"{sender.workspace}/{to}"

    def close_all(self, sessions: Iterable[ClientSession], code: int, reason: str) -> None:
        """Ask every session's transport to close."""
        for session in sessions:
            session.close(code, reason)


def _note_foreigners(caller: ClientSession, target: ClientSession) -> None:
    if caller.foreign_peers is None:
        caller.foreign_peers = set()
    if target.foreign_callers is None:
        target.foreign_callers = set()
    caller.foreign_peers.add(target.address)
    target.foreign_callers.add(caller.address)


def _outgoing(message_type: str, header: dict[str, Any], to: str) -> dict[str, Any]:
    """The keys that travel on. Of a call or reply only those that the protocol knows; of a message
    of a client's own type all but the identity."""
    if message_type != METHOD:
        if message_type in SERVER_TYPES or message_type.startswith("workspace_"):
            raise InvalidMessage(f"Messages of type {message_type!r} come from the server only")
        return {k: v for k, v in header.items() if k not in IDENTITY_KEYS and k != "session"} | {
            "to": to
        }
    method = header.get("method")
    if type(method) is not str:
        raise InvalidMessage("A message of type 'method' needs the text key 'method'")
    outgoing = {"type": METHOD, "to": to, "method": method}
    for key in ("session", "parent"):
        value = header.get(key)
        if value is not None:
            if type(value) is not str:
                raise InvalidMessage(f"The key {key!r} must be text")
            outgoing[key] = value
    if "traceparent" in header:
        outgoing |= trace_context(header)
    return outgoing
