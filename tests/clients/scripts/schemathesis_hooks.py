"""What schemathesis has to know beyond a document: msgpack, and that a countdown takes its time.

It runs in the environment of the OpenAPI tools, not in that of the tests.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack
import schemathesis

MEDIA_TYPE = "application/msgpack"
NEVER_MSGPACK = b"\xc1"
"""In place of values that msgpack has no form for."""


@schemathesis.serializer(MEDIA_TYPE)
def to_msgpack(ctx: Any, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        packed: bytes = msgpack.packb(value)
    except (OverflowError, TypeError, ValueError):
        return NEVER_MSGPACK
    return packed


@schemathesis.deserializer(MEDIA_TYPE)
def from_msgpack(ctx: Any, response: Any) -> Any:
    """The value, or the items of a stream."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(response.content)
    values = list(unpacker)
    return values[0] if len(values) == 1 else values


@schemathesis.deserializer("application/x-ndjson")
def from_ndjson(ctx: Any, response: Any) -> Any:
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: dict[str, Any]) -> None:
    for arguments in (case.body, case.query):
        if isinstance(arguments, dict) and "start" in arguments:
            arguments["start"] = at_most_one(arguments["start"])


def at_most_one(start: Any) -> Any:
    """The number, or 1; whatever else it is stays as it is."""
    try:
        return min(start, 1) if isinstance(start, float | int) else str(min(int(start), 1))
    except (TypeError, ValueError):
        return start
