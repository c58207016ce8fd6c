"""From what a method gives or raises to a reply: the JSON-RPC message and its HTTP status."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson

from mcp_bridge.errors import INTERNAL, Failure, RpcError, endpoint_failure
from mcp_bridge.exchange import Exchange, Reply
from mcp_bridge.ladder import Request
from schema.errors import GatewayError, InternalError

if TYPE_CHECKING:
    from mcp_bridge.methods import Work
    from mcp_bridge.offer import Offer

logger = logging.getLogger(__name__)


async def worked(work: Work, offer: Offer, request: Request, exchange: Exchange) -> Reply:
    """The reply to a request whose method has to work for it. Never raises an error."""
    try:
        return completed(request, await work(offer, request, exchange))
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes a response
        return failed(error, request)


def completed(request: Request, result: bytes) -> Reply:
    """The reply with a result."""
    request_id = orjson.dumps(request.id)
    return Reply(b'{"jsonrpc":"2.0","id":' + request_id + b',"result":' + result + b"}")


def failed(error: Exception, request: Request) -> Reply:
    """The reply for whatever a method, or opening the endpoint, has raised."""
    if isinstance(error, RpcError):
        failure = error.failure
    elif isinstance(error, GatewayError) and not isinstance(error, InternalError):
        failure = endpoint_failure(error)
    else:
        failure = INTERNAL
        logger.error("mcp_request_failed method=%r", request.method[:100], exc_info=error)
    return refused(failure, request.id, is_modern=request.revision.is_modern)


def refused(
    failure: Failure, request_id: str | int | None = None, *, is_modern: bool = False
) -> Reply:
    """The reply for a failure."""
    status = failure.http_status(is_modern=is_modern)
    return Reply(failure.body(request_id), status, failure.headers)
