"""Requests of the SDK's session with the gateway's login."""

from __future__ import annotations

import httpx2

from gateway.oauth_client.client import Challenge
from gateway.upstreams.login.needed import CannotLogIn, NeedsLogin
from gateway.upstreams.mcp_client.diagnosis import Diagnosis
from gateway.upstreams.mcp_client.login import MAX_CHALLENGES, Login

_REFUSALS = (401, 403)


class LoggedIn(httpx2.AsyncBaseTransport):
    """Adds the login to each request, and logs in when one is refused. If that cannot be done, the
    refusal is passed on, and ``diagnosis`` tells of it."""

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, login: Login, diagnosis: Diagnosis
    ) -> None:
        self._inner = inner
        self._login = login
        self._diagnosis = diagnosis

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if isinstance(self._diagnosis.login, NeedsLogin):
            raise _no_login(request)  # the older way to shake hands would be no better
        try:
            response, sent = await self._sent(request)
            for _ in range(MAX_CHALLENGES):
                if response.status_code not in _REFUSALS:
                    break
                if not await self._login.challenged(_challenge(response), sent):
                    return response
                await response.aclose()
                response, sent = await self._sent(request)
        except CannotLogIn as failed:
            self._diagnosis.login = failed
            raise _no_login(request) from None
        except NeedsLogin as needed:
            if needed.is_out:
                self._diagnosis.login = needed
            return response
        if response.status_code not in _REFUSALS:
            self._login.accepted()
            self._diagnosis.login = None
        return response

    async def _sent(self, request: httpx2.Request) -> tuple[httpx2.Response, dict[str, str]]:
        sent = dict(await self._login.headers(request.method, str(request.url)))
        request.headers.update(sent)
        return await self._inner.handle_async_request(request), sent

    async def aclose(self) -> None:
        await self._inner.aclose()


def _challenge(response: httpx2.Response) -> Challenge:
    header = ", ".join(response.headers.get_list("www-authenticate"))
    return Challenge(response.status_code, header, response.headers.get("dpop-nonce"))


def _no_login(request: httpx2.Request) -> httpx2.ConnectError:
    return httpx2.ConnectError("There is no login", request=request)
