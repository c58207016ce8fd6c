"""Functions of the manager that are about connected clients, events and the log."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from gateway.routing.router import Router
from gateway.routing.session import CLOSE_GOING_AWAY, ClientSession
from gateway.rpc.endpoint import Endpoint
from gateway.rpc.values import make_targets_absolute
from gateway.workspaces.event_log import EventLog
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, GatewayError, InvalidRequest
from schema.identity import Caller

MAX_SUBSCRIPTIONS: Final = 1000
_RESERVED_EVENTS: Final = frozenset(
    {
        "method",
        "error",
        "connection_info",
        "reconnection_token",
        "peer_not_found",
        "force-exit",
        "*",
    }
)
_CLEANUP_BATCH: Final = 50


class ClientFunctions:
    """Echo, ping, list; subscribe to events; log them."""

    def __init__(
        self, router: Router, endpoint: Endpoint, workspaces: Workspaces, events: EventLog
    ) -> None:
        self._router = router
        self._endpoint = endpoint
        self._workspaces = workspaces
        self._events = events

    async def echo(self, caller: Caller, data: Any) -> Any:
        """Return the data as they came."""
        return make_targets_absolute(data, caller.workspace)

    async def list_clients(
        self, caller: Caller, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """List the connected clients of a workspace; users of others are shown by id only."""
        return [
            {"id": s.address, "user": _user_for(caller, s)}
            for s in self._router.sessions_in(workspace or caller.workspace)
        ]

    async def ping(self, caller: Caller, client_id: str, timeout: float = 5) -> str:
        """Ask a client whether it is alive: "pong", or a text that says why not."""
        address = client_id if "/" in client_id else f"{caller.workspace}/{client_id}"
        problem = await self._probe(address, min(60, max(0.1, timeout)))
        return f"Failed to ping client {address}: {problem}" if problem else "pong"

    async def cleanup(
        self, caller: Caller, workspace: str | None = None, timeout: float = 5
    ) -> dict[str, Any]:
        """Ping every client of a workspace and remove those that do not answer."""
        target = workspace or caller.workspace
        seconds = min(60, max(0.1, timeout))
        sessions = [s for s in self._router.sessions_in(target) if s.address != caller.address]
        removed: list[str] = []
        for start in range(0, len(sessions), _CLEANUP_BATCH):
            batch = sessions[start : start + _CLEANUP_BATCH]
            problems = await asyncio.gather(*(self._probe(s.address, seconds) for s in batch))
            for session, problem in zip(batch, problems, strict=True):
                if problem:
                    session.close(CLOSE_GOING_AWAY, "The client does not answer")
                    removed.append(session.address)
        return {"removed_clients": removed} if removed else {}

    async def _probe(self, address: str, seconds: float) -> str | None:
        """None if the client answers, else what is wrong."""
        try:
            await self._endpoint.ping(address, seconds)
        except GatewayError as error:
            return error.message
        return None

    # Subscriptions

    async def subscribe(self, caller: Caller, event_type: str | list[str]) -> bool:
        """Receive events of the workspace, by name: system events or those that clients send."""
        session = self._session(caller)
        names = [event_type] if isinstance(event_type, str) else event_type
        for name in names:
            _check_subscription(name, caller.workspace)
        if len(session.subscriptions | set(names)) > MAX_SUBSCRIPTIONS:
            raise InvalidRequest(f"A client can have at most {MAX_SUBSCRIPTIONS} subscriptions")
        session.subscriptions.update(names)
        session.subscribed_at = time.monotonic()
        return True

    async def unsubscribe(self, caller: Caller, event_type: str | list[str]) -> bool:
        """Stop receiving events."""
        names = [event_type] if isinstance(event_type, str) else event_type
        self._session(caller).subscriptions.difference_update(names)
        return True

    def _session(self, caller: Caller) -> ClientSession:
        session = self._router.get(caller.address or "")
        if session is None or session.caller is not caller:
            raise Conflict("Another connection of this client has taken over")
        return session

    # The log of a workspace

    async def log(self, caller: Caller, msg: Any) -> None:
        """Log a message in the workspace."""
        await self.log_event(caller, "log", msg)

    async def log_event(self, caller: Caller, event_type: str, data: Any = None) -> None:
        """Log an event in the workspace. Its type must not contain a space."""
        record = self._workspaces.require(caller.workspace)
        await self._events.append(
            record.id, caller.user.effective_id, event_type, data, is_kept=record.is_kept
        )

    async def get_events(
        self,
        caller: Caller,
        event_type: str | None = None,
        start_time: str | float | None = None,
        end_time: str | float | None = None,
    ) -> list[dict[str, Any]]:
        """Get the caller's own events in the workspace, oldest first."""
        record = self._workspaces.require(caller.workspace)
        found = await self._events.find(
            record.id,
            caller.user.effective_id,
            event_type,
            _instant(start_time),
            _instant(end_time),
        )
        return [
            {
                "id": event.id,
                "event_type": event.event_type,
                "workspace": event.workspace,
                "user_id": event.user_id,
                "timestamp": datetime.fromtimestamp(event.time, UTC).isoformat(),
                "data": event.data,
            }
            for event in found
        ]

    async def get_event_stats(
        self,
        caller: Caller,
        event_type: str | None = None,
        start_time: str | float | None = None,
        end_time: str | float | None = None,
    ) -> list[dict[str, Any]]:
        """Count the caller's own events in the workspace by type."""
        events = await self.get_events(caller, event_type, start_time, end_time)
        counts = Counter(event["event_type"] for event in events)
        return [{"event_type": kind, "count": count} for kind, count in sorted(counts.items())]


def _user_for(caller: Caller, session: ClientSession) -> dict[str, Any]:
    user = session.user
    if user.effective_id == caller.user.effective_id:
        return session.caller.user_on_wire()
    return {"id": user.id, "is_anonymous": user.is_anonymous, "roles": list(user.roles)}


def _check_subscription(name: str, workspace: str) -> None:
    owner, slash, _ = name.partition("/")
    foreign = (slash and owner != workspace) or (name.startswith("ws-") and owner != workspace)
    if not name or name in _RESERVED_EVENTS or foreign:
        raise InvalidRequest(f"Subscription to event '{name}' is forbidden.")


def _instant(value: str | float | None) -> float | None:
    """A time that a caller gives, in Unix seconds. Raises InvalidRequest."""
    if value is None or (isinstance(value, (int, float)) and isfinite(value)):
        return value
    try:
        parsed = datetime.fromisoformat(str(value))
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"Not a time: {value!r}; expected ISO 8601 or Unix seconds") from None
