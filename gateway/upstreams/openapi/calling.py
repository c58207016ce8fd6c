"""Sends the requests of an API. Imported when there is one: the HTTP library takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.upstreams.entries import Upstream
from gateway.upstreams.http_client import MAX_REDIRECTS, with_headers
from gateway.upstreams.http_connection import AnswerTooLarge, ConnectionFailed
from gateway.upstreams.http_pool import FRAMING, CannotConnect, Host, redirected, request_of
from gateway.upstreams.openapi.answers import secrets_of, value_of
from gateway.upstreams.openapi.document import MAX_BYTES, BadDocument, origin
from gateway.upstreams.openapi.operations import Operation
from gateway.upstreams.openapi.requests import prepare
from schema.errors import CallTimeout, ProviderGone, ServiceError

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_USER_AGENT: Final = "polyport"
_SEE: Final = (301, 302, 303, 307, 308)
_SEE_AS_IT_WAS: Final = (307, 308)
"""Redirects that keep the method of every request (RFC 9110, section 15.4)."""

_Answer = tuple[int, Mapping[str, str], bytes]


class Api:
    """One API. ``headers`` are sent with every request, also for the document if it comes from the
    same host."""

    def __init__(self, upstream: Upstream, headers: Mapping[str, str]) -> None:
        self._upstream = upstream
        self._headers = dict(headers)
        self._hosts: dict[str, Host] = {}

    async def close(self) -> None:
        """Close its connections."""
        for host in self._hosts.values():
            host.close()

    async def document(self, url: str, api_url: str | None) -> str:
        """The text of the document at a URL. Raises BadDocument and ServiceError."""
        has_rights = api_url is None or origin(api_url) == origin(url)
        sent = _Sent("GET", url, self._headers if has_rights else {})
        try:
            status, _, body = await self._exchange(sent, MAX_BYTES)
        except (CannotConnect, ConnectionFailed) as error:
            raise BadDocument(f"The document could not be fetched: {error}") from None
        if status != 200:
            raise BadDocument(f"The document could not be fetched: HTTP {status}")
        return body.decode("utf-8-sig", "replace")

    async def call(
        self,
        base_url: str,
        operation: Operation,
        arguments: Mapping[str, Any],
        personal: Mapping[str, str] | None,
    ) -> Any:
        """Call an operation with what the caller proves who it is by, if it is not the gateway.

        Raises InvalidArguments, ServiceError, ProviderGone, CallTimeout.
        """
        prepared = prepare(operation, arguments)
        own = with_headers(self._headers, personal or {})
        sent = {"Accept": "application/json, */*;q=0.5", **prepared.headers}
        url = base_url + prepared.path + (f"?{prepared.query}" if prepared.query else "")
        method = operation.method.upper()
        request = _Sent(method, url, with_headers(sent, own), prepared.content)
        name, limit = self._upstream.name, self._upstream.call_seconds
        try:
            async with asyncio.timeout(limit):
                status, headers, body = await self._exchange(request, MAX_ANSWER_BYTES)
        except TimeoutError:
            raise CallTimeout(f"{name} has not answered within {limit:g} s") from None
        except CannotConnect:
            raise ProviderGone(f"{name} cannot be reached", delivered=False) from None
        except ConnectionFailed:
            raise ProviderGone(f"The connection to {name} was lost") from None
        return value_of(status, headers, body, secrets_of(own))

    async def _exchange(self, sent: _Sent, limit: int) -> _Answer:
        """Send, following redirects that keep the method and stay on the host."""
        for _ in range(MAX_REDIRECTS + 1):
            host = self._host(sent.url)
            try:
                async with host.sent(sent.encoded(host.authority), sent.method) as connection:
                    status, headers = connection.status, connection.headers
                    follow = sent.followed(status, headers.get("location"))
                    if follow is None:
                        return status, headers, await connection.body(limit)
            except AnswerTooLarge as error:
                raise ServiceError(str(error)) from None
            sent = follow
        raise ServiceError("The answer is one redirect after another")

    def _host(self, url: str) -> Host:
        key = origin(url)
        if key not in self._hosts:
            self._hosts[key] = Host(url, may_be_private=self._upstream.may_be_private)
        return self._hosts[key]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes = b""

    def encoded(self, authority: str) -> bytes:
        """As HTTP/1.1. Raises CannotConnect for a header that is none."""
        named = {name.lower() for name in self.headers}
        lines = [("Host", authority)]
        lines += [(k, v) for k, v in self.headers.items() if k.lower() not in FRAMING]
        if "user-agent" not in named:
            lines.append(("User-Agent", _USER_AGENT))
        if self.content or self.method in ("POST", "PUT", "PATCH"):
            lines.append(("Content-Length", str(len(self.content))))
        return request_of(self.method, self.url, lines, self.content)

    def followed(self, status: int, location: str | None) -> _Sent | None:
        """The request that an answer asks for, if it may be made."""
        if status not in (_SEE if self.method in ("GET", "HEAD") else _SEE_AS_IT_WAS):
            return None
        url = redirected(self.url, location)
        return replace(self, url=url) if url is not None else None
