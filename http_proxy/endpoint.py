"""The edge of the HTTP door: method, caller, and the one place where an exception becomes a
response. What a resource does is its handler's affair.

A handler returns its response as an ASGI application and is done with it: nothing that happens
once a response has begun can turn into a second one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.compression import MIN_BYTES
from gateway.requests import admit
from http_proxy.callers import Callers
from http_proxy.compression import compressed
from http_proxy.cors import preflight
from http_proxy.errors import MethodNotAllowed, ResultTooLarge, defect, error_reply, is_defect
from http_proxy.negotiation import negotiate
from http_proxy.replies import BytesReply
from http_proxy.request import ClientGone, Request
from schema.errors import GatewayError
from schema.identity import Caller

Handler = Callable[[Request, Caller], Awaitable[ASGIApp]]

logger = logging.getLogger(__name__)


class Endpoint:
    """One resource, as an ASGI application."""

    def __init__(
        self,
        handler: Handler,
        callers: Callers,
        methods: Sequence[str] | None,
        *,
        max_response_bytes: int,
    ) -> None:
        """``methods`` that the resource has besides OPTIONS; None: the handler decides."""
        self._handler = handler
        self._max_response_bytes = max_response_bytes
        self._callers = callers
        self._methods = frozenset(methods) if methods is not None else None
        self._allow = ", ".join((*(methods or ()), "OPTIONS"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._reply(scope, receive)
        except ClientGone:
            return
        if type(reply) is BytesReply and len(reply.body) >= MIN_BYTES:
            if len(reply.body) > self._max_response_bytes:
                reply = failure_reply(ResultTooLarge(self._max_response_bytes), scope)
            else:
                reply = await compressed(reply, scope)
        await reply(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> ASGIApp:
        try:
            if self._methods is not None and scope["method"] not in self._methods:
                return self._other_method(scope)
            request = Request(scope, receive, max_response_bytes=self._max_response_bytes)
            caller = await self._callers.identify(request)
            admit(scope, caller)
            reply = await self._handler(request, caller)
            if self._methods is not None and not caller.user.is_anonymous:
                _keep_private(reply)
            return reply
        except ClientGone:
            raise
        except Exception as error:
            if is_defect(error):
                logger.exception(
                    "http_request_failed method=%s path=%r", scope["method"], scope["path"]
                )
            return failure_reply(error, scope)

    def _other_method(self, scope: Scope) -> ASGIApp:
        if scope["method"] != "OPTIONS":
            raise MethodNotAllowed(scope["method"], self._allow)
        requested = dict(scope["headers"]).get(b"access-control-request-headers")
        return preflight(self._allow, requested)


def _keep_private(reply: ASGIApp) -> None:
    """What a caller may see is for that caller: a cookie, unlike ``Authorization``, does not keep
    shared caches from storing an answer (RFC 9111, section 3.5)."""
    if type(reply) is BytesReply and all(name != b"cache-control" for name, _ in reply.headers):
        reply.headers = [*reply.headers, (b"cache-control", b"private, no-store")]


def failure_reply(error: Exception, scope: Scope) -> BytesReply:
    """The response for whatever went wrong; of a defect it tells nothing but that it is one."""
    told = error if isinstance(error, GatewayError) else defect()
    return error_reply(told, as_problem=_wants_problem(scope))


def _wants_problem(scope: Scope) -> bool:
    # Not through Request: what failed may be the very headers.
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return negotiate(accept, None).problem
