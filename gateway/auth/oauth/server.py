"""The authorization server: from a client's request through the user's consent to tokens.

OAuth 2.1 as MCP asks for it: authorization code with PKCE (S256), one resource for each token
(RFC 8707), the issuer in each answer (RFC 9207). HTTP is in ``routes``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from gateway.auth.authentication import Authentication
from gateway.auth.expiring import Expiring
from gateway.auth.login.page import LOGIN_PATH
from gateway.auth.login.pending import PendingLogins
from gateway.auth.oauth.clients import AUTH_METHODS, OAuthClient, OAuthClients
from gateway.auth.oauth.errors import (
    AccessDenied,
    InvalidGrant,
    InvalidRequestError,
    InvalidTarget,
    OAuthError,
    TemporarilyUnavailable,
    UnsupportedGrantType,
    UnsupportedResponseType,
)
from gateway.auth.oauth.grants import Grants, granted_scope
from gateway.auth.oauth.redirects import admits, with_query
from gateway.auth.oauth.requests import (
    CODE_SECONDS,
    REQUEST_SECONDS,
    Allowed,
    AuthorizationRequest,
)
from gateway.auth.oauth.resources import SCOPES, Resource, Resources
from gateway.auth.pkce import challenge_of
from schema.errors import GatewayError
from schema.identity import personal_workspace

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MAX_STATE: Final = 4096
_REPLAY_SECONDS: Final = 3600.0


class RedirectedError(Exception):
    """A refusal that the client is told of: at ``location`` in the user's browser."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class AuthorizationServer:
    """Knows the requests that are open and the codes that are out."""

    def __init__(
        self,
        base_url: str,
        resources: Resources,
        clients: OAuthClients,
        grants: Grants,
        logins: PendingLogins,
        authentication: Authentication,
    ) -> None:
        self.issuer = base_url
        self._resources = resources
        self.clients = clients
        self._grants = grants
        self._logins = logins
        self._authentication = authentication
        self._requests: Expiring[AuthorizationRequest] = Expiring(REQUEST_SECONDS)
        self._codes: Expiring[Allowed] = Expiring(CODE_SECONDS)
        self._used: Expiring[str] = Expiring(_REPLAY_SECONDS)
        """Grants by the codes that they began with."""

    def metadata(self) -> dict[str, Any]:
        """RFC 8414 section 2."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/oauth/authorize",
            "token_endpoint": f"{self.issuer}/oauth/token",
            "registration_endpoint": f"{self.issuer}/oauth/register",
            "revocation_endpoint": f"{self.issuer}/oauth/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
            "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SCOPES),
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
            "protected_resources": [self.issuer],
        }

    async def begin(self, query: Mapping[str, str]) -> tuple[str, AuthorizationRequest]:
        """Open a request (RFC 6749 section 4.1.1) and return its id with it.

        Raises OAuthError if nobody may be redirected, RedirectedError for anything later.
        """
        client = await self.clients.find(query.get("client_id", ""))
        redirect_uri = _redirect_uri(client, query.get("redirect_uri"))
        state = query.get("state")
        try:
            if state is not None and len(state) > _MAX_STATE:
                raise InvalidRequestError("The state is too long")
            if query.get("response_type") != "code":
                raise UnsupportedResponseType("response_type must be code")
            challenge = _challenge(query)
            resource = self._resource(query.get("resource"))
        except OAuthError as error:
            known = state if state is None or len(state) <= _MAX_STATE else None
            raise self._redirected(redirect_uri, known, error) from None
        try:
            # Nobody but this server can ask for its outcome.
            login = self._logins.begin(checker=f"oauth {secrets.token_urlsafe(16)}")
        except GatewayError as error:
            refusal = TemporarilyUnavailable(error.message)
            raise self._redirected(redirect_uri, state, refusal) from None
        scopes = tuple(query.get("scope", "").split())
        request = AuthorizationRequest(
            client, redirect_uri, challenge, resource, scopes, state, login
        )
        return self._requests.put(request), request

    def login_url(self, request_id: str, request: AuthorizationRequest) -> str:
        """Where the user of a request logs in; the page leads on to the consent."""
        given = {"key": request.login.key, "request": request_id}
        return f"{self.issuer}{LOGIN_PATH}?{urlencode(given)}"

    def find(self, request_id: str, browser: str | None) -> AuthorizationRequest:
        """The open request, in the browser that it began in. Raises InvalidRequestError."""
        request = self._requests.get(request_id)
        if request is None:
            raise InvalidRequestError("This request has expired. Start again in your program.")
        if browser is None or not secrets.compare_digest(
            browser.encode(), request.browser.encode()
        ):
            raise InvalidRequestError("This request was not started in this browser.")
        return request

    async def has_user(self, request: AuthorizationRequest) -> bool:
        """Whether its user has logged in by now. Raises InvalidRequestError if they cannot any
        more."""
        if request.user is not None:
            return True
        result = request.login.result
        if result is None:
            return False
        try:
            request.user = await self._authentication.user(result.token)
            await self._logins.outcome(request.login, 0)
        except GatewayError:
            raise InvalidRequestError("The login has ended. Start again in your program.") from None
        return True

    def permission_text(self, request: AuthorizationRequest) -> str:
        """What the client would be allowed, in one phrase."""
        assert request.user is not None  # noqa: S101 - asked for after has_user
        workspace = request.resource.workspace or personal_workspace(request.user.id)
        scope = granted_scope(request.scopes)
        permission = self._grants.permission(request.user, workspace, tuple(scope.split()))
        if permission is None:
            return "call its public services"
        if request.resource.is_manager:
            seen = "see its services, who is connected, and events"
            if permission is SCOPES["read_write"]:
                return f"{seen}; change services; read and set environment variables"
            return seen
        if permission is SCOPES["read_write"]:
            return "call its services, and register and change services"
        return "call its services"

    def decide(
        self, request_id: str, request: AuthorizationRequest, form: str, *, allow: bool
    ) -> str:
        """The user's decision; returns where to send the browser. Raises InvalidRequestError."""
        if request.user is None or not secrets.compare_digest(form.encode(), request.form.encode()):
            raise InvalidRequestError("This form is not the one that was shown.")
        if self._requests.take(request_id) is not request:
            raise InvalidRequestError("This request was decided before.")
        if not allow:
            refusal = AccessDenied("The user has refused")
            return self._redirected(request.redirect_uri, request.state, refusal).location
        scope = granted_scope(request.scopes)
        allowed = Allowed(
            client_id=request.client.id,
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            resource=request.resource,
            scope=scope,
            user=request.user,
            grant_id=secrets.token_urlsafe(24),
        )
        code = self._codes.put(allowed)
        return with_query(request.redirect_uri, code=code, state=request.state, iss=self.issuer)

    async def token(self, client: OAuthClient, form: Mapping[str, str]) -> dict[str, Any]:
        """The token endpoint (RFC 6749 sections 4.1.3 and 6). Raises OAuthError."""
        match form.get("grant_type"):
            case "authorization_code":
                return await self._exchange(client, form)
            case "refresh_token":
                resource = form.get("resource")
                if resource is not None and self._resources.parse(resource) is None:
                    raise InvalidTarget("That is no MCP endpoint of this server")
                token = form.get("refresh_token", "")
                return await self._grants.refresh(token, client.id, form.get("scope"))
            case None | "":
                raise InvalidRequestError("grant_type is missing")
            case _:
                raise UnsupportedGrantType("grant_type is authorization_code or refresh_token")

    async def revoke(self, client: OAuthClient, token: str) -> None:
        """RFC 7009."""
        await self._grants.revoke(token, client.id)

    async def _exchange(self, client: OAuthClient, form: Mapping[str, str]) -> dict[str, Any]:
        code = form.get("code", "")
        replayed = self._used.get(code)
        if replayed is not None:
            # RFC 6749 section 4.1.2: somebody else has it as well.
            await self._grants.take_back(replayed)
            raise InvalidGrant("This code was used before")
        allowed = self._codes.take(code)
        if allowed is None:
            raise InvalidGrant("This code is not good (any more)")
        self._used.put(allowed.grant_id, code)
        if allowed.client_id != client.id:
            raise InvalidGrant("This code was given to another client")
        if form.get("redirect_uri", allowed.redirect_uri) != allowed.redirect_uri:
            raise InvalidGrant("The redirect_uri is not that of the request")
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier) or not secrets.compare_digest(
            challenge_of(verifier), allowed.challenge
        ):
            raise InvalidGrant("The code_verifier is not that of the request")
        resource = form.get("resource")
        if resource is not None and self._resources.parse(resource) != allowed.resource:
            raise InvalidTarget("The resource is not that of the request")
        return await self._grants.begin(allowed)

    def _resource(self, url: str | None) -> Resource:
        if not url:
            raise InvalidTarget("resource is missing: name the MCP endpoint")
        resource = self._resources.parse(url)
        if resource is None:
            raise InvalidTarget("That is no MCP endpoint of this server")
        return resource

    def _redirected(self, uri: str, state: str | None, error: OAuthError) -> RedirectedError:
        answer = {"error": error.error, "error_description": error.description}
        return RedirectedError(with_query(uri, **answer, state=state, iss=self.issuer))


def _redirect_uri(client: OAuthClient, asked: str | None) -> str:
    if asked is None and len(client.redirect_uris) == 1:
        return client.redirect_uris[0]
    if asked is None or not admits(client.redirect_uris, asked):
        raise InvalidRequestError("The redirect_uri is not one that the client has registered")
    return asked


def _challenge(query: Mapping[str, str]) -> str:
    challenge = query.get("code_challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequestError("PKCE is needed: code_challenge is missing or malformed")
    if query.get("code_challenge_method") != "S256":
        raise InvalidRequestError("code_challenge_method must be S256")
    return challenge
