"""The requests of a login: where the metadata of a stranger leads, with a token or a code.

By https or to this machine, few bytes, little time, and no redirect but what the SDK follows within
an origin. ``transport`` says which addresses they may go to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httpx2

from gateway.oauth_client.config import is_safe_url
from gateway.oauth_client.errors import LoginFailed, LoginUnavailable

MAX_BYTES: Final = 256 * 1024
SECONDS: Final = 15.0


class Sender:
    """See ``client.Send``. ``transport`` makes a new one for each request."""

    def __init__(self, transport: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._transport = transport

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        where = request.url.copy_with(query=None, fragment=None, userinfo=b"")
        if not is_safe_url(str(request.url)):
            raise LoginFailed(f"{where} is neither https nor on this machine")
        client = httpx2.AsyncClient(
            transport=self._transport(), timeout=SECONDS, follow_redirects=False, trust_env=False
        )
        try:
            async with asyncio.timeout(SECONDS), client:
                return await _answer(client, request)
        except TimeoutError:
            raise LoginUnavailable(f"{where} does not answer") from None
        except httpx2.HTTPError as error:
            raise LoginUnavailable(f"{where} cannot be reached ({error})") from None


async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
    response = await client.send(request, stream=True)
    try:
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise LoginFailed(f"{request.url.host} answers with more than {MAX_BYTES} bytes")
    finally:
        await response.aclose()
    # Decoded by now: what told how it was encoded must go.
    headers = [(k, v) for k, v in response.headers.items() if k.lower() not in _ENCODING]
    answer = httpx2.Response(response.status_code, headers=headers, content=body, request=request)
    answer.next_request = response.next_request
    return answer


_ENCODING: Final = ("content-encoding", "content-length", "transfer-encoding")
