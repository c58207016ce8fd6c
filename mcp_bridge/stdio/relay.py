"""From a line to an HTTP request, and from its answer to lines.

Every request is a task of its own, so none waits for another, and cancelling one closes its
connection, which is how the endpoint learns of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import httpx

from mcp_bridge import param_headers
from mcp_bridge.errors import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_VERSION,
)
from mcp_bridge.ladder import malformed
from mcp_bridge.param_headers import ParamHeader
from mcp_bridge.revisions import SUBSCRIPTION_KEY, negotiate
from mcp_bridge.schemas import Refused
from mcp_bridge.stdio import wire
from mcp_bridge.stdio.connection import RETRY_SECONDS, Answer, Connection, Locate, Unreachable
from mcp_bridge.stdio.handshake import Handshake
from mcp_bridge.stdio.wire import Message

logger = logging.getLogger(__name__)

OPENING_SECONDS: Final = 0.8
"""How long a client's first request may wait for the endpoint: clients give a program they start
little time, so after that it is answered here."""

LAST_SECONDS: Final = 1.0
"""How long requests may still take when the input has ended."""

_OPENINGS: Final = ("initialize", "server/discover")
_EMPTY: Final[Mapping[str, Message]] = {
    "prompts/list": {"prompts": []},
    "resources/list": {"resources": []},
    "resources/templates/list": {"resourceTemplates": []},
}
_NO_HANDSHAKE: Final = (METHOD_NOT_FOUND, UNSUPPORTED_VERSION, HEADER_MISMATCH)
_CHANGES: Final = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}


class Relay:
    """See the module. ``write`` takes one message as bytes."""

    def __init__(
        self, locate: Locate, http: httpx.AsyncClient, write: Callable[[bytes], None]
    ) -> None:
        self._write = write
        self._connection = Connection(locate, http, self._send)
        self._handshake = Handshake()
        self._mirrored: dict[str, tuple[ParamHeader, ...]] = {}
        self._is_introduced = False
        """The client has been told what servers may offer, not what this one does."""
        self._running: dict[str | int, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Relay each line until there are no more, then give up what does not end at once."""
        async for line in lines:
            self._take(line)
        await self._connection.close()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=LAST_SECONDS)
        left = [*self._running.values(), *self._others]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _take(self, line: bytes) -> None:
        try:
            message = wire.read(line)
        except ValueError:
            self._send(wire.error(None, "Not JSON: one message a line is expected", PARSE_ERROR))
            return
        refused = malformed(message)
        if refused is not None:
            self._send(wire.error(refused.id, refused.failure.message, INVALID_REQUEST))
        elif "method" not in message:
            self._spawn(self._post_quietly(message))  # the client's answer to the server
        elif "id" in message:
            task = asyncio.create_task(self._request(message))
            self._running[message["id"]] = task
            task.add_done_callback(lambda _: self._running.pop(message["id"], None))
        else:
            self._notification(message)

    def _notification(self, message: Message) -> None:
        if message["method"] == "notifications/cancelled":
            params = message.get("params")
            target = params.get("requestId") if isinstance(params, dict) else None
            task = self._running.get(target) if isinstance(target, str | int) else None
            if task is not None:
                task.cancel()
        if not self._handshake.is_translated and self._handshake.opening is not None:
            self._spawn(self._post_quietly(message))

    # Requests

    async def _request(self, message: Message) -> None:
        """Answer one request, whatever happens, unless its client has cancelled it."""
        try:
            if message["method"] in _OPENINGS:
                answer = await self._opening(message)
            elif message["method"] == "subscriptions/listen":
                answer = await self._listen(message)
            elif wire.is_stateless(message):
                answer = await self._stateless(message)
            else:
                answer = await self._in_session(message)
        except Unreachable as problem:
            answer = wire.error(message["id"], str(problem))
        except Exception:
            logger.exception("stdio_request_failed method=%r", message["method"][:100])
            answer = wire.error(message["id"], "Internal error")
        self._send(answer)

    async def _opening(self, message: Message) -> Message:
        """The first request of a client, which must not wait for an endpoint that is away."""
        opens = message["method"] == "initialize"
        if opens:
            self._handshake = Handshake(opening=message)
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                return await (self._initialize(message) if opens else self._stateless(message))
        except (TimeoutError, Unreachable):
            self._handshake.is_due = opens
            self._is_introduced = True
            return wire.completed(message["id"], wire.introduction(message))

    async def _initialize(self, message: Message) -> Message:
        answer = await self._connection.exchange(message, {})
        if answer.error_code in _NO_HANDSHAKE:
            return await self._introduce(message)
        opened = self._required(answer, message)
        if "result" in opened:
            self._handshake.opened(opened["result"], answer.session_id)
            if answer.session_id is not None:
                self._spawn(self._hear())
        return opened

    async def _introduce(self, message: Message) -> Message:
        """Answer ``initialize`` for a server that has no such method."""
        discover = {"jsonrpc": "2.0", "id": message["id"], "method": "server/discover"}
        answer = await self._stateless(self._handshake.translated(discover))
        if "result" not in answer:
            return answer
        self._handshake.is_translated = True
        self._handshake.is_due = False
        asked = (message.get("params") or {}).get("protocolVersion")
        version = negotiate(asked if isinstance(asked, str) else "").name
        result = self._handshake.introduction(answer["result"], version)
        return wire.completed(message["id"], result)

    async def _in_session(self, message: Message) -> Message:
        if self._handshake.is_due:
            if message["method"] == "ping":  # it is this program that is asked, not the server
                return wire.completed(message["id"], {})
            await self._open_again()
        if self._handshake.is_translated:
            return await self._translated(message)
        session = self._handshake.session_id
        answer = await self._connection.exchange(message, self._handshake.headers())
        if answer.status == 404 and session is not None:
            await self._open_again(session)
            answer = await self._connection.exchange(message, self._handshake.headers())
        return self._required(answer, message)

    async def _open_again(self, lost: str | None = None) -> None:
        """Repeat the client's ``initialize``: for a server that was away, or lost its session."""
        handshake = self._handshake
        async with handshake.opened_again:
            if handshake.opening is None or (handshake.session_id != lost and not handshake.is_due):
                return  # another request has done it
            await self._initialize(handshake.opening)
            if not handshake.is_translated:
                await self._post_quietly({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def _translated(self, message: Message) -> Message:
        here = self._handshake.answered_here(message)
        if here is not None:
            return wire.completed(message["id"], here)
        answer = await self._stateless(self._handshake.translated(message))
        if "result" not in answer:
            return answer
        result = self._handshake.result_for_client(answer["result"])
        if result is None:
            raise Unreachable("The server asks for input that this client has no way to give")
        return wire.completed(message["id"], result)

    async def _stateless(self, message: Message) -> Message:
        answer = await self._connection.exchange(
            message, wire.routing_headers(message, self._mirrored)
        )
        if answer.error_code == HEADER_MISMATCH and message["method"] == "tools/call":
            await self._learn_tools(message)
            answer = await self._connection.exchange(
                message, wire.routing_headers(message, self._mirrored)
            )
        return self._required(answer, message)

    async def _learn_tools(self, message: Message) -> None:
        """Which arguments are mirrored in headers, for a client that did not list the tools."""
        meta = wire.meta_of(message)
        cursor: Any = None
        while True:
            params = {"_meta": dict(meta), **({"cursor": cursor} if cursor else {})}
            request = {
                "jsonrpc": "2.0",
                "id": f"tools-for-{message['id']}",
                "method": "tools/list",
                "params": params,
            }
            answer = await self._connection.exchange(request, wire.routing_headers(request, {}))
            result = (answer.message or {}).get("result")
            self._remember(result)
            cursor = result.get("nextCursor") if isinstance(result, dict) else None
            if not cursor:
                return

    async def _listen(self, message: Message) -> Message:
        """Keep a subscription open: when its stream ends without a result, open it again and say
        that everything may have changed, once."""
        attempt = 0
        headers = wire.routing_headers(message, {})
        again = partial(self._listens_again, message)
        while True:
            try:
                answer = await self._connection.exchange(
                    message, headers, forward=again if attempt else None
                )
                if answer.message is not None:
                    return answer.message
                attempt = 0
            except Unreachable:
                if attempt == 0:
                    raise
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    def _listens_again(self, message: Message, received: Message) -> None:
        """Pass on what comes, but for the acknowledgement, which the client has had."""
        if received["method"] != "notifications/subscriptions/acknowledged":
            self._send(received)
            return
        wanted = (message.get("params") or {}).get("notifications")
        meta = {SUBSCRIPTION_KEY: message["id"]}
        for key, method in _CHANGES.items():
            if isinstance(wanted, dict) and wanted.get(key):
                self._send({"jsonrpc": "2.0", "method": method, "params": {"_meta": meta}})

    def _required(self, answer: Answer, message: Message) -> Message:
        if answer.message is None:
            raise Unreachable(
                f"The server closed the connection before it answered {message['method']}"
            )
        if self._is_introduced and answer.error_code == METHOD_NOT_FOUND:
            empty = _EMPTY.get(message["method"])
            if empty is not None:
                complete = {"resultType": "complete"} if wire.is_stateless(message) else {}
                return wire.completed(message["id"], {**empty, **complete})
        if message["method"] == "tools/list" and wire.is_stateless(message):
            self._remember(answer.message.get("result"))
        return answer.message

    def _remember(self, result: Any) -> None:
        """Which arguments of these tools are mirrored in headers. A tool that says so in a wrong
        way is taken out of the list: it must not be called (revision 2026-07-28, Streamable HTTP).
        """
        if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
            return
        result["tools"] = [tool for tool in result["tools"] if self._can_be_called(tool)]

    def _can_be_called(self, tool: Any) -> bool:
        if isinstance(tool, dict) and isinstance(tool.get("inputSchema"), dict):
            name = str(tool.get("name"))
            try:
                self._mirrored[name] = param_headers.find(tool["inputSchema"])
            except Refused as refused:
                logger.warning("stdio_tool_left_out tool=%r reason=%s", name[:100], refused)
                return False
        return True

    # What wants no answer

    async def _post_quietly(self, message: Message) -> None:
        """Post a message; if it gets lost, nobody would notice."""
        if not self._handshake.is_due:
            with contextlib.suppress(Unreachable):
                await self._connection.exchange(message, self._handshake.headers())

    async def _hear(self) -> None:
        """Keep listening to what the server of a session says unasked."""
        session, attempt = self._handshake.session_id, 0
        while self._handshake.session_id == session:
            if not await self._connection.hear(self._handshake.headers()):
                return
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    def _send(self, message: Message) -> None:
        self._write(wire.written(message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
