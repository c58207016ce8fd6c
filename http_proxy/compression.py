"""Large answers of this door in gzip, for those who can read it."""

from __future__ import annotations

from starlette.types import Scope

from gateway.compression import VARY, gzipped, is_worth_it, may_be_gzip
from http_proxy.replies import BytesReply


async def compressed(reply: BytesReply, scope: Scope) -> BytesReply:
    """The reply as it is, or its body in gzip."""
    if not is_worth_it(reply.headers, len(reply.body)):
        return reply
    if not may_be_gzip(scope):
        return BytesReply(reply.status, [*reply.headers, VARY], reply.body)
    headers, body = await gzipped(reply.headers, reply.body)
    return BytesReply(reply.status, headers, body)
