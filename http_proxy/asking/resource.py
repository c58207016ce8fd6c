"""Calls of functions that may ask, and ``/{workspace}/asks/{id}`` where callers answer them.

A caller that accepts events reads what happens as it happens. Others get 202 (RFC 9110 section
15.3.3) with the URL of what is asked; the request that answers there gets what the call returns.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.types import ASGIApp

from http_proxy.arguments import parse_query
from http_proxy.asking.conversation import Conversation, still_open
from http_proxy.asking.events import FRAMING, EventStream, Start
from http_proxy.asking.register import Ask, Owner, Register
from http_proxy.asking.replies import read_answers
from http_proxy.encoding import from_json, to_json, value_reply
from http_proxy.negotiation import Media
from http_proxy.replies import ANY_ORIGIN, BytesReply, Header, content
from http_proxy.request import Request
from http_proxy.streams import is_stream, open_stream
from http_proxy.waiting import limit_of, waited_for, within
from schema.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from schema.identity import Caller

_JSON: Final = b"application/json"
_NOT_STORED: Final[Header] = (b"cache-control", b"no-store")


class Asking:
    """See the module."""

    def __init__(self, base_url: str, max_body_bytes: int) -> None:
        self._register = Register(base_url)
        self._max_body_bytes = max_body_bytes

    async def call(
        self, request: Request, caller: Caller, start: Start, limit_seconds: float | None
    ) -> ASGIApp:
        """The answer to the request that calls a function. Raises GatewayError and ClientGone."""
        owner = Owner.of(caller, request.workspace)
        if request.formats.events:
            stream = EventStream(self._register, owner)
            stream.begin(lambda to: within(limit_seconds, start(to)))
            return await open_stream(stream, request, FRAMING)
        conversation = Conversation()
        conversation.begin(start(conversation))
        return await self._turn(conversation, owner, request, limit_seconds)

    async def answer(self, request: Request, caller: Caller) -> ASGIApp:
        """What is asked at a URL, or what becomes of the answer. Raises GatewayError and
        ClientGone."""
        id, owner = request.scope["path_params"]["id"], Owner.of(caller, request.workspace)
        if request.scope["method"] != "POST":
            return _asking(self._register.find(id, owner), 200)
        limit = limit_of(request, parse_query(request.scope["query_string"]))
        body = await self._posted(request)
        # Found only now: the body may have been long in coming.
        ask = self._register.find(id, owner)
        if open_ := still_open(ask.questions):
            for key, answer in read_answers(open_, body).items():
                open_[key].answered.set_result(answer)
        if ask.parked is None:
            if not still_open(ask.questions):
                self._register.close(ask)
            return BytesReply(204, [ANY_ORIGIN, _NOT_STORED], b"")
        self._register.close(ask)
        return await self._turn(ask.parked, owner, request, limit)

    async def _posted(self, request: Request) -> Any:
        if request.media is not Media.JSON:
            raise UnsupportedMediaType("Send answers as application/json")
        try:
            return from_json(await request.body(self._max_body_bytes))
        except PayloadTooLarge:
            raise
        except InvalidRequest as error:
            raise InvalidRequest(f"Invalid request body: {error.message}") from None

    async def _turn(
        self,
        conversation: Conversation,
        owner: Owner,
        request: Request,
        limit_seconds: float | None,
    ) -> ASGIApp:
        """What the call returns, or 202 as soon as it asks. It is cancelled if its caller leaves
        or has waited long enough."""
        try:
            if await waited_for(conversation.turn(), request, limit_seconds):
                value = conversation.result()
                if is_stream(value):
                    return await open_stream(value, request)
                return value_reply(value, request.formats)
            ask = self._register.open(
                owner, conversation.questions, conversation.cancel, conversation
            )
        except BaseException:
            conversation.cancel()
            raise
        return _asking(ask, 202)


def _asking(ask: Ask, status: int) -> BytesReply:
    body = {"success": True, "state": "asking", **ask.told()}
    location = [(b"location", ask.url.encode())] if status == 202 else []
    return content(to_json(body), _JSON, status=status, more=[_NOT_STORED, *location])
