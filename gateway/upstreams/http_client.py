"""The HTTP client for upstreams: it goes where it may, and carries no more than it was given.

Imported when there is an upstream: the library takes its time.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final

import httpx2

from gateway.addresses import NotPublic, public_address

CONNECT_SECONDS: Final = 10.0
MAX_REDIRECTS: Final = 3


class AddressRefused(httpx2.ConnectError):
    """The name leads to an address that a server of this kind may not have."""


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Connects to addresses of the internet at large only. A name is resolved once per request and
    the connection made to what was found: asking again could give another answer."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        try:
            address = await public_address(host, request.url.port or 0)
        except OSError:
            raise httpx2.ConnectError(f"{host} has no address", request=request) from None
        except NotPublic:
            refusal = f"{host} is at a private or local address"
            raise AddressRefused(refusal, request=request) from None
        # The request itself stays as it is: redirects are judged by where it went.
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # Host is the name already
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        await self._inner.aclose()


def with_headers(sent: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Headers of which ``own`` win, whatever case they are written in (RFC 9110, section 5.1)."""
    names = {name.lower() for name in own}
    return {**{name: value for name, value in sent.items() if name.lower() not in names}, **own}


@cache
def trust() -> ssl.SSLContext:
    """The authorities whose certificates count. Reading them takes a while, so it is done once."""
    context: ssl.SSLContext = httpx2.create_ssl_context(trust_env=False)
    return context


def http_transport(*, may_be_private: bool) -> httpx2.AsyncBaseTransport:
    """How to reach upstreams; without the proxies of the environment, which could be anywhere."""
    inner = httpx2.AsyncHTTPTransport(
        verify=trust(), limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20)
    )
    return inner if may_be_private else GuardedTransport(inner)


def http_client(
    transport: httpx2.AsyncBaseTransport, headers: Mapping[str, str], read_seconds: float
) -> httpx2.AsyncClient:
    """A client that keeps no cookies and follows no redirect by itself."""
    return httpx2.AsyncClient(
        transport=transport,
        headers=dict(headers),
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=read_seconds, pool=read_seconds),
        follow_redirects=False,
        trust_env=False,
    )
