"""``resources/read``, ``prompts/get`` and ``completion/complete``.

Whatever a provider returns becomes a result of the protocol; what it raises is an error of the
request, because these results have no place for one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from mcp_bridge import prompts, resources
from mcp_bridge.calls import asked_for, options_of
from mcp_bridge.errors import INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, RpcError
from mcp_bridge.exchange import Exchange
from mcp_bridge.ladder import Request
from mcp_bridge.offer import Offer
from mcp_bridge.parked import Asked, Start
from mcp_bridge.resources import Source
from mcp_bridge.revisions import finish_result, shape_prompt_message
from mcp_bridge.text import cut
from schema.errors import GatewayError, InternalError


async def read_resource(offer: Offer, request: Request, exchange: Exchange) -> bytes:
    """The result of ``resources/read``. Raises RpcError."""
    uri = resources.uri_of(request.params)
    kept = offer.oversize.read(offer.caller, uri)
    if kept is not None:
        return offer.catalogue.cacheable({"contents": kept}, request.revision, is_private=True)
    found = offer.catalogue.resources.find(uri)
    if found is None:
        # Before the stateless revision it had a code of its own.
        code = INVALID_PARAMS if request.revision.is_modern else RESOURCE_NOT_FOUND
        raise RpcError(code, f"Resource not found: {resources.shown_uri(uri)}", {"uri": uri})
    value = await _value(offer, request, exchange, found.source, partial(offer.read, found))
    if isinstance(value, Asked):
        return asked_for(offer, request, value)
    result: dict[str, Any] = {"contents": resources.contents(found, value)}
    return offer.catalogue.cacheable(result, request.revision)


async def get_prompt(offer: Offer, request: Request, exchange: Exchange) -> bytes:
    """The result of ``prompts/get``. Raises RpcError."""
    name = request.params.get("name")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be a string")
    prompt = offer.catalogue.prompts.get(name)
    if prompt is None:
        raise RpcError(INVALID_PARAMS, f"Unknown prompt: {cut(name, 200)}")
    arguments = prompts.arguments_of(prompt, request.params)
    start = partial(offer.fill_in, prompt, arguments)
    value = await _value(offer, request, exchange, prompt.source, start)
    if isinstance(value, Asked):
        return asked_for(offer, request, value)
    result = prompts.result_of(prompt, value)
    result["messages"] = [shape_prompt_message(m, request.revision) for m in result["messages"]]
    return orjson.dumps(finish_result(result, request.revision, offer.catalogue.server_info))


async def complete(offer: Offer, request: Request, _exchange: Exchange) -> bytes:
    """The result of ``completion/complete``. Raises RpcError."""
    ref, argument = request.params.get("ref"), request.params.get("argument")
    if not isinstance(ref, dict) or not isinstance(argument, dict):
        raise RpcError(INVALID_PARAMS, "params.ref and params.argument must be objects")
    name, begun = argument.get("name"), argument.get("value")
    if not isinstance(name, str) or not isinstance(begun, str):
        raise RpcError(INVALID_PARAMS, "params.argument must have a name and a value")
    values: Any
    if offer.completes:
        values = await _answered(offer.complete(ref, argument, request.params.get("context")))
    else:
        values = prompts.beginning_with(_choices(offer, ref, name), begun)
    result = prompts.completions(values)
    return orjson.dumps(finish_result(result, request.revision, offer.catalogue.server_info))


def _choices(offer: Offer, ref: dict[str, Any], argument: str) -> tuple[str, ...]:
    """The values that an argument of a prompt may have. Raises RpcError for an unknown prompt or
    template."""
    if ref.get("type") == "ref/prompt":
        prompt = offer.catalogue.prompts.get(str(ref.get("name")))
        if prompt is None:
            raise RpcError(INVALID_PARAMS, f"Unknown prompt: {cut(str(ref.get('name')), 200)}")
        return prompt.choices.get(argument, ())
    if ref.get("type") == "ref/resource":
        uri = str(ref.get("uri"))
        known = (t.definition["uriTemplate"] for t in offer.catalogue.resources.templates)
        if uri not in known and offer.catalogue.resources.find(uri) is None:
            raise RpcError(INVALID_PARAMS, f"Unknown resource: {resources.shown_uri(uri)}")
        return ()
    raise RpcError(INVALID_PARAMS, "params.ref.type must be ref/prompt or ref/resource")


async def _value(
    offer: Offer, request: Request, exchange: Exchange, source: Source, start: Start
) -> Any:
    """The value, or Asked. Raises RpcError."""
    options = options_of(request)
    if source.interacts:
        talk = offer.parked.talk(offer.caller, request, exchange, options, start, place=offer.place)
        return await _answered(talk)
    return await _answered(start(options))


async def _answered(asked: Any) -> Any:
    """The value of a call. Raises RpcError with the text of the failure."""
    try:
        return await asked
    except InternalError:
        raise
    except GatewayError as error:
        raise RpcError(INTERNAL_ERROR, cut(error.wire_text(), 2_000)) from error
