"""Who sends a request to an MCP endpoint, and what those are told who may not.

With OAuth on (``ExtensionContext.resources``), a refusal says where to log in, and the tokens that
were issued for the endpoint are good at it. Without, it says nothing of the kind: clients that find
an authorization server ignore the header that their user configured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.types import Scope

from gateway.api import Credentials, Gateway
from gateway.extensions import ExtensionContext
from mcp_bridge.errors import Challenged
from mcp_bridge.headers import bearer_token
from schema.errors import GatewayError, PermissionDenied, Unauthenticated
from schema.identity import Caller, Permission

Headers = Mapping[bytes, bytes]


class Callers:
    """Identifies the callers of all endpoints."""

    def __init__(self, context: ExtensionContext) -> None:
        self._gateway: Gateway = context.gateway
        self._finder = context.token_finder
        self._resources = context.resources
        self._anonymous = Credentials()

    async def identify(self, scope: Scope, headers: Headers) -> Caller:
        """The caller of a request, acting in the workspace of its path if it may.

        Raises Unauthenticated (with a challenge), Unavailable and WorkspaceNotFound.
        """
        path: Mapping[str, str] = scope["path_params"]
        try:
            return await self._gateway.authenticate(
                await self._credentials(scope, headers), path["workspace"]
            )
        except Unauthenticated as error:
            raise self._challenged(scope, headers, error, "invalid_token") from None

    def refused(
        self, scope: Scope, headers: Headers, caller: Caller, error: GatewayError
    ) -> GatewayError:
        """What to tell a caller who may not use the endpoint, or for whom there is none: with OAuth
        on, whoever came without a token is told to get one (and learns nothing else)."""
        if self._resources is None or not caller.user.is_anonymous:
            return error
        if b"authorization" in headers:
            return error
        login = Unauthenticated("Log in to use this endpoint")
        return self._challenged(scope, headers, login, None)

    def denied(
        self, scope: Scope, headers: Headers, caller: Caller
    ) -> Callable[[PermissionDenied], GatewayError] | None:
        """What makes of a refused call the challenge to ask for more rights (RFC 6750 section 3.1),
        for callers who can: their token was issued to a client of OAuth, and for reading alone."""
        user = caller.user
        if self._resources is None or user.resource is None:
            return None
        if user.scope.permission_on(caller.workspace) is not Permission.READ:
            return None

        def challenged(error: PermissionDenied) -> GatewayError:
            # No client is ever granted more.
            if error.needs != Permission.READ_WRITE.value:
                return error
            return self._challenged(scope, headers, error, "insufficient_scope")

        return challenged

    async def _credentials(self, scope: Scope, headers: Headers) -> Credentials:
        token = None
        if self._finder is not None and self._finder.finds_tokens:
            token = await self._finder.find(scope)
        if token is None:
            token = bearer_token(headers.get(b"authorization"))
        if token is None and b"x-api-key" in headers:
            token = headers[b"x-api-key"].decode("latin-1").strip()
        if token is None:
            return self._anonymous
        if self._resources is None:
            return Credentials(token)
        return Credentials(token, self._resources.audiences(scope["path_params"]))

    def _challenged(
        self, scope: Scope, headers: Headers, error: GatewayError, code: str | None
    ) -> GatewayError:
        if self._resources is None:
            return error
        host = headers.get(b"host")
        name = host.decode("latin-1") if host is not None else None
        header = self._resources.challenge(scope["path_params"], name, error=code)
        return Challenged(error, header)
