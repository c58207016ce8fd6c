"""One connected client, whatever transport it came by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from gateway.auth.access import Action, decide
from gateway.routing.outbox import Outbox
from gateway.routing.replies import ExpectedReplies
from gateway.wire.codec import Identity
from schema.identity import Caller, Memberships, User

CLOSE_GOING_AWAY = 1001
CLOSE_POLICY = 1008
CLOSE_INTERNAL = 1011
"""WebSocket close codes (RFC 6455, section 7.4.1)."""

LOAD_SECONDS = 60.0
"""Time in which a past call loses most of its weight in a client's load."""


class ClientSession:
    """A client as the router knows it. ``identity`` is what the server stamps on its messages."""

    __slots__ = (
        "address",
        "away_since",
        "caller",
        "client_id",
        "close",
        "expected",
        "foreign_callers",
        "foreign_peers",
        "held_calls",
        "identity",
        "is_limited",
        "load",
        "loaded_at",
        "may_broadcast",
        "open_calls",
        "outbox",
        "remote",
        "subscribed_at",
        "subscriptions",
        "user",
        "workspace",
    )

    def __init__(
        self,
        *,
        user: User,
        workspace: str,
        client_id: str,
        outbox: Outbox,
        close: Callable[[int, str], None],
        memberships: Memberships | None = None,
        remote: str | None = None,
    ) -> None:
        self.user = user
        self.workspace = workspace
        self.client_id = client_id
        self.address = f"{workspace}/{client_id}"
        self.caller = Caller(user, workspace, client_id, memberships)
        self.remote = remote
        """IP address that the client connected from."""
        self.identity = Identity(self.address, workspace, self.caller.user_on_wire())
        self.outbox = outbox
        self.close = close
        """Ask the transport to close the connection with a WebSocket code and a reason."""
        self.may_broadcast = decide(self.caller, Action.BROADCAST, workspace).allowed
        self.is_limited = user.scope.functions is not None
        """Its credential is for certain functions only."""
        self.subscriptions: set[str] = set()
        self.subscribed_at = 0.0
        """Monotonic time of the last subscription."""
        self.away_since: float | None = None
        """Monotonic time at which the connection broke; the client may come back."""
        self.held_calls: list[tuple[str, str]] = []
        """Calls that wait in the outbox of an absent client: address and session of the caller."""
        self.foreign_callers: set[str] | None = None
        """Addresses in other workspaces that have called this client: they get no workspace
        events, yet must learn when it goes."""
        self.foreign_peers: set[str] | None = None
        """Addresses in other workspaces that it has called: they forget it when it goes."""
        self.open_calls: dict[str, str] = {}
        """Calls this client waits for: its session, and the address it called."""
        self.expected: ExpectedReplies | None = None
        """Answers to the gateway that can be told by their first bytes; None until there are."""
        self.load = 0.0
        self.loaded_at = 0.0

    def count_call(self) -> None:
        """Note that a call goes to this client."""
        now = time.monotonic()
        self.load = self.load_at(now) + 1
        self.loaded_at = now

    def forget_calls_to(self, address: str) -> None:
        """A client that it has called has left: nothing is waited for from there any more."""
        if address in self.open_calls.values():
            kept = {call: to for call, to in self.open_calls.items() if to != address}
            self.open_calls = kept

    def load_at(self, now: float) -> float:
        """Calls of the last minute, the older the less they count."""
        return self.load * math.exp((self.loaded_at - now) / LOAD_SECONDS)
