"""The HTTP side of OAuth: metadata, the browser's way through a request, the clients' endpoints."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.auth.browsers import NO_STORE, BrowserCookie, small_body
from gateway.auth.oauth.clients import OAuthClient
from gateway.auth.oauth.consent import consent_page, page_headers, refusal_page
from gateway.auth.oauth.errors import (
    InvalidClient,
    InvalidClientMetadata,
    InvalidRequestError,
    OAuthError,
)
from gateway.auth.oauth.requests import REQUEST_SECONDS
from gateway.auth.oauth.resources import METADATA_PATH, Resources
from gateway.auth.oauth.server import AuthorizationServer, RedirectedError

Endpoint = Callable[[Request], Awaitable[Response]]
MAX_BODY: Final = 32 * 1024
_MAX_FIELDS: Final = 50
_CORS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, mcp-protocol-version",
    "access-control-max-age": "600",
}
"""For clients in web pages. No cookies are taken here, so any page may ask."""
_PUBLIC: Final = {**_CORS, "cache-control": "public, max-age=300"}


def resource_routes(resources: Resources) -> list[Route]:
    """Protected-resource metadata (RFC 9728): of the server, and of each endpoint."""

    async def metadata(request: Request) -> Response:
        path = request.path_params.get("path", "")
        found = resources.metadata(f"/{path}" if path else "", request.headers.get("host"))
        if found is None:
            body = {"error": "not_found", "error_description": "There is no MCP endpoint there"}
            return JSONResponse(body, 404, _CORS)
        return JSONResponse(found, headers=_PUBLIC)

    return [
        Route(METADATA_PATH, _with_preflight(metadata), methods=["GET", "OPTIONS"]),
        Route(
            METADATA_PATH + "/{path:path}", _with_preflight(metadata), methods=["GET", "OPTIONS"]
        ),
    ]


class AuthorizationRoutes:
    """The routes of the authorization server. ``base_url`` is the one that browsers use."""

    def __init__(self, server: AuthorizationServer, base_url: str) -> None:
        self._server = server
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path
        self._cookie = BrowserCookie("polyport_oauth_", base_url, life_seconds=REQUEST_SECONDS)

    def routes(self) -> list[Route]:
        discovery = {"/.well-known/oauth-authorization-server": self.metadata}
        if self._path:
            # Below a base path this is the only place where clients look that reaches this server.
            discovery["/.well-known/openid-configuration"] = self.openid_metadata
            discovery["/oauth/jwks"] = self.keys
        return [
            *(
                Route(path, _with_preflight(endpoint), methods=["GET", "OPTIONS"])
                for path, endpoint in discovery.items()
            ),
            *(
                Route(path, self.authorize, methods=["GET"])
                for path in ("/oauth/authorize", "/authorize")
            ),
            Route("/oauth/consent", self.show_consent, methods=["GET"]),
            Route("/oauth/consent", self.take_consent, methods=["POST"]),
            *(
                Route(path, _with_preflight(_answered(endpoint)), methods=["POST", "OPTIONS"])
                for path, endpoint in (
                    ("/oauth/token", self.token),
                    ("/oauth/register", self.register),
                    ("/oauth/revoke", self.revoke),
                    # Where clients without metadata look (MCP revision 2025-03-26, fallbacks), and
                    # the official one whenever it refreshes a token that it has stored.
                    ("/token", self.token),
                    ("/register", self.register),
                )
            ),
        ]

    async def metadata(self, request: Request) -> Response:
        """RFC 8414 section 3."""
        return JSONResponse(self._server.metadata(), headers=_PUBLIC)

    async def openid_metadata(self, request: Request) -> Response:
        """The same where OpenID Connect has it, with what that requires of it (OpenID Connect
        Discovery 1.0 section 3): clients check the form, although there are no ID tokens."""
        required = {
            "jwks_uri": f"{self._server.issuer}/oauth/jwks",
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return JSONResponse(self._server.metadata() | required, headers=_PUBLIC)

    async def keys(self, request: Request) -> Response:
        """RFC 7517 section 5, of a server that signs nothing which clients read."""
        return JSONResponse({"keys": []}, headers=_PUBLIC)

    async def authorize(self, request: Request) -> Response:
        """The client's first redirect: on to the login page, or back with an error."""
        try:
            query = _single(request.query_params.multi_items())
            request_id, opened = await self._server.begin(query)
        except RedirectedError as refusal:
            return RedirectResponse(refusal.location, 302, NO_STORE)
        except OAuthError as error:
            return _refused(error)
        location = self._server.login_url(request_id, opened)
        response = RedirectResponse(location, 302, NO_STORE)
        self._cookie.give(response, request_id, opened.browser)
        return response

    async def show_consent(self, request: Request) -> Response:
        """The page with the two buttons, once the user has logged in."""
        request_id = request.query_params.get("request", "")
        try:
            opened = self._server.find(request_id, self._cookie.of(request, request_id))
            if not await self._server.has_user(opened):
                location = self._server.login_url(request_id, opened)
                return RedirectResponse(location, 302, NO_STORE)
        except OAuthError as error:
            return _refused(error)
        page = consent_page(request_id, opened, self._server.permission_text(opened))
        return HTMLResponse(page, headers=page_headers())

    async def take_consent(self, request: Request) -> Response:
        """The user's decision."""
        try:
            self._check_origin(request)
            form = await _form(request)
            request_id = form.get("request", "")
            opened = self._server.find(request_id, self._cookie.of(request, request_id))
            if form.get("decision") not in ("allow", "deny"):
                raise InvalidRequestError("Allow or refuse it.")
            location = self._server.decide(
                request_id, opened, form.get("form", ""), allow=form["decision"] == "allow"
            )
        except OAuthError as error:
            return _refused(error)
        response = RedirectResponse(location, 303, NO_STORE)
        self._cookie.drop(response, request_id)
        return response

    async def token(self, request: Request) -> Response:
        """RFC 6749 section 3.2."""
        client, form = await self._client(request)
        return JSONResponse(await self._server.token(client, form), headers=NO_STORE | _CORS)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009 section 2: 200 whatever the token was."""
        client, form = await self._client(request)
        await self._server.revoke(client, form.get("token", ""))
        return Response(status_code=200, headers=NO_STORE | _CORS)

    async def register(self, request: Request) -> Response:
        """RFC 7591 section 3."""
        try:
            metadata = json.loads(await _body(request))
        except (ValueError, RecursionError):
            raise InvalidClientMetadata("The body is not JSON") from None
        answer = self._server.clients.register(metadata)
        return JSONResponse(answer, 201, NO_STORE | _CORS)

    async def _client(self, request: Request) -> tuple[OAuthClient, dict[str, str]]:
        """The client of a request, authenticated, and what it sends."""
        form = await _form(request)
        client_id, secret = form.get("client_id"), form.get("client_secret")
        header = request.headers.get("authorization")
        if header is not None:
            named, secret = _basic(header)
            if client_id not in (None, named):
                raise InvalidRequestError("The request names two clients")
            client_id = named
        client = await self._server.clients.find(client_id or "")
        self._server.clients.authenticate(client, secret)
        return client, form

    def _check_origin(self, request: Request) -> None:
        """A form of another site is not the user's decision."""
        origin = request.headers.get("origin")
        own = {self._origin, f"{request.url.scheme}://{request.headers.get('host')}"}
        site = request.headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin not in own) or site not in ("same-origin", "none"):
            raise InvalidRequestError("This form was sent from another site.")


