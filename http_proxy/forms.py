"""Form bodies → the arguments of a call. Pure.

A field is read like a parameter of a URL; a part that says it is JSON is that, and a file is its
bytes. A name that comes several times is a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from http_proxy.arguments import read_value
from http_proxy.encoding import from_json
from http_proxy.negotiation import Media, media_of
from schema.errors import InvalidRequest, PayloadTooLarge

MAX_FIELDS: Final = 1000


def from_form(body: bytes, media: Media, content_type: bytes) -> dict[str, Any]:
    """Values by name. Raises InvalidRequest for what is no such form."""
    if media is Media.MULTIPART:
        return _collected(_from_multipart(body, content_type))
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest(f"Invalid request body: not a form ({error})") from None
    return _collected((name, read_value(name, text)) for name, text in pairs)


def _collected(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _from_multipart(body: bytes, content_type: bytes) -> list[tuple[str, Any]]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise InvalidRequest("Invalid request body: the Content-Type of a form has no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(_without_preamble(body, boundary))
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest(f"Invalid request body: not a form ({error})") from None
    if not parts.is_complete:
        raise InvalidRequest("Invalid request body: the form is incomplete")
    return [_value(headers, content) for headers, content in parts.found]


def _without_preamble(body: bytes, boundary: bytes) -> bytes:
    """A multipart body without what may stand in front of it (RFC 2046 section 5.1.1)."""
    start = b"\r\n--" + boundary
    begins_at = -1 if body.startswith(start[2:]) else body.find(start)
    return body if begins_at < 0 else body[begins_at + 2 :]


class _Parts:
    """Takes what the parser finds: headers and content of each part."""

    def __init__(self) -> None:
        self.found: list[tuple[dict[bytes, bytes], bytes]] = []
        self.is_complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._text = b""
        self._content: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        if len(self.found) >= MAX_FIELDS:
            raise InvalidRequest(f"Invalid request body: more than {MAX_FIELDS} fields")
        self._headers, self._content = {}, []

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._text += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._text
        self._name = self._text = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        self.found.append((self._headers, b"".join(self._content)))

    def _all(self) -> None:
        self.is_complete = True


def _value(headers: dict[bytes, bytes], content: bytes) -> tuple[str, Any]:
    options = parse_options_header(headers.get(b"content-disposition", b""))[1]
    if b"name" not in options:
        raise InvalidRequest("Invalid request body: a part of the form has no name")
    name = options[b"name"].decode("utf-8", "replace")
    if b"filename" in options:
        return name, content
    declared = headers.get(b"content-type")
    if declared is not None and media_of(declared) is Media.JSON:
        try:
            return name, from_json(content)
        except PayloadTooLarge:
            raise
        except InvalidRequest as error:
            raise InvalidRequest(f"Invalid form field {name!r}: {error.message}") from None
    try:
        return name, read_value(name, content.decode())
    except UnicodeDecodeError:
        return name, content
