"""The HTTP side of logins at providers: the button of the login page, and the provider's answer."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.login.page import LOGIN_PATH
from gateway.auth.oauth.consent import page_headers, refusal_page
from gateway.auth.oidc.login import LOGIN_SECONDS, Asked, OidcLogins
from gateway.auth.tokens import check_life
from schema.errors import GatewayError, InvalidRequest, NotFound, Unauthenticated, Unavailable

_MAX_BODY: Final = 8192
_NO_STORE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
_STATUS: Final = {NotFound: 404, Unauthenticated: 401, Unavailable: 503}


class OidcRoutes:
    """``POST /oauth/begin`` and ``GET /oauth/callback/{provider}``."""

    def __init__(self, logins: OidcLogins, base_url: str) -> None:
        self._logins = logins
        self._base_url = base_url
        parts = urlsplit(base_url)
        self._is_secure = parts.scheme == "https"
        self._path = f"{parts.path}/oauth"

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
            provider, asked = _read(await _body(request))
            location, state, journey = await self._logins.begin(provider, asked)
        except GatewayError as error:
            return JSONResponse({"detail": error.message}, _status(error), _NO_STORE)
        response = JSONResponse({"location": location}, headers=_NO_STORE)
        response.set_cookie(
            _cookie(state),
            journey.browser,
            max_age=int(LOGIN_SECONDS),
            path=self._path,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def callback(self, request: Request) -> Response:
        """The browser is back."""
        query = dict(request.query_params)
        state = query.get("state", "")
        try:
            if len(query) != len(request.query_params.multi_items()):
                raise InvalidRequest("A parameter is given twice")
            browser = request.cookies.get(_cookie(state))
            asked = await self._logins.finish(request.path_params["provider"], query, browser)
        except GatewayError as error:
            return HTMLResponse(refusal_page(error.message), _status(error), page_headers())
        if asked.request is not None:
            target = f"{self._base_url}/oauth/consent?{urlencode({'request': asked.request})}"
        else:
            done = urlencode({"key": asked.key, "done": "true"})
            target = f"{self._base_url}{LOGIN_PATH}?{done}"
        response = RedirectResponse(target, 303, _NO_STORE)
        response.delete_cookie(_cookie(state), path=self._path)
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


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                raise InvalidRequest("The body is too large")
    except ClientDisconnect:
        raise InvalidRequest("The request is incomplete") from None
    return body


def _status(error: GatewayError) -> int:
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 400


def _cookie(state: str) -> str:
    return f"polyport_login_{hashlib.sha256(state.encode()).hexdigest()[:16]}"
