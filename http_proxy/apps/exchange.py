"""One conversation between a client and the program behind a service, message by message.

The service's ``serve`` runs as one call that has ``receive`` and ``send`` among its arguments.
Nothing is gathered in between: of the request at most two messages are read ahead, and ``send``
returns when the server has taken the message. When the client leaves, ``receive`` says so and
``send`` fails; a program that goes on regardless is left alone after a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from starlette.types import Message, Receive, Scope, Send

from http_proxy.errors import defect, is_defect
from schema.errors import GatewayError

LEAVE_SECONDS: Final = 5.0
"""How long a program has to end once its client has left, before the call is given up."""

READ_AHEAD: Final = 1
"""Messages of the client that wait for ``receive``, besides the one that the server holds."""

Serve = Callable[[dict[str, Any]], Awaitable[Any]]
"""Calls the service with ``{"scope", "receive", "send"}``."""

logger = logging.getLogger(__name__)


class ClientLeft(GatewayError):
    """What ``send`` raises at the provider when nobody listens any more."""

    code = "client_left"
    wire_type = "ConnectionError"


class Dialogue(Protocol):
    """The rules of one protocol: HTTP or websocket. Keeps the state of one conversation."""

    @property
    def is_complete(self) -> bool:
        """Whether the client has got all that it will get."""
        ...

    def last_message(self) -> Message:
        """What ``receive`` returns when the client cannot send any more."""
        ...

    def is_last(self, message: Message) -> bool:
        """Whether a message of the client says that it has left."""
        ...

    def check(self, message: Any) -> Message:
        """A message of the provider in the form for the server. Raises InvalidRequest."""
        ...

    async def conclude(self, scope: Scope, send: Send, error: GatewayError | None) -> None:
        """End a conversation that the provider has not completed."""
        ...


class Incoming:
    """Messages of the client, for the provider's ``receive``."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._messages: deque[Message] = deque()
        self._last: Message | None = None
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def pump(self, receive: Receive, on_last: Callable[[], None]) -> None:
        """Read from the server until the client leaves."""
        while True:
            message = await receive()
            if self._dialogue.is_last(message):
                self.end(message)
                on_last()
                return
            while len(self._messages) > READ_AHEAD:
                self._room.clear()
                await self._room.wait()
            self._messages.append(message)
            self._arrived.set()

    async def receive(self) -> Message:
        """The next message, in order; the last one again and again."""
        while not self._messages:
            if self._last is not None:
                return self._last
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._room.set()
        return message

    def end(self, message: Message) -> None:
        """Nothing follows any more but this."""
        if self._last is None:
            self._last = message
            self._arrived.set()


class Outgoing:
    """Messages of the provider, in the order in which it sent them, for the server."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._messages: deque[tuple[Message, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._ended = False

    async def send(self, message: Any) -> None:
        """The provider's ``send``. Raises ClientLeft and InvalidRequest."""
        if self._closed:
            raise ClientLeft("The client has disconnected")
        checked = self._dialogue.check(message)
        taken = asyncio.get_running_loop().create_future()
        self._messages.append((checked, taken))
        self._arrived.set()
        await taken

    async def write(self, send: Send) -> None:
        """Hand over message by message until the last one, the end of the call, or ``close``."""
        while not self._closed:
            if not self._messages:
                if self._ended or self._dialogue.is_complete:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            message, taken = self._messages.popleft()
            await send(message)
            if not taken.done():
                taken.set_result(None)

    def end(self) -> None:
        """The provider sends no more; what it has sent is still written."""
        self._ended = True
        self._arrived.set()

    def close(self) -> None:
        """Take nothing any more: the client has left."""
        self._closed = True
        self._arrived.set()
        while self._messages:
            _, taken = self._messages.popleft()
            if not taken.done():
                taken.set_exception(ClientLeft("The client has disconnected"))

    @property
    def is_closed(self) -> bool:
        return self._closed


class Exchange:
    """The conversation, as an ASGI application."""

    def __init__(self, serve: Serve, scope: dict[str, Any], dialogue: Dialogue) -> None:
        """``scope`` is the one for the provider."""
        self._serve = serve
        self._scope = scope
        self._dialogue = dialogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming, outgoing = Incoming(self._dialogue), Outgoing(self._dialogue)
        call = asyncio.ensure_future(
            self._serve({"scope": self._scope, "receive": incoming.receive, "send": outgoing.send})
        )
        call.add_done_callback(lambda _: outgoing.end())
        pump = asyncio.ensure_future(incoming.pump(receive, outgoing.close))
        try:
            try:
                await outgoing.write(send)
            except OSError:
                outgoing.close()  # how an ASGI server says that the client has left
            if self._dialogue.is_complete or outgoing.is_closed:
                incoming.end(self._dialogue.last_message())
                await self._left_alone(call)
            else:
                await self._dialogue.conclude(scope, send, await _outcome(call))
        finally:
            pump.cancel()
            call.cancel()
            await asyncio.gather(pump, call, return_exceptions=True)

    async def _left_alone(self, call: asyncio.Future[Any]) -> None:
        """Let a program end whose client has got its answer, or has left."""
        is_complete = self._dialogue.is_complete
        await asyncio.wait((call,), timeout=None if is_complete else LEAVE_SECONDS)
        if call.done() and (error := await _outcome(call)) is not None:
            logger.info("web_service_failed_at_the_end code=%s", error.code)


async def _outcome(call: asyncio.Future[Any]) -> GatewayError | None:
    try:
        await call
    except GatewayError as error:
        if is_defect(error):
            logger.exception("web_service_call_failed")
            return defect()
        return error
    except Exception:
        logger.exception("web_service_call_failed")
        return defect()
    return None
