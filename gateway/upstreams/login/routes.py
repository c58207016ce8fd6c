"""Where browsers come back to when an administrator has logged the gateway in at an upstream, and
what authorization servers read about the gateway."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.look import PAGE_HEADERS, document
from gateway.requests import current_address
from gateway.upstreams.login.logins import CALLBACK_PATH, CLIENT_PATH, Logins
from schema.errors import GatewayError, InvalidRequest, LimitExceeded, NotFound

_HEADERS: Final = {**PAGE_HEADERS, "cache-control": "no-store", "referrer-policy": "no-referrer"}
_STATUS: Final = {NotFound: 404, LimitExceeded: 429}


class LoginRoutes:
    """See the module. ``wait`` counts a request of an address, and gives the seconds for which it
    has to wait, or 0."""

    def __init__(self, logins: Logins, wait: Callable[[str], float]) -> None:
        self._logins = logins
        self._wait = wait

    def routes(self) -> list[Route]:
        found = [Route(CALLBACK_PATH, self.callback, methods=["GET"])]
        if self._logins.metadata_url is not None:
            found.append(Route(CLIENT_PATH, self.client, methods=["GET"]))
        return found

    async def callback(self, request: Request) -> Response:
        """Hand on what the browser brings, and tell how it went."""
        try:
            if self._wait(current_address.get()):
                raise LimitExceeded("Too many answers. Try again in a minute.")
            query = request.query_params
            if len(query) != len(query.multi_items()):
                raise InvalidRequest("A parameter is given twice.")
            brought = {key: query[key] for key in ("code", "iss", "state") if key in query}
            name, problem = await self._logins.callbacks.take(query.get("state", ""), brought)
        except GatewayError as error:
            status = _STATUS.get(type(error), 400)
            return _page("Not possible", error.message, status)
        if problem is not None:
            return _page("Not logged in", f"{name}: {problem}.", 400)
        return _page("Logged in", f"{name} is connected. You can close this window.", 200)

    async def client(self, request: Request) -> Response:
        """Client ID Metadata Document."""
        headers = {"cache-control": "public, max-age=300"}
        return JSONResponse(self._logins.metadata(), headers=headers)


def _page(title: str, text: str, status: int) -> Response:
    body = f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>"
    return HTMLResponse(document(title, body, home="../../"), status, _HEADERS)
