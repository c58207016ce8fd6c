"""Values → bytes and back, with the envelopes in which JSON carries what it has no form for. Pure.

Envelopes are maps with ``_rtype``. msgpack callers get and send them as they are on the RPC wire.
In JSON, binary content is base64 (RFC 4648 section 4, with padding), in both directions::

    {"_rtype": "bytes", "_rvalue": "<base64>"}
    {"_rtype": "ndarray", "_rvalue": "<base64>", "_rshape": [2, 3], "_rdtype": "float32"}
    {"_rtype": "typedarray", "_rvalue": "<base64>", "_rdtype": "uint8"}
    {"_rtype": "memoryview", "_rvalue": "<base64>"}

Every other envelope passes with its members treated as values. NaN and infinities become null,
keys that are not text become text, integers keep all their digits.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

import msgpack
import orjson

from http_proxy.errors import NotAcceptable
from http_proxy.negotiation import Formats, Media
from http_proxy.replies import BytesReply, content
from schema import volume
from schema.errors import InvalidRequest
from schema.integers import has_wide_integer
from schema.values import MEMORY_VIEW, NDARRAY, RTYPE, TYPED_ARRAY, rtype

BYTES = "bytes"
MAX_DEPTH = 254
"""Levels that JSON may nest, in and out: what orjson writes, so that whatever is accepted can also
be answered; far below what the msgpack of the RPC wire carries."""

_RVALUE = "_rvalue"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BINARY = frozenset({NDARRAY, TYPED_ARRAY, MEMORY_VIEW})
_BYTES_LIKE = (bytes, bytearray, memoryview)
_OPTIONS = orjson.OPT_NON_STR_KEYS


def value_reply(value: Any, formats: Formats) -> BytesReply:
    """The response for a result, unwrapped. Raises NotAcceptable."""
    if formats.raw_bytes and isinstance(value, bytes):
        return content(value, b"application/octet-stream")
    if formats.value is Media.MSGPACK:
        return content(to_msgpack(value), b"application/msgpack")
    return content(to_json(value), b"application/json")


def to_json(value: Any) -> bytes:
    """Compact JSON. Raises NotAcceptable for a value that has no JSON form."""
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except TypeError:
        pass  # bytes, integers beyond 64 bits, unpaired surrogates, odd keys, or too deep
    plain = _plain(value, MAX_DEPTH)
    try:
        return orjson.dumps(plain, option=_OPTIONS)
    except TypeError:
        text = json.dumps(plain, separators=(",", ":"), default=_by_orjson)
        return text.encode()


def to_msgpack(value: Any) -> bytes:
    """msgpack, envelopes as they are. Raises NotAcceptable for a value that has no such form."""
    try:
        packed: bytes = msgpack.packb(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotAcceptable(f"The result cannot be expressed in msgpack: {error}") from None
    return packed


def from_json(data: bytes) -> Any:
    """Parse JSON and open its envelopes. Raises InvalidRequest: malformed, too deep, an integer
    that is not carried exactly, or an envelope that is not base64; PayloadTooLarge for too many
    values."""
    volume.check_json(data)
    try:
        value = orjson.loads(data.removeprefix(_BYTE_ORDER_MARK))  # RFC 8259 section 8.1
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"not JSON ({error})") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    if has_wide_integer(data):
        raise InvalidRequest("an integer beyond 64 bits; send it as text")
    # Most bodies hold no envelope, and need no walk.
    return _opened(value) if b'"_rtype"' in data else value


def from_msgpack(data: bytes) -> Any:
    """Parse msgpack, envelopes as they are. Raises InvalidRequest: malformed, or a map with keys
    that are not text, which clients in Python do not read and would never answer; PayloadTooLarge
    for too many values."""
    try:
        return volume.unpack(data, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise InvalidRequest(f"not msgpack ({error})") from None


def _check_depth(value: Any) -> None:
    try:
        orjson.dumps(value)  # an order of magnitude faster than walking the value here
    except TypeError:
        raise InvalidRequest(f"JSON that nests deeper than {MAX_DEPTH} levels") from None


def _opened(value: Any) -> Any:
    """A parsed value with its binary envelopes turned back into bytes, changed in place."""
    if isinstance(value, list):
        value[:] = map(_opened, value)
    elif isinstance(value, dict):
        kind, inner = rtype(value), value.get(_RVALUE)
        if kind == BYTES:
            return _from_base64(inner)
        if kind in _BINARY and not isinstance(inner, dict):
            value[_RVALUE] = _from_base64(inner)
        for key, item in value.items():
            value[key] = _opened(item)
    return value


def _from_base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InvalidRequest(f"{_RVALUE} is not base64") from None


def _plain(value: Any, levels: int) -> Any:
    """A copy of a value in which everything has a JSON form."""
    if levels < 0:
        raise NotAcceptable(
            f"The result nests deeper than {MAX_DEPTH} levels, which JSON does not carry here; "
            "ask for application/msgpack"
        )
    if isinstance(value, dict):
        inner = value.get(_RVALUE)
        if isinstance(inner, _BYTES_LIKE) and rtype(value) in _BINARY:
            value = {**value, _RVALUE: _to_base64(inner)}
        return {_key(key): _plain(item, levels - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, levels - 1) for item in value]
    if isinstance(value, _BYTES_LIKE):
        return {RTYPE: BYTES, _RVALUE: _to_base64(value)}
    if isinstance(value, msgpack.Timestamp):
        return value.to_datetime()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    try:
        # As orjson writes keys that it knows, so that both ways agree.
        written: str = next(iter(orjson.loads(orjson.dumps({key: 0}, option=_OPTIONS))))
    except TypeError:
        return str(key)
    return written


def _to_base64(data: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(data).decode("ascii")


def _by_orjson(value: Any) -> Any:
    """What orjson can write and json cannot (dates, UUIDs), next to an integer of many digits."""
    try:
        return orjson.loads(orjson.dumps(value, option=_OPTIONS))
    except TypeError:
        raise NotAcceptable(
            f"The result holds a value of type {type(value).__name__}, which JSON cannot express"
        ) from None
