"""From the arguments of a call to an HTTP request, in the styles of OpenAPI 3.1.1 (section 4.8.12).
Pure.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from gateway.upstreams.openapi.operations import (
    BODY,
    FORM,
    MULTIPART,
    Argument,
    Operation,
    is_json_type,
)
from schema.errors import InvalidArguments

_IN_QUOTES: Final = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}
"""As browsers write names of fields (HTML Living Standard, section 4.10.22.8)."""

_DELIMITERS: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


@dataclass(slots=True)
class Prepared:
    """A request without what it is sent to."""

    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


def prepare(operation: Operation, arguments: Mapping[str, Any]) -> Prepared:
    """Raises InvalidArguments."""
    known = {argument.name for argument in operation.arguments}
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise InvalidArguments(f"got an unexpected keyword argument '{unknown[0]}'")
    missing = [a.name for a in operation.arguments if a.required and arguments.get(a.name) is None]
    if missing:
        raise InvalidArguments(f"Missing required argument: '{missing[0]}'")
    given = [
        (argument, arguments[argument.name])
        for argument in operation.arguments
        if argument.name in arguments
    ]
    prepared = Prepared(operation.path)
    query: list[str] = []
    cookies: list[str] = []
    body: list[tuple[Argument, Any]] = []
    for argument, value in given:
        if argument.place == BODY:
            body.append((argument, value))
        elif value is None:
            continue
        elif argument.place == "path":
            marker = f"{{{argument.wire_name}}}"
            prepared.path = prepared.path.replace(marker, _segment(argument, value))
        elif argument.place == "query":
            query += _query(argument, value)
        elif argument.place == "header":
            prepared.headers[argument.wire_name] = _header(argument, value)
        else:
            cookies.append(f"{argument.wire_name}={quote(_simple(argument, value), safe='')}")
    prepared.query = "&".join(query)
    if cookies:
        prepared.headers["Cookie"] = "; ".join(cookies)
    _put_body(prepared, operation, body)
    return prepared


def _segment(argument: Argument, value: Any) -> str:
    text = _simple(argument, value)
    # Such a segment would not be a part of the path but a step through it (RFC 3986, 5.2.4).
    if text in ("", ".", ".."):
        raise InvalidArguments(f"Argument '{argument.name}': {text!r} cannot be part of a path")
    return quote(text, safe="" if not isinstance(value, (list, dict)) else ",=")


def _query(argument: Argument, value: Any) -> list[str]:
    name = quote(argument.wire_name, safe="[]")
    if argument.is_json:
        return [f"{name}={quote(_json(value), safe='')}"]
    if isinstance(value, Mapping):
        pairs = [(str(key), _plain(item)) for key, item in value.items()]
        if argument.style == "deepObject":
            return [f"{name}%5B{quote(k, safe='')}%5D={quote(v, safe='')}" for k, v in pairs]
        if argument.explode:
            return [f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs]
        return [f"{name}=" + ",".join(quote(part, safe="") for pair in pairs for part in pair)]
    if isinstance(value, list):
        items = [quote(_plain(item), safe="") for item in value]
        if argument.explode:
            return [f"{name}={item}" for item in items]
        return [f"{name}=" + _DELIMITERS.get(argument.style, ",").join(items)]
    return [f"{name}={quote(_plain(value), safe='')}"]


def _header(argument: Argument, value: Any) -> str:
    text = _simple(argument, value)
    if not text.isprintable() or not text.isascii():
        raise InvalidArguments(f"Argument '{argument.name}': a header is printable ASCII text")
    return text.strip()


def _simple(argument: Argument, value: Any) -> str:
    if argument.is_json:
        return _json(value)
    if isinstance(value, list):
        return ",".join(map(_plain, value))
    if isinstance(value, Mapping):
        between = "=" if argument.explode else ","
        return ",".join(f"{key}{between}{_plain(item)}" for key, item in value.items())
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=_encoded, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArguments(f"The arguments cannot be written as JSON: {error}") from None


def _encoded(value: object) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__}")


def _put_body(prepared: Prepared, operation: Operation, body: list[tuple[Argument, Any]]) -> None:
    media_type = operation.media_type
    if media_type is None or not body:
        return
    is_whole = not body[0][0].wire_name
    value = body[0][1] if is_whole else {argument.wire_name: v for argument, v in body}
    if media_type.startswith(MULTIPART):
        members = value if isinstance(value, Mapping) else {BODY: value}
        parts = [_part(str(name), item, body) for name, item in members.items()]
        boundary = secrets.token_hex(16)
        prepared.headers["Content-Type"] = f"{MULTIPART}; boundary={boundary}"
        prepared.content = b"".join(_framed(boundary, part) for part in parts)
        prepared.content += f"--{boundary}--\r\n".encode()
        return
    prepared.headers["Content-Type"] = media_type
    if is_json_type(media_type):
        prepared.content = _json(value).encode()
    elif media_type.startswith(FORM) and isinstance(value, Mapping):
        pairs = [
            (name, _plain(item))
            for name, member in value.items()
            for item in (member if isinstance(member, list) else [member])
            if item is not None
        ]
        prepared.content = urlencode(pairs).encode()
    else:
        prepared.content = _raw(value, body[0][0].schema)


def _part(name: str, value: Any, body: list[tuple[Argument, Any]]) -> tuple[str, bytes]:
    """The head of a part of a form (RFC 7578), and what is in it."""
    schema: Any = next((a.schema for a, _ in body if a.wire_name == name), {})
    shown = name.translate(_IN_QUOTES)
    head = f'Content-Disposition: form-data; name="{shown}"'
    if isinstance(value, (bytes, bytearray)) or _is_binary(schema):
        head += f'; filename="{shown}"\r\nContent-Type: application/octet-stream'
        return head, _raw(value, schema)
    return head, _plain(value).encode()


def _framed(boundary: str, part: tuple[str, bytes]) -> bytes:
    return b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), part[0].encode(), part[1])


def _raw(value: Any, schema: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    text = _plain(value)
    if _is_binary(schema):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise InvalidArguments("Bytes are written as base64") from None
    return text.encode()


def _is_binary(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("contentEncoding") == "base64"
