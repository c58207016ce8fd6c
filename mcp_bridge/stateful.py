"""The endpoint of a service whose clients of the handshake era have sessions: what POST, GET and
DELETE mean there.

Requests are answered as they are without sessions, by the same methods; only their responses are
recordings, which outlive the connection, and there is a way back to the client. Source: revision
2025-11-25, Streamable HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.types import Receive, Scope, Send

from mcp_bridge import methods
from mcp_bridge.errors import INVALID_REQUEST, Failure
from mcp_bridge.exchange import Exchange, Reply, Timing
from mcp_bridge.guard import RawHeaders
from mcp_bridge.headers import VERSION, Accepts
from mcp_bridge.ladder import ClientAnswer, Notification, Request
from mcp_bridge.methods import Immediate, Working
from mcp_bridge.offer import Offer
from mcp_bridge.replies import completed, worked
from mcp_bridge.revisions import negotiate
from mcp_bridge.sessions import SESSION_ID, UNKNOWN, Session, Sessions, poll_seconds

LAST_EVENT: Final = b"last-event-id"
_NOT_RESUMABLE: Final = Failure(
    INVALID_REQUEST, "There is no stream with such an event any more", status=404
)
_NO_SUCH: Final = Reply(UNKNOWN.body(None), 404)


class Stateful:
    """See the module. ``sessions`` says whom it is for."""

    def __init__(self, sessions: Sessions, timing: Timing) -> None:
        self.sessions = sessions
        self._timing = timing

    def concerns(self, offer: Offer, request: Request) -> bool:
        """Whether a request is one of a session, or opens one."""
        if request.revision.is_modern:
            return False
        if request.method != "initialize" and SESSION_ID not in request.headers:
            return False
        return self.sessions.serves(offer)

    async def answer(
        self,
        offer: Offer,
        request: Request,
        scope: Scope,
        receive: Receive,
        send: Send,
        accepts: Accepts,
        headers: RawHeaders,
    ) -> Reply | None:
        """The reply to a request, or None if it has been sent. Raises RpcError, GatewayError."""
        if request.method == "initialize":
            return self._open(offer, request, scope)
        session = self.sessions.find(offer, scope, request.headers)
        if session is None:
            return Reply(UNKNOWN.body(request.id), 404)
        request.session = session
        if VERSION not in request.headers:
            request.revision = session.revision
        method = methods.find(request)
        if isinstance(method, Working):
            await self._work(session, offer, request, method, receive, send, accepts, headers)
            return None
        assert isinstance(method, Immediate)  # noqa: S101 - the rest is of the other era
        return completed(request, method.answer(offer, request))

    def _open(self, offer: Offer, request: Request, scope: Scope) -> Reply:
        request.opens_session = True
        method = methods.find(request)
        assert isinstance(method, Immediate)  # noqa: S101 - initialize is
        reply = completed(request, method.answer(offer, request))
        revision = negotiate(request.params["protocolVersion"])
        capabilities = request.params.get("capabilities")
        session = self.sessions.open(offer, scope, request.headers, revision, capabilities)
        reply.headers = ((SESSION_ID, session.id.encode()),)
        return reply

    async def _work(  # noqa: PLR0913 - one of everything that a response is made of
        self,
        session: Session,
        offer: Offer,
        request: Request,
        method: Working,
        receive: Receive,
        send: Send,
        accepts: Accepts,
        headers: RawHeaders,
    ) -> None:
        recording = session.record(request.id, poll_seconds(offer))
        exchange = Exchange(
            recording.receive,
            recording.send,
            accepts,
            headers=headers,
            progress_token=request.progress_token,
            timing=self._timing,
        )

        async def run() -> None:
            if recording.primes:
                await exchange.begin()
            await exchange.serve(lambda ours: worked(method.work, offer, request, ours))

        task = asyncio.get_running_loop().create_task(run())
        session.work(request.id, recording, task)
        await recording.read(receive, send)

    def take(
        self,
        offer: Offer,
        message: Notification | ClientAnswer,
        scope: Scope,
        headers: Mapping[bytes, bytes],
    ) -> Reply:
        """Take a message that wants no answer: a notification, or an answer of the client."""
        session = self.sessions.find(offer, scope, headers)
        if session is None:
            return _NO_SUCH
        if isinstance(message, Notification):
            session.note(message.method, message.params)
        else:
            session.answer(message.message)
        return Reply(b"", 202)

    async def listen(
        self,
        offer: Offer,
        scope: Scope,
        sent: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
    ) -> Reply | None:
        """GET: the stream of what concerns no request, or the rest of one that was cut off."""
        session = self.sessions.find(offer, scope, sent)
        if session is None:
            return _NO_SUCH
        session.standing.begin()
        last = sent.get(LAST_EVENT)
        if last is None:
            await session.standing.read(receive, send)
            return None
        found = session.resumed(last.decode("latin-1"))
        if found is None:
            return Reply(_NOT_RESUMABLE.body(None), 404)
        recording, after = found
        await recording.read(receive, send, after)
        return None

    def end(self, offer: Offer, scope: Scope, sent: Mapping[bytes, bytes]) -> Reply:
        """DELETE: the session is over."""
        session = self.sessions.find(offer, scope, sent)
        if session is None:
            return _NO_SUCH
        self.sessions.end(session)
        return Reply(b"", 204)
