"""The methods that are served, each with the eras it exists in.

A method either has its answer at hand, as cached bytes, or has to work for it. One that is not in
the table is not served and not advertised either; adding one means a row here and its capability
in ``catalogue``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.api import LOG_LEVELS
from mcp_bridge.calls import call_tool
from mcp_bridge.errors import INVALID_PARAMS, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND, RpcError
from mcp_bridge.exchange import Exchange
from mcp_bridge.feed import is_resource
from mcp_bridge.ladder import Request
from mcp_bridge.offer import Offer
from mcp_bridge.reads import complete, get_prompt, read_resource
from mcp_bridge.resources import shown_uri, uri_of
from mcp_bridge.revisions import MODERN, negotiate
from mcp_bridge.text import cut

Answer = Callable[[Offer, Request], bytes]
Work = Callable[[Offer, Request, Exchange], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """In which eras a method exists."""

    is_modern: bool = True
    is_legacy: bool = True


@dataclass(frozen=True, slots=True)
class Immediate(Method):
    """A method whose result is at hand."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Working(Method):
    """A method that may take long and may notify its client meanwhile."""

    work: Work


@dataclass(frozen=True, slots=True)
class Standing(Method):
    """The method whose response stays open (``listening``)."""


def find(request: Request) -> Immediate | Working | Standing:
    """The method a request asks for. Raises RpcError if its era has none of that name."""
    method = METHODS.get(request.method)
    if method is not None and (
        method.is_modern if request.revision.is_modern else method.is_legacy
    ):
        return method
    data = {"supported": list(MODERN)} if request.method == "initialize" else None
    raise RpcError(METHOD_NOT_FOUND, f"Method not found: {cut(request.method, 200)}", data)


def _discover(offer: Offer, request: Request) -> bytes:
    return offer.catalogue.discovery(request.revision)


def _initialize(offer: Offer, request: Request) -> bytes:
    version = request.params.get("protocolVersion")
    client = request.params.get("clientInfo")
    if not isinstance(version, str):
        raise RpcError(INVALID_PARAMS, "params.protocolVersion must be a string")
    if not isinstance(request.params.get("capabilities"), dict):
        raise RpcError(INVALID_PARAMS, "params.capabilities must be an object")
    if not isinstance(client, dict) or not (
        isinstance(client.get("name"), str) and isinstance(client.get("version"), str)
    ):
        raise RpcError(INVALID_PARAMS, "params.clientInfo must have a name and a version")
    return offer.catalogue.handshake(negotiate(version), has_session=request.opens_session)


def _ping(_offer: Offer, _request: Request) -> bytes:
    return b"{}"


def _set_log_level(_offer: Offer, request: Request) -> bytes:
    """Without a session it is accepted from clients that always send it, and forgotten."""
    level = request.params.get("level")
    if level not in LOG_LEVELS:
        raise RpcError(INVALID_PARAMS, f"params.level must be one of {sorted(LOG_LEVELS)}")
    if request.session is not None:
        request.session.log_level = str(level)
    return b"{}"


def _subscribe(offer: Offer, request: Request) -> bytes:
    """Without a session it is accepted as well, but there is no way to tell of a change."""
    uri = uri_of(request.params)
    if not is_resource(offer, uri):
        raise RpcError(RESOURCE_NOT_FOUND, f"Resource not found: {shown_uri(uri)}", {"uri": uri})
    if request.session is not None:
        request.session.watch(offer, uri)
    return b"{}"


def _unsubscribe(offer: Offer, request: Request) -> bytes:
    uri = uri_of(request.params)
    if request.session is not None:
        request.session.unwatch(offer, uri)
    return b"{}"


def _lists(kind: str) -> Answer:
    """The method that lists what is under the key ``kind`` of its result."""

    def answer(offer: Offer, request: Request) -> bytes:
        cursor = request.params.get("cursor")
        if cursor is None or isinstance(cursor, str):
            page = offer.catalogue.page(kind, request.revision, cursor)
            if page is not None:
                return page
        raise RpcError(INVALID_PARAMS, "Invalid cursor: list again from the start")

    return answer


METHODS: Final[Mapping[str, Immediate | Working | Standing]] = {
    "server/discover": Immediate(_discover, is_legacy=False),
    "subscriptions/listen": Standing(is_legacy=False),
    "initialize": Immediate(_initialize, is_modern=False),
    "ping": Immediate(_ping, is_modern=False),
    "logging/setLevel": Immediate(_set_log_level, is_modern=False),
    "resources/subscribe": Immediate(_subscribe, is_modern=False),
    "resources/unsubscribe": Immediate(_unsubscribe, is_modern=False),
    "tools/list": Immediate(_lists("tools")),
    "tools/call": Working(call_tool),
    "resources/list": Immediate(_lists("resources")),
    "resources/templates/list": Immediate(_lists("resourceTemplates")),
    "resources/read": Working(read_resource),
    "prompts/list": Immediate(_lists("prompts")),
    "prompts/get": Working(get_prompt),
    "completion/complete": Working(complete),
}
