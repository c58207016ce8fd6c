"""Makes the parts of OAuth that the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.routing import Route

from gateway.auth.authentication import Authentication
from gateway.auth.login.exchange import AsMember
from gateway.auth.login.pending import PendingLogins
from gateway.auth.oauth.clients import OAuthClients
from gateway.auth.oauth.fetching import fetch_document
from gateway.auth.oauth.grants import Grants
from gateway.auth.oauth.resources import Resources
from gateway.auth.oauth.routes import AuthorizationRoutes, resource_routes
from gateway.auth.oauth.server import AuthorizationServer
from gateway.auth.tokens import TokenIssuer
from gateway.settings import Settings
from gateway.storage.database import Database


@dataclass(frozen=True, slots=True)
class OAuth:
    """What is on; nothing unless the settings say so."""

    resources: Resources | None = None
    server: AuthorizationServer | None = None
    routes: tuple[Route, ...] = ()


def build_oauth(
    settings: Settings,
    key: str,
    tokens: TokenIssuer,
    database: Database,
    as_member: AsMember,
    logins: PendingLogins,
    authentication: Authentication,
) -> OAuth:
    """``key`` is the one that signs tokens."""
    base_url = settings.base_url
    issuers = settings.oauth_authorization_servers
    if not settings.oauth_server and not issuers:
        return OAuth()
    resources = Resources(base_url, [base_url] if settings.oauth_server else list(issuers))
    routes = resource_routes(resources)
    if not settings.oauth_server:
        return OAuth(resources, None, tuple(routes))
    # Not every server gives grants, and their table loads the database library.
    from gateway.storage.oauth import OAuthGrantRows  # noqa: PLC0415

    grants = Grants(tokens, OAuthGrantRows(database), as_member)
    fetch = partial(fetch_document, may_be_private=settings.oauth_private_clients)
    clients = OAuthClients(key, fetch=fetch)
    server = AuthorizationServer(base_url, resources, clients, grants, logins, authentication)
    routes += AuthorizationRoutes(server, base_url).routes()
    return OAuth(resources, server, tuple(routes))