def _answered(endpoint: Endpoint) -> Endpoint:
    """An endpoint for clients: refusals are JSON (RFC 6749 section 5.2)."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except OAuthError as error:
            headers = NO_STORE | _CORS
            if isinstance(error, InvalidClient):
                headers = headers | {"www-authenticate": 'Basic realm="polyport"'}
            body = {"error": error.error, "error_description": error.description}
            return JSONResponse(body, error.status, headers)

    return answered


def _with_preflight(endpoint: Endpoint) -> Endpoint:
    async def handled(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_CORS)
        return await endpoint(request)

    return handled


def _refused(error: OAuthError) -> Response:
    return HTMLResponse(refusal_page(error.description), 400, page_headers())


def _single(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Parameters, each of which may come once (RFC 6749 section 3.1)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRequestError("A parameter is given twice")
    return found


async def _body(request: Request) -> bytes:
    return await small_body(request, MAX_BODY, InvalidRequestError)


async def _form(request: Request) -> dict[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise InvalidRequestError("The body must be application/x-www-form-urlencoded")
    try:
        text = (await _body(request)).decode()
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequestError("The body cannot be read") from None
    return _single(pairs)


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: both parts are form-encoded."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    name, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise InvalidClient("The Authorization header must be Basic")
    return unquote(name), unquote(secret)
