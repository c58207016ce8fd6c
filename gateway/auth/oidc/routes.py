"""The HTTP side of logins at providers: the button of the login page, and the provider's answer."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.browsers import NO_STORE, BrowserCookie, small_body
from gateway.auth.login.page import LOGIN_PATH
from gateway.auth.oauth.consent import page_headers, refusal_page
from gateway.auth.oidc.login import LOGIN_SECONDS, Asked, OidcLogins
from gateway.auth.tokens import check_life
from schema.errors import GatewayError, InvalidRequest, NotFound, Unauthenticated, Unavailable

_MAX_BODY: Final = 8192
_STATUS: Final = {NotFound: 404, Unauthenticated: 401, Unavailable: 503}


class OidcRoutes:
    """``POST /oauth/begin`` and ``GET /oauth/callback/{provider}``."""

    def __init__(self, logins: OidcLogins, base_url: str) -> None:
        self._logins = logins
        self._base_url = base_url
        self._cookie = BrowserCookie("polyport_login_", base_url, life_seconds=LOGIN_SECONDS)

    def routes(self) -> list[Route]:
        return [
            Route("/oauth/begin", self.begin, methods=["POST"]),
            Route("/oauth/callback/{provider}", self.callback, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """The user has pressed the button. Only a page of this server can say so: JSON from others
        needs a preflight, which nobody answers here."""
        try:
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                raise InvalidRequest("The body must be JSON")
            if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
                raise InvalidRequest("Logins begin on the login page")
            provider, asked = _read(await small_body(request, _MAX_BODY, InvalidRequest))
            location, state, journey = await self._logins.begin(provider, asked)
        except GatewayError as error:
            return JSONResponse({"detail": error.message}, _status(error), NO_STORE)
        response = JSONResponse({"location": location}, headers=NO_STORE)
        self._cookie.give(response, state, journey.browser)
        return response

    async def callback(self, request: Request) -> Response:
        """The browser is back."""
        query = dict(request.query_params)
        state = query.get("state", "")
        try:
            if len(query) != len(request.query_params.multi_items()):
                raise InvalidRequest("A parameter is given twice")
            browser = self._cookie.of(request, state)
            asked = await self._logins.finish(request.path_params["provider"], query, browser)
        except GatewayError as error:
            return HTMLResponse(refusal_page(error.message), _status(error), page_headers())
        if asked.request is not None:
            target = f"{self._base_url}/oauth/consent?{urlencode({'request': asked.request})}"
        else:
            done = urlencode({"key": asked.key, "done": "true"})
            target = f"{self._base_url}{LOGIN_PATH}?{done}"
        response = RedirectResponse(target, 303, NO_STORE)
        self._cookie.drop(response, state)
        return response


def _read(body: bytes) -> tuple[str, Asked]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body must be JSON") from None
    if not isinstance(given, dict):
        raise InvalidRequest("The body must be a JSON object")
    life = given.get("expires_in")
    if life is not None:
        check_life(life)
    asked = Asked(
        _text(given, "key") or "", _text(given, "workspace"), life, _text(given, "request")
    )
    return _text(given, "provider") or "", asked


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name!r} must be text")
    return value or None


def _status(error: GatewayError) -> int:
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 400
