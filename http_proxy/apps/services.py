"""From a URL below ``/{workspace}/apps/`` to the service that answers it, by its type."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import Gateway
from gateway.requests import admit
from http_proxy.apps.exchange import Dialogue, Exchange
from http_proxy.apps.functions import Functions
from http_proxy.apps.http import HttpDialogue
from http_proxy.apps.responses import METHODS
from http_proxy.apps.scope import application_scope, is_operators
from http_proxy.apps.websocket import WebSocketDialogue, refuse
from http_proxy.arguments import MODE, parse_query
from http_proxy.callers import Callers
from http_proxy.cors import Origins, preflight
from http_proxy.replies import BytesReply
from http_proxy.request import Request
from schema.errors import GatewayError, ServiceNotFound
from schema.identity import Caller
from schema.services import ServiceInfo

_ASGI, _FUNCTIONS = "asgi", "functions"


class WebServices:
    """Answers ``/{workspace}/apps/{service}/{path}``."""

    def __init__(
        self,
        gateway: Gateway,
        callers: Callers,
        origins: Origins,
        *,
        max_body_bytes: int,
        base_path: str,
    ) -> None:
        self._gateway = gateway
        self._callers = callers
        self._origins = origins
        self._base_path = base_path
        self._functions = Functions(gateway, max_body_bytes=max_body_bytes, base_path=base_path)

    async def to_slash(self, request: Request, caller: Caller) -> ASGIApp:
        """To the application's root, which ends in a slash so that relative links work there."""
        query = request.scope["query_string"]
        named = quote(request.scope["path_params"]["service"], safe=":@*")
        target = f"./{named}/".encode() + (b"?" + query if query else b"")
        return BytesReply(307, [(b"location", target), (b"content-length", b"0")], b"")

    async def answer(self, request: Request, caller: Caller) -> ASGIApp:
        """Let the service answer. Raises GatewayError and ClientGone."""
        try:
            service = await self._find(request, caller)
        except GatewayError:
            if _is_preflight(request):
                # It comes without the credentials of what follows, which is answered for itself.
                return self._origins.applied_to(_preflight(request))
            raise
        caller = _as_seen(caller, request.workspace)
        if service.type.lower() == _ASGI:
            dialogue = HttpDialogue(is_operators=is_operators(service))
            return self._exchange(request, caller, service, dialogue)
        self._origins.check_cookie(request.headers, caller, is_page=True)
        # Whatever an application behind ASGI answers is its own business; this is the gateway's.
        return self._origins.applied_to(await self._functions.answer(request, caller, service))

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A websocket to an application, as an ASGI application."""
        await receive()  # websocket.connect, which the application gets when it asks for it
        try:
            request = Request(scope, receive)
            caller = await self._callers.identify(request)
            self._origins.check_cookie(request.headers, caller)
            admit(scope, caller)
            service = await self._find(request, caller)
            if service.type.lower() != _ASGI:
                raise ServiceNotFound(f"'{service.id}' takes no websockets")
        except GatewayError as error:
            await refuse(scope, send, error)
            return
        caller = _as_seen(caller, request.workspace)
        dialogue = WebSocketDialogue(is_operators=is_operators(service))
        exchange = self._exchange(request, caller, service, dialogue)
        await exchange(scope, _after_connect(receive), send)

    async def _find(self, request: Request, caller: Caller) -> ServiceInfo:
        query = parse_query(request.scope["query_string"])
        service = await self._gateway.find_service(
            caller, request.workspace, request.service, mode=query.get(MODE)
        )
        if service.type.lower() not in (_ASGI, _FUNCTIONS):
            raise ServiceNotFound(
                f"'{service.id}' is no web service: its type is '{service.type}', "
                "not 'asgi' or 'functions'"
            )
        return service

    def _exchange(
        self, request: Request, caller: Caller, service: ServiceInfo, dialogue: Dialogue
    ) -> Exchange:
        async def serve(arguments: dict[str, Any]) -> Any:
            return await self._gateway.call(caller, service, "serve", (arguments,), options=options)

        options = request.options
        scope = application_scope(request.scope, service, self._base_path)
        return Exchange(serve, scope, dialogue)


def _as_seen(caller: Caller, workspace: str) -> Caller:
    """How a web service sees the caller. By contract an anonymous one is in the workspace of the
    URL; it has no more rights there than anywhere, and the service has been found without any."""
    return Caller(caller.user, workspace) if caller.user.is_anonymous else caller


def _is_preflight(request: Request) -> bool:
    is_options = request.scope["method"] == "OPTIONS"
    return is_options and b"access-control-request-method" in request.headers


def _preflight(request: Request) -> ASGIApp:
    return preflight(METHODS, request.headers.get(b"access-control-request-headers"))


def _after_connect(receive: Receive) -> Receive:
    """The messages of a websocket, with the first one that was taken already."""
    connected = False

    async def received() -> Any:
        nonlocal connected
        if not connected:
            connected = True
            return {"type": "websocket.connect"}
        return await receive()

    return received
