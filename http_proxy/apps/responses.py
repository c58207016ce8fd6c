"""What a function of a ``functions`` service returns → a complete response. Pure.

A map of ``status``, ``headers`` and ``body`` is a response; anything else is a value and goes out
as JSON.
"""

from __future__ import annotations

from typing import Any, Final

from http_proxy.apps.http import as_bytes, response_headers
from http_proxy.encoding import to_json
from http_proxy.replies import ANY_ORIGIN, BytesReply, Header
from schema.errors import InvalidRequest, ServiceError
from schema.values import MEMORY_VIEW, RTYPE, TYPED_ARRAY, rtype

_KEYS: Final = frozenset({"status", "headers", "body"})
_CONTENT_TYPE, _CONTENT_LENGTH = b"content-type", b"content-length"
_WITHOUT_BODY: Final = frozenset({204, 304})
_CORS_PREFIX: Final = b"access-control-"
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_EXPOSED: Final[Header] = (b"access-control-expose-headers", b"Content-Disposition")


def is_response(value: Any) -> bool:
    """Whether a returned value describes a response."""
    if not isinstance(value, dict) or RTYPE in value or _KEYS.isdisjoint(value):
        return False
    if "status" in value:
        status = value["status"]
        if type(status) is not int or not 200 <= status <= 599:
            return False
        return "body" in value or "headers" in value or value.keys() <= _KEYS
    return value.keys() <= _KEYS


def response_of(value: Any, *, is_operators: bool = False) -> BytesReply:
    """The response for what a function returned. Who may read it across origins is the gateway's
    rule, not the function's. Raises ServiceError for headers that cannot be sent."""
    if not is_response(value):
        value = {"body": value, "headers": {"content-type": "application/json"}, "json": True}
    status: int = value.get("status", 200)
    try:
        headers = response_headers(value.get("headers") or {}, is_operators=is_operators)
    except InvalidRequest as error:
        raise ServiceError(error.message) from None
    headers = [
        pair
        for pair in headers
        if pair[0] != _CONTENT_LENGTH and not pair[0].startswith(_CORS_PREFIX)
    ]
    body, is_json = _body(value.get("body"), always_json="json" in value)
    if is_json and all(name != _CONTENT_TYPE for name, _ in headers):
        headers.append((_CONTENT_TYPE, b"application/json"))
    if status in _WITHOUT_BODY:
        body = b""
    else:
        headers.append((_CONTENT_LENGTH, b"%d" % len(body)))
    return BytesReply(status, [*headers, ANY_ORIGIN, _EXPOSED], body)


def _body(body: Any, *, always_json: bool) -> tuple[bytes, bool]:
    if not always_json:
        if body is None or isinstance(body, (str, bytes)):
            return as_bytes(body), False
        if rtype(body) in (MEMORY_VIEW, TYPED_ARRAY):
            return as_bytes(body), False
    return to_json(body), True
