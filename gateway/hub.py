"""The life of a connection, whatever transport carries it: come in, be reachable, leave.

A transport brings the first message and a way to send and to close; it gets a session back. What
follows from coming and leaving (the table of routes, the registry, the events) happens here, in
the order that clients rely on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from gateway.admission import Admission, Doorkeeper, Hello
from gateway.counters import Counters
from gateway.registry.directory import Directory
from gateway.registry.registry import Registry
from gateway.routing.outbox import Backlog, Outbox, Send, Write
from gateway.routing.router import Router
from gateway.routing.session import CLOSE_GOING_AWAY, CLOSE_POLICY, ClientSession
from gateway.rpc.endpoint import Endpoint
from gateway.settings import Settings
from gateway.workspaces.event_log import EventLog
from gateway.workspaces.membership import is_administrator
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, GatewayError, LimitExceeded, Unavailable
from schema.identity import personal_workspace

INCUMBENT_SECONDS: Final = 5.0
"""How long a connected client may take to show that it lives when its id is asked for again."""

FAREWELL_SECONDS: Final = 1.0
"""At shutdown, how long clients may take to answer the closing of their connection."""

DRAIN_CHECK_SECONDS: Final = 0.02

RESTART_SECONDS: Final = 300.0
"""How long a workspace that is not to stay is kept for its clients after a restart."""

Close = Callable[[int, str], None]


class Hub:
    """Opens and ends sessions."""

    def __init__(  # noqa: PLR0913 - the composition root calls it once, by name
        self,
        counters: Counters,
        settings: Settings,
        doorkeeper: Doorkeeper,
        router: Router,
        endpoint: Endpoint,
        registry: Registry,
        directory: Directory,
        workspaces: Workspaces,
        events: EventLog,
        version: str,
    ) -> None:
        self._counters = counters
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._router = router
        self._endpoint = endpoint
        self._registry = registry
        self._directory = directory
        self._workspaces = workspaces
        self._events = events
        self._version = version
        self._admissions: dict[ClientSession, Admission] = {}
        self._unloads: dict[str, asyncio.TimerHandle] = {}
        self._of_user: Counter[str] = Counter()
        """Connections by whoever is accountable for them."""
        self._draining = False
        self._backlog = Backlog(settings.max_outboxes_bytes)

    @property
    def is_draining(self) -> bool:
        """No new connections and calls are taken any more."""
        return self._draining

    @property
    def connections(self) -> int:
        """Clients that are connected now; those expected back do not count."""
        return sum(session.away_since is None for session in self._admissions)

    async def open(self, hello: Hello, *, close: Close) -> ClientSession:
        """Admit a client. Messages to it are kept until ``ready``.

        Raises what ``Doorkeeper.admit`` raises, Conflict (the id is in use by a live client),
        LimitExceeded (too many clients) and Unavailable (the gateway is stopping).
        """
        if self._draining:
            raise Unavailable("The server is stopping")
        admission = await self._doorkeeper.admit(hello)
        address = f"{admission.workspace}/{admission.client_id}"
        if self._draining:
            raise Unavailable("The server is stopping")
        if admission.client_id == self._router.manager_id:
            raise Conflict(f"Client already exists and is active: {address}")
        incumbent = self._router.get(address)
        if incumbent is not None and not admission.resumes and await self._is_alive(incumbent):
            raise Conflict(f"Client already exists and is active: {address}")
        self._check_quotas(admission, incumbent)
        session = self._session(admission, close, hello.remote)
        replaced = self._router.attach(session)
        timer = self._unloads.pop(session.workspace, None)
        if timer is not None:
            timer.cancel()
        self._enter(session, admission)
        if replaced is not None:
            self._take_over(replaced, session, same_client=admission.resumes)
        return session

    def _check_quotas(self, admission: Admission, incumbent: ClientSession | None) -> None:
        """Raises LimitExceeded. A client that takes the place of another one is no further one."""
        user = admission.user
        others = self._of_user[user.effective_id]
        if incumbent is not None and incumbent.user.effective_id == user.effective_id:
            others -= 1
        limit = self._settings.max_connections_per_user
        if others >= limit and not is_administrator(user):
            raise LimitExceeded(f"Connection quota exceeded: a user can have {limit}")
        limit = self._settings.max_clients_per_workspace
        members = self._router.count_in(admission.workspace) - (incumbent is not None)
        if members >= limit:
            raise LimitExceeded(f"Client quota exceeded: a workspace can have {limit}")

    def _enter(self, session: ClientSession, admission: Admission) -> None:
        self._admissions[session] = admission
        self._counters.connections += 1
        self._of_user[session.user.effective_id] += 1

    def _leave(self, session: ClientSession) -> None:
        if self._admissions.pop(session, None) is None:
            return
        user_id = session.user.effective_id
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]

    def flooded(self) -> None:
        """Note that a client is disconnected because it sends too much."""
        self._counters.flooding_clients += 1

    def ready(self, session: ClientSession, send: Send, write: Write | None = None) -> None:
        """The client has had its first message: send what was kept, and what comes."""
        session.outbox.uncork(send, write)

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
            "user": session.caller.user_on_wire(),
            "reconnection_token": self.reconnection_token(session),
            "reconnection_token_life_time": self._settings.reconnection_token_life_seconds,
        }

    def reconnection_token(self, session: ClientSession) -> str:
        """A fresh token for this client to come back with."""
        life = self._settings.reconnection_token_life_seconds
        return self._doorkeeper.reconnection_token(self._admissions[session], life)

    def closed(
        self,
        session: ClientSession,
        *,
        may_return: bool = False,
        grace_seconds: float | None = None,
    ) -> None:
        """The connection has ended, from whichever side. ``may_return`` if it broke without a
        goodbye: the client, if it still lives, is then about to reconnect. ``grace_seconds`` is
        for a transport whose clients need longer for that than the setting says."""
        if self._router.get(session.address) is not session or session.away_since is not None:
            # Another connection of the same client has taken over: nothing of it may go.
            session.outbox.close()
            self._leave(session)
            return
        gap_seconds = self._settings.reconnect_gap_seconds
        if grace_seconds is None:
            grace_seconds = self._settings.reconnect_grace_seconds
        else:
            gap_seconds = max(gap_seconds, grace_seconds)
        if may_return and not self._draining and gap_seconds:
            self._hold(session, grace_seconds, gap_seconds)
        else:
            self._depart(session)

    def _hold(self, session: ClientSession, grace_seconds: float, gap_seconds: float) -> None:
        """Keep the place of a client whose connection broke, in two steps: first nobody notices,
        then it counts as gone, but calls made in the meantime still wait for it."""
        unsent, session.outbox = session.outbox, self._outbox(lambda: session)
        session.outbox.adopt(unsent)
        session.away_since = time.monotonic()
        loop = asyncio.get_running_loop()
        loop.call_later(grace_seconds, self._retire, session, max(0.0, gap_seconds - grace_seconds))
        loop.call_later(gap_seconds, self._give_up, session)

    def _retire(self, session: ClientSession, rest_seconds: float) -> None:
        if self._router.get(session.address) is not session:
            return
        services = self._registry.remove_client(session.address)
        self._directory.expect(services, rest_seconds)
        self._endpoint.peer_gone(session.address, calls_before=session.away_since)
        waiting = frozenset(address for address, _ in session.held_calls)
        self._router.announce_departure(session, but_not=waiting)

    def _give_up(self, session: ClientSession) -> None:
        if self._router.get(session.address) is session:
            self._depart(session)

    def _depart(self, session: ClientSession) -> None:
        session.outbox.close()
        self._leave(session)
        self._router.detach(session)
        self._registry.remove_client(session.address)
        self._endpoint.peer_gone(session.address)
        self._router.reject_held_calls(session)
        self._router.announce_departure(session)
        if self._router.is_deserted(session.workspace):
            self._deserted(session.workspace)

    def _deserted(self, workspace: str) -> None:
        record = self._workspaces.get(workspace)
        holds_nothing = not (self._events.has(workspace) or self._registry.holds(workspace))
        if record is None or (record.is_blank and holds_nothing):
            self._unload(workspace)  # made again, the same, if the user comes back
        elif not record.persistent:
            self._unload_later(workspace, self._settings.workspace_unload_grace_seconds)

    def _unload_later(self, workspace: str, seconds: float) -> None:
        timer = self._unloads.pop(workspace, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._unloads[workspace] = loop.call_later(seconds, self._unload, workspace)

    def expect_back(self) -> None:
        """After a restart: workspaces that are not to stay wait for their clients to come back."""
        for record in self._workspaces.all():
            if not record.persistent:
                self._unload_later(record.id, RESTART_SECONDS)

    def recheck(self, workspace: str) -> None:
        """Some may do less in a workspace than before: disconnect those of its clients who do not
        have any more what they came in with."""
        for session in self._router.sessions_in(workspace):
            before = session.user.scope.permission_on(workspace)
            credential = self._admissions[session].credential
            now = self._doorkeeper.as_member(credential, workspace).scope.permission_on(workspace)
            if now is None:
                session.close(CLOSE_POLICY, f"The workspace {workspace} is no longer shared")
            elif before is not None and not now.covers(before):
                # It comes back by itself, with what it may do now.
                session.close(CLOSE_GOING_AWAY, "The permission has changed")

    def disconnect_revoked(self, token_id: str) -> None:
        """A token is revoked: disconnect whoever came with it, or with one made from it."""
        for session in list(self._admissions):
            if token_id not in session.user.lineage:
                continue
            if session.away_since is None:
                session.close(CLOSE_POLICY, "Token has been revoked")
            else:
                self._give_up(session)

    def _take_over(
        self, replaced: ClientSession, session: ClientSession, *, same_client: bool
    ) -> None:
        """A new connection takes the place of an old one of the same id."""
        self._leave(replaced)
        if same_client:
            session.subscriptions |= replaced.subscriptions
            session.foreign_callers = replaced.foreign_callers
            session.foreign_peers = replaced.foreign_peers
            session.outbox.adopt(replaced.outbox)
            self._endpoint.peer_resumed(session.address, replaced.away_since or time.monotonic())
        else:
            self._registry.remove_client(replaced.address)
            self._endpoint.peer_gone(replaced.address)
            self._router.reject_held_calls(replaced)
            self._router.announce_departure(replaced)
        if replaced.away_since is None:
            replaced.outbox.close()
            replaced.close(CLOSE_GOING_AWAY, "Another connection of this client took over")

    async def drain(self) -> None:
        """Let calls in flight finish, then close every connection with "going away"."""
        self._draining = True
        self._directory.stop_expecting()
        deadline = asyncio.get_running_loop().time() + self._settings.drain_seconds
        # What is waited for is spread over all clients, and asked for once in a server's life.
        while self._is_busy() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_CHECK_SECONDS)
        sessions = self._router.sessions()
        unsent = [
            asyncio.ensure_future(s.outbox.flushed()) for s in sessions if s.outbox.waiting_bytes
        ]
        if unsent:
            await asyncio.wait(unsent, timeout=FAREWELL_SECONDS)
        self._router.close_all(sessions, CLOSE_GOING_AWAY, "The server is stopping")
        # Until they are closed the web server would close them in its own way.
        deadline = asyncio.get_running_loop().time() + FAREWELL_SECONDS
        while self.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_CHECK_SECONDS)

    def _is_busy(self) -> bool:
        return bool(self._endpoint.calls_in_flight) or self._router.has_open_calls

    async def _is_alive(self, session: ClientSession) -> bool:
        if session.away_since is not None:
            return False
        try:
            await self._endpoint.ping(session.address, INCUMBENT_SECONDS)
        except GatewayError:
            return False
        return True

    def _session(self, admission: Admission, close: Close, remote: str | None) -> ClientSession:
        session = ClientSession(
            user=admission.user,
            workspace=admission.workspace,
            client_id=admission.client_id,
            outbox=self._outbox(lambda: session),
            close=close,
            memberships=self._workspaces,
            remote=remote,
        )
        return session

    def _outbox(self, session: Callable[[], ClientSession]) -> Outbox:
        return Outbox(
            max_bytes=self._settings.max_outbox_bytes,
            backlog=self._backlog,
            stall_seconds=self._settings.stalled_client_seconds,
            on_failure=lambda reason: self._drop(session(), reason),
        )

    def _drop(self, session: ClientSession, reason: str) -> None:
        session.close(CLOSE_POLICY, reason)
        if self._router.get(session.address) is session:
            self._depart(session)

    def _unload(self, workspace: str) -> None:
        self._unloads.pop(workspace, None)
        record = self._workspaces.get(workspace)
        if record is not None and record.is_kept and self._registry.holds(workspace):
            return  # what the gateway hosts there is used by other doors
        if self._router.is_deserted(workspace) and self._workspaces.unload(workspace):
            self._registry.forget_workspace(workspace)
            self._events.forget(workspace)
            if record is not None:  # nobody is there to be told, but its owner may be at home
                home = personal_workspace(record.owner)
                self._router.publish(home, "workspace_unloaded", record.to_wire())
