"""The life of a connection, whatever transport carries it: come in, be reachable, leave.

A transport brings the first message and a way to send and to close; it gets a session back. What
follows from coming and leaving (the table of routes, the registry, the events) happens here, in
the order that clients rely on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from gateway.admission import Admission, Doorkeeper, Hello
from gateway.registry.registry import Registry
from gateway.routing.outbox import Outbox, Send
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_GOING_AWAY, CLOSE_POLICY, ClientSession
from gateway.rpc.endpoint import Endpoint
from gateway.settings import Settings
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, GatewayError, Unavailable

INCUMBENT_SECONDS: Final = 5.0
"""How long a connected client may take to show that it lives when its id is asked for again."""

EMPTY_WORKSPACE_SECONDS: Final = 60.0
"""How long an anonymous workspace without clients is kept, for a client that comes back."""

Close = Callable[[int, str], None]


class Hub:
    """Opens and ends sessions."""

    def __init__(
        self,
        settings: Settings,
        doorkeeper: Doorkeeper,
        router: Router,
        endpoint: Endpoint,
        registry: Registry,
        workspaces: Workspaces,
        version: str,
    ) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._router = router
        self._endpoint = endpoint
        self._registry = registry
        self._workspaces = workspaces
        self._version = version
        self._admissions: dict[ClientSession, Admission] = {}
        self._draining = False

    @property
    def is_draining(self) -> bool:
        """No new connections and calls are taken any more."""
        return self._draining

    @property
    def connections(self) -> int:
        return len(self._admissions)

    async def open(self, hello: Hello, *, send: Send, close: Close) -> ClientSession:
        """Admit a client and make it reachable.

        Raises what ``Doorkeeper.admit`` raises, Conflict (the id is in use by a live client) and
        Unavailable (the gateway is stopping).
        """
        if self._draining:
            raise Unavailable("The server is stopping")
        admission = self._doorkeeper.admit(hello)
        address = f"{admission.workspace}/{admission.client_id}"
        if admission.client_id == self._router.manager_id:
            raise Conflict(f"Client already exists and is active: {address}")
        incumbent = self._router.get(address)
        if incumbent is not None and not admission.resumes and await self._is_alive(incumbent):
            raise Conflict(f"Client already exists and is active: {address}")
        session = self._session(admission, send, close)
        replaced = self._router.attach(session)
        if replaced is not None:
            session.subscriptions |= replaced.subscriptions
            self._end(replaced, CLOSE_GOING_AWAY, "Another connection of this client took over")
        self._admissions[session] = admission
        return session

    def connection_info(self, session: ClientSession) -> dict[str, Any]:
        """The first message to an admitted client."""
        return {
            "type": "connection_info",
            "hypha_version": self._version,
            "server": f"Polyport {self._version}",
            "public_base_url": self._settings.base_url,
            "local_base_url": self._settings.local_base_url,
            "manager_id": self._router.manager_id,
            "workspace": session.workspace,
            "client_id": session.client_id,
            "user": session.user.to_wire(),
            "reconnection_token": self.reconnection_token(session),
            "reconnection_token_life_time": self._settings.reconnection_token_life_seconds,
        }

    def reconnection_token(self, session: ClientSession) -> str:
        """A fresh token for this client to come back with."""
        life = self._settings.reconnection_token_life_seconds
        return self._doorkeeper.reconnection_token(self._admissions[session], life)

    def closed(self, session: ClientSession) -> None:
        """The connection has ended, from whichever side."""
        session.outbox.close()
        self._admissions.pop(session, None)
        if not self._router.detach(session):
            return  # another connection of the same client has taken over: nothing of it may go
        self._registry.remove_client(session.address)
        self._router.announce_departure(session)
        if session.user.is_anonymous and not self._router.sessions_in(session.workspace):
            asyncio.get_running_loop().call_later(
                EMPTY_WORKSPACE_SECONDS, self._unload, session.workspace
            )

    async def drain(self) -> None:
        """Let calls in flight finish, then close every connection with "going away"."""
        self._draining = True
        deadline = asyncio.get_running_loop().time() + self._settings.drain_seconds
        while self._endpoint.calls_in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        sessions = self._router.sessions()
        await asyncio.gather(*(s.outbox.flushed() for s in sessions if s.outbox.waiting_bytes))
        self._router.close_all(sessions, CLOSE_GOING_AWAY, "The server is stopping")

    async def _is_alive(self, session: ClientSession) -> bool:
        try:
            await self._endpoint.call(
                self._endpoint.manager_identity(session.workspace),
                session.address,
                "services.built-in.ping",
                ("ping",),
                silence_seconds=INCUMBENT_SECONDS,
            )
        except GatewayError:
            return False
        return True

    def _session(self, admission: Admission, send: Send, close: Close) -> ClientSession:
        outbox = Outbox(
            send,
            max_bytes=self._settings.max_outbox_bytes,
            stall_seconds=self._settings.stalled_client_seconds,
            on_failure=lambda reason: self._end(session, CLOSE_POLICY, reason),
        )
        session = ClientSession(
            user=admission.user,
            workspace=admission.workspace,
            client_id=admission.client_id,
            outbox=outbox,
            close=close,
        )
        return session

    def _end(self, session: ClientSession, code: int, reason: str) -> None:
        session.close(code, reason)
        self.closed(session)

    def _unload(self, workspace: str) -> None:
        if not self._router.sessions_in(workspace):
            self._registry.forget_workspace(workspace)
            self._workspaces.forget(workspace)
