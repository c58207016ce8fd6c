"""What an API answered, as a value or as an error. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from gateway.upstreams.openapi.operations import is_json_type
from schema.errors import ServiceError

HTTP_ERROR: Final = "HTTPError"
MAX_ERROR_BODY: Final = 1_000
MIN_SECRET: Final = 6
"""Shorter texts are no secrets, and would be found everywhere."""

_MASK: Final = "***"


def value_of(status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> Any:
    """JSON as what it says, text as text, anything else as bytes, nothing as None.

    ``secrets`` are texts of the request that must not come back. Raises ServiceError for a status
    of 300 or more.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if status >= 300:
        raise ServiceError(_error_text(status, media_type, body, secrets), remote_type=HTTP_ERROR)
    if status == HTTPStatus.NO_CONTENT or not body:
        return None
    if is_json_type(media_type):
        try:
            return json.loads(_masked(_decoded(body, headers), secrets))
        except (ValueError, RecursionError):
            raise ServiceError("The answer says that it is JSON, and is not") from None
    if media_type.startswith("text/") or media_type in _TEXTS:
        return _masked(_decoded(body, headers), secrets)
    return body


_TEXTS: Final = ("application/xml", "application/yaml", "application/x-ndjson")


def _error_text(status: int, media_type: str, body: bytes, secrets: Iterable[str]) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    text = body[: 4 * MAX_ERROR_BODY].decode("utf-8", "replace").strip()
    if not (is_json_type(media_type) or media_type == "text/plain"):
        text = ""  # a page for people, or bytes
    shown = _masked(text, secrets)[:MAX_ERROR_BODY]
    return f"HTTP {status}{phrase}" + (f": {shown}" if shown else "")


def _decoded(body: bytes, headers: Mapping[str, str]) -> str:
    _, found, charset = headers.get("content-type", "").lower().partition("charset=")
    try:
        return body.decode(charset.split(";")[0].strip().strip('"') if found else "utf-8-sig")
    except (LookupError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, _MASK)
    return text


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Texts in the headers of a request that prove something: their values, and what follows a
    scheme like ``Bearer``. The longest first, so that none is left in part."""
    found: set[str] = set()
    for value in headers.values():
        found |= {value, value.rpartition(" ")[2]}
    return sorted(found, key=len, reverse=True)
