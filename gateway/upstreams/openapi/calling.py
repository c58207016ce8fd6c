"""Sends the requests of an API. Imported when there is one: the HTTP library takes its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from gateway.upstreams.entries import Upstream
from gateway.upstreams.http_client import MAX_REDIRECTS, http_client, http_transport, with_headers
from gateway.upstreams.openapi.answers import secrets_of, value_of
from gateway.upstreams.openapi.document import MAX_BYTES, BadDocument, origin
from gateway.upstreams.openapi.operations import Operation
from gateway.upstreams.openapi.requests import prepare
from schema.errors import CallTimeout, ProviderGone, ServiceError

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_USER_AGENT: Final = "polyport"


class Api:
    """One API. ``headers`` are sent with every request, also for the document if it comes from the
    same host."""

    def __init__(self, upstream: Upstream, headers: Mapping[str, str]) -> None:
        self._upstream = upstream
        self._headers = dict(headers)
        transport = http_transport(may_be_private=upstream.may_be_private)
        self._client = http_client(transport, {"User-Agent": _USER_AGENT}, upstream.call_seconds)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def document(self, url: str, api_url: str | None) -> str:
        """The text of the document at a URL. Raises BadDocument, or what the HTTP library does."""
        has_rights = api_url is None or origin(api_url) == origin(url)
        request = self._client.build_request(
            "GET", url, headers=self._headers if has_rights else {}
        )
        status, _, body = await self._exchange(request, MAX_BYTES)
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
        request = self._client.build_request(
            operation.method.upper(),
            url,
            headers=with_headers(sent, own),
            content=prepared.content,
            files=prepared.files,
        )
        name = self._upstream.name
        try:
            status, headers, body = await self._exchange(request, MAX_ANSWER_BYTES)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise ProviderGone(f"{name} cannot be reached", delivered=False) from None
        except httpx2.TimeoutException:
            limit = self._upstream.call_seconds
            raise CallTimeout(f"{name} sent nothing for {limit:g} s") from None
        except httpx2.HTTPError:
            raise ProviderGone(f"The connection to {name} was lost") from None
        return value_of(status, headers, body, secrets_of(own))

    async def _exchange(
        self, request: httpx2.Request, limit: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send, following redirects that keep the method and stay on the host."""
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._client.send(request, stream=True)
            try:
                follow = response.next_request
                if follow is None or not _is_same_place(request, follow):
                    body = await _read(response, limit)
                    return response.status_code, response.headers, body
            finally:
                await response.aclose()
            request = follow
        raise ServiceError("The answer is one redirect after another")


def _is_same_place(request: httpx2.Request, follow: httpx2.Request) -> bool:
    return (
        follow.method == request.method
        and not follow.url.userinfo
        and origin(str(follow.url)) == origin(str(request.url))
    )


async def _read(response: httpx2.Response, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > limit:
            raise ServiceError(f"The answer is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
