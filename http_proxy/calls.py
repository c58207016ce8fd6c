"""The call resource: one function (or constant) of one service.

It asks the gateway and keeps nothing between requests. When its client leaves, a call is waited for
no longer (``waiting``) and a stream is closed (``streams``); a function that has begun runs to its
end, because nothing could tell it otherwise. Functions that may ask are the matter of ``asking``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from gateway.api import Gateway, Interaction
from gateway.requests import release_body
from http_proxy.arguments import (
    MODE,
    Arguments,
    for_function,
    from_body,
    from_query,
    parse_query,
    unsupported,
    with_defaults,
)
from http_proxy.asking.resource import Asking
from http_proxy.cors import Origins
from http_proxy.encoding import value_reply
from http_proxy.fault import judged
from http_proxy.forms import from_form
from http_proxy.negotiation import Media
from http_proxy.request import Request
from http_proxy.streams import is_stream, open_stream
from http_proxy.waiting import limit_of, waited_for
from schema.errors import ServiceError
from schema.functions import FunctionInfo
from schema.identity import Caller
from schema.services import ServiceInfo
from schema.values import METHOD, rtype

Resource = Callable[[Request, ServiceInfo], Awaitable[ASGIApp]]


class Calls:
    """Answers ``/{workspace}/services/{service}/{function}``. ``resources`` are what every service
    has under such an address, if it has no function of that name."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        asking: Asking,
        max_body_bytes: int,
        resources: Mapping[str, Resource] | None = None,
        origins: Origins | None = None,
    ) -> None:
        """``origins`` are those whose pages may send forms with the browser's cookies."""
        self._gateway = gateway
        self._asking = asking
        self._origins = origins or Origins()
        self._max_body_bytes = max_body_bytes
        self._resources = resources or {}

    async def answer(self, request: Request, caller: Caller) -> ASGIApp:
        """Call the function, or read the constant. Raises GatewayError and ClientGone."""
        self._origins.check_cookie(request.headers, caller)
        query = parse_query(request.scope["query_string"])
        service = await self._gateway.find_service(
            caller, request.workspace, request.service, mode=query.get(MODE)
        )
        function = service.functions.get(request.function)
        if request.scope["method"] == "POST":
            arguments = await self._posted(request, function)
        else:
            if function is None and (resource := self._resources.get(request.function)):
                return await resource(request, service)
            arguments = from_query(query, function)
        arguments = with_defaults(arguments, function)
        limit = limit_of(request, query)
        if function is not None and function.takes_interaction:
            start = partial(self._told, request, caller, service, arguments)
            return await self._asking.call(request, caller, start, limit)
        try:
            value = await waited_for(
                self._value(request, caller, service, arguments), request, limit
            )
            if is_stream(value):
                release_body(request.scope)
                return await open_stream(value, request)
        except ServiceError as error:
            raise judged(error, function, arguments) from error
        return value_reply(value, request.formats)

    async def _posted(self, request: Request, function: FunctionInfo | None) -> Arguments:
        media = request.media
        if media is Media.JSON or media is Media.MSGPACK:
            return from_body(await request.body(self._max_body_bytes), media, function)
        if media is Media.FORM or media is Media.MULTIPART:
            return Arguments(named=for_function(await self._form(request, media), function))
        if await request.has_body():
            raise unsupported()
        return Arguments()

    async def _form(self, request: Request, media: Media) -> dict[str, Any]:
        # Programs that send nothing still name a type: curl -d '' says it is a form.
        body = await request.body(self._max_body_bytes)
        return from_form(body, media, request.headers[b"content-type"]) if body else {}

    async def _told(
        self,
        request: Request,
        caller: Caller,
        service: ServiceInfo,
        arguments: Arguments,
        interaction: Interaction,
    ) -> Any:
        """The value of a function that may reach its caller through ``interaction``."""
        name, options = request.function, replace(request.options, interaction=interaction)
        try:
            return await self._gateway.call(
                caller, service, name, arguments.positional, arguments.named, options
            )
        except ServiceError as error:
            raise judged(error, service.functions.get(name), arguments) from error

    async def _value(
        self, request: Request, caller: Caller, service: ServiceInfo, arguments: Arguments
    ) -> Any:
        function = request.function
        if function not in service.functions:
            # Not declared: a constant, or a function that its provider did not describe.
            member = await self._gateway.read(caller, service, function)
            if rtype(member) != METHOD and not callable(member):
                return member
        return await self._gateway.call(
            caller, service, function, arguments.positional, arguments.named, request.options
        )
