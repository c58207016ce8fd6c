"""``tools/call``: from a request to a tool result.

The order of the steps matters to clients: a wrong tool name or a wrong shape of the request is a
protocol error, while everything a model could repair or should read (arguments that do not fit,
an exception of the function, a provider that left) is a result with ``isError``. Sources:
revision 2025-11-25, tools, error handling; revision 2026-07-28, Streamable HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from gateway.api import CallOptions, ValueStream
from gateway.requests import call_context, trace_context
from mcp_bridge import content, param_headers
from mcp_bridge.content import ToolResult
from mcp_bridge.errors import INVALID_PARAMS, Challenged, RpcError
from mcp_bridge.exchange import Exchange
from mcp_bridge.ladder import Request
from mcp_bridge.meta_tools import DESCRIBE, META_TOOLS, SEARCH, nearest
from mcp_bridge.offer import Offer
from mcp_bridge.outputs import OutputCheck
from mcp_bridge.parked import Asked
from mcp_bridge.profiles import usual_profile
from mcp_bridge.revisions import RESULT, carries_structured, finish_result, shape_blocks
from mcp_bridge.text import cut
from mcp_bridge.tools import Tool
from schema.errors import FunctionHeld, GatewayError, InternalError

logger = logging.getLogger(__name__)

_CONTENT: Final = CallOptions(wants_content=True)

MAX_ITEMS: Final = 10_000
MAX_ITEM_BYTES: Final = 16 * 1024 * 1024
"""A tool result is one message, so a generator without end must be stopped somewhere."""


@dataclass(slots=True)
class _Meant:
    """The tool and the arguments that a request means. ``is_direct``: it names them itself."""

    tool: Tool
    arguments: dict[str, Any]
    is_direct: bool = True


async def call_tool(offer: Offer, request: Request, exchange: Exchange) -> bytes:
    """The result of ``tools/call``. Raises RpcError."""
    meant = _meant(offer, request)
    if isinstance(meant, ToolResult):
        return _encode(offer, request, meant, declares_output=False)
    tool, arguments = meant.tool, meant.arguments
    if request.revision.is_modern and meant.is_direct:
        failure = param_headers.check(tool.mirrored, arguments, request.headers)
        if failure is not None:
            raise RpcError(failure.code, failure.message)
    result = _unfit(tool, arguments, request.size)
    if result is None:
        outcome = await _run(offer, request, tool, arguments, exchange)
        if isinstance(outcome, Asked):
            return asked_for(offer, request, outcome)
        result = offer.oversize.fit(offer.caller, outcome, tool.max_result_chars)
    return _encode(offer, request, result, declares_output=tool.output is not None)


def _unfit(tool: Tool, arguments: dict[str, Any], size: int) -> ToolResult | None:
    """What a model is told whose arguments do not fit; None if they do, or were made to. ``size``:
    the bytes they came in."""
    if tool.fills_in:
        tool.arguments.fill_in(arguments)
    problems = tool.arguments.problems(arguments, size)
    if not problems:
        return None
    lines = "\n".join(f"- {problem}" for problem in problems)
    return content.from_error(
        f"Invalid arguments for tool {tool.name}:\n{lines}\nExpected: {tool.arguments.expected}"
    )


def _meant(offer: Offer, request: Request) -> _Meant | ToolResult:
    """What is to be called; or, in search mode, the answer of a tool that searches."""
    catalogue = offer.catalogue
    name, arguments = request.params.get("name"), _arguments(request.params)
    if catalogue.search is None or not isinstance(name, str) or name not in META_TOOLS:
        return _Meant(_tool(offer, name), arguments)
    # Whatever they came in: what is looked at here is small, and nothing behind checks it again.
    unfit = _unfit(META_TOOLS[name], arguments, 0)
    if unfit is not None:
        return unfit
    profile = catalogue.profile or usual_profile(request.revision)
    if name == SEARCH:
        return catalogue.search.find(arguments, profile)
    if name == DESCRIBE:
        return catalogue.search.describe(arguments, profile)
    tool = catalogue.reachable.get(arguments["name"])
    if tool is None:
        return catalogue.search.unknown(arguments["name"])
    return _Meant(tool, arguments.get("arguments") or {}, is_direct=False)


def asked_for(offer: Offer, request: Request, asked: Asked) -> bytes:
    """The result that asks its client for something."""
    info = offer.catalogue.server_info
    return orjson.dumps(finish_result(asked.result, request.revision, info, "input_required"))


def _tool(offer: Offer, name: object) -> Tool:
    tools = offer.catalogue.reachable
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be a string")
    tool = tools.get(name)
    if tool is None and name in offer.service.held and offer.service.limits is None:
        held = FunctionHeld.named(name)
        raise RpcError(INVALID_PARAMS, held.message, {"code": held.code})
    if tool is None:
        data: dict[str, Any] = {"nearest": nearest(name, tools)}
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {cut(name, 200)}", data)
    return tool


def _arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object")
    return arguments


async def _run(
    offer: Offer, request: Request, tool: Tool, arguments: dict[str, Any], exchange: Exchange
) -> ToolResult | Asked:
    try:
        if tool.interacts:
            value = await offer.parked.talk(
                offer.caller,
                request,
                exchange,
                options_of(request),
                partial(offer.call, tool, arguments),
                place=offer.place,
            )
            if isinstance(value, Asked):
                return value
        else:
            value = await offer.call(tool, arguments, options_of(request))
        if hasattr(type(value), "__anext__"):
            return await _collect(value, exchange)
    except (InternalError, Challenged):
        raise
    except GatewayError as error:
        return content.from_error(error.wire_text())
    result = content.from_value(value, may_be_blocks=tool.via is not None)
    return result if tool.output is None else _checked(tool, tool.output, value, result)


def _checked(tool: Tool, output: OutputCheck, value: Any, result: ToolResult) -> ToolResult:
    """The result with structured content only if that is what the tool declares."""
    if result.is_error:
        return result
    if result.encoded is None and isinstance(value, str | None):
        result.encoded = content.to_json(value)
    if result.encoded is not None and not output.fits(result.encoded):
        logger.warning("mcp_result_unlike_output_schema function=%r", tool.function)
        result.encoded = None
    return result


def options_of(request: Request) -> CallOptions:
    """What goes with a call, besides its arguments."""
    context = call_context(request.headers)
    if "traceparent" in request.meta:
        # Revision 2026-07-28, trace context in ``_meta``: it is nearer to the call than headers.
        context |= trace_context(request.meta)
    return CallOptions(context=context, wants_content=True) if context else _CONTENT


async def _collect(stream: ValueStream, exchange: Exchange) -> ToolResult:
    """All items of a generator; the client sees each as progress while it is made."""
    items: list[ToolResult] = []
    room = MAX_ITEM_BYTES
    note = ""
    try:
        async for value in stream:
            item = content.from_value(value)
            items.append(item)
            room -= content.size(item)
            if exchange.wants_progress:
                await exchange.progress(len(items), content.summary(item))
            if len(items) >= MAX_ITEMS or room < 0:
                note = f"Stopped after {len(items)} items; the generator had not ended."
                break
    except GatewayError as error:
        if isinstance(error, InternalError) or not items:
            raise
        failed = content.from_error(f"{error.wire_text()} (after {len(items)} items)")
        partial = content.from_items(items)
        return ToolResult([*partial.content, *failed.content], is_error=True)
    finally:
        # Also when the client left: the provider's generator must not wait for a reader.
        with suppress(GatewayError):
            await stream.aclose()
    return content.from_items(items, note)


def _encode(offer: Offer, request: Request, outcome: ToolResult, *, declares_output: bool) -> bytes:
    revision = request.revision
    result: dict[str, Any] = {"content": shape_blocks(outcome.content, revision)}
    if outcome.encoded is not None and (outcome.has_structured or declares_output):
        if carries_structured(revision, outcome.is_object):
            result["structuredContent"] = orjson.Fragment(outcome.encoded)
        elif declares_output and revision.has_structured_content:
            # As its output schema is shown there (``revisions.shape_definition``).
            result["structuredContent"] = {RESULT: orjson.Fragment(outcome.encoded)}
    if outcome.is_error:
        result["isError"] = True
    if outcome.meta:
        result["_meta"] = outcome.meta
    return orjson.dumps(finish_result(result, revision, offer.catalogue.server_info))
