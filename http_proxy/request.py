"""Reads a request straight from ASGI: headers in one pass, the body within its limit.

Starlette's ``Request`` is not used here: its parsed mappings cost more than a whole small call.
What the bytes mean is decided elsewhere (``arguments``, ``callers``, ``negotiation``).
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from starlette.types import Message, Receive, Scope

from gateway.api import DEFAULT_OPTIONS, CallOptions
from gateway.bodies import UNCOUNTED_BYTES
from gateway.requests import call_context, expect_body, hold_body
from http_proxy.errors import UnsupportedCoding
from http_proxy.negotiation import Formats, Media, media_of, negotiate
from schema.errors import InvalidRequest, PayloadTooLarge, Unauthenticated
from schema.ids import MANAGER, MANAGER_WORD

_WINDOWS = {
    b"gzip": 16 + zlib.MAX_WBITS,
    b"x-gzip": 16 + zlib.MAX_WBITS,
    b"deflate": zlib.MAX_WBITS,
}
"""Content codings that bodies may have, with what zlib calls them. By RFC 9110 section 8.4.1.2,
deflate is the zlib format."""


class ClientGone(Exception):
    """The client left before its request was complete or its response begun; there is
    nobody left to tell."""


class Request:
    """One HTTP request."""

    __slots__ = ("headers", "max_response_bytes", "receive", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, *, max_response_bytes: int | None = None
    ) -> None:
        """``max_response_bytes`` is the most that an item of its answer may have; None: any number.

        Raises Unauthenticated for several ``Authorization`` headers.
        """
        self.max_response_bytes = max_response_bytes
        self.scope = scope
        self.receive = receive
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        headers = dict(raw)
        self.headers: dict[bytes, bytes] = headers if len(headers) == len(raw) else _joined(raw)

    @property
    def workspace(self) -> str:
        name: str = self.scope["path_params"]["workspace"]
        return name

    @property
    def service(self) -> str:
        """The service of the path, as the gateway is asked for it."""
        name: str = self.scope["path_params"]["service"]
        # Clients know the workspace manager by this word; the registry has its own for it.
        return MANAGER if name == MANAGER_WORD else name

    @property
    def function(self) -> str:
        """Dotted path inside the service; a path with slashes means the same."""
        path: str = self.scope["path_params"]["function"]
        return path.strip("/").replace("/", ".") if "/" in path else path

    @property
    def media(self) -> Media:
        return media_of(self.headers.get(b"content-type"))

    @property
    def formats(self) -> Formats:
        """What this caller wants to get."""
        return negotiate(self.headers.get(b"accept"), self.headers.get(b"content-type"))

    @property
    def options(self) -> CallOptions:
        """Conditions of the call that it asks for: the function is told of the request."""
        context = call_context(self.headers)
        return CallOptions(context=context) if context else DEFAULT_OPTIONS

    async def body(self, limit: int) -> bytes:
        """The body, decompressed.

        Raises PayloadTooLarge if it is, or inflates to, more than ``limit`` bytes, Overloaded if
        there is no room for it beside the bodies of other requests,
        UnsupportedCoding for a content coding that is not known (RFC 9110 section 15.5.16),
        InvalidRequest for broken gzip, and ClientGone.
        """
        coding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        window = _WINDOWS.get(coding)
        if window is None and coding not in (b"identity", b""):
            raise UnsupportedCoding
        self._check_declared_length(limit)
        if window is not None:
            return await self._inflated(window, limit)
        message = await self.receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            self._hold(len(body), limit)
            return body
        parts: list[bytes] = []
        size = 0
        async for part in self._parts(message):
            size += len(part)
            self._hold(size, limit)
            parts.append(part)
        return b"".join(parts)

    async def has_body(self) -> bool:
        """Whether a body follows, reading no more of it than needed. Raises ClientGone."""
        declared = self.headers.get(b"content-length")
        if declared is not None:
            return declared.strip(b"0") != b""
        async for part in self._parts(await self.receive()):
            if part:
                return True
        return False

    async def _inflated(self, window: int, limit: int) -> bytes:
        inflate = zlib.decompressobj(window)
        parts: list[bytes] = []
        size = 0
        begun = False
        async for part in self._parts(await self.receive()):
            data = part
            while data:
                begun = True
                if inflate.eof:  # gzip allows several members in a row (RFC 1952 section 2.2)
                    inflate = zlib.decompressobj(window)
                try:
                    # Never inflate more than shows that it is too much.
                    plain = inflate.decompress(data, limit - size + 1)
                except zlib.error as error:
                    text = f"Invalid request body: cannot be decompressed ({error})"
                    raise InvalidRequest(text) from None
                size += len(plain)
                self._hold(size, limit)
                parts.append(plain)
                data = inflate.unused_data
        if begun and not inflate.eof:
            raise InvalidRequest("Invalid request body: the compressed data is incomplete")
        return b"".join(parts)

    async def _parts(self, message: Message) -> AsyncIterator[bytes]:
        while True:
            if message["type"] != "http.request":
                raise ClientGone
            yield message.get("body", b"")
            if not message.get("more_body"):
                return
            message = await self.receive()

    def _check_declared_length(self, limit: int) -> None:
        declared = self.headers.get(b"content-length")
        if declared is None:
            return
        if not declared.isdigit():
            raise InvalidRequest("Content-Length is not a number")
        if len(declared) > 18 or int(declared) > limit:
            raise _too_large(limit)
        expect_body(self.scope, int(declared))

    def _hold(self, size: int, limit: int) -> None:
        """So much of the body is there. Raises PayloadTooLarge and Overloaded."""
        if size > limit:
            raise _too_large(limit)
        if size > UNCOUNTED_BYTES:
            hold_body(self.scope, size)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {limit} bytes")


def _joined(raw: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Repeated headers joined into one value (RFC 9110 section 5.3, RFC 9113 section 8.2.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        if name not in headers:
            headers[name] = value
        elif name == b"authorization":
            raise Unauthenticated("The request carries several Authorization headers")
        else:
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
    return headers
