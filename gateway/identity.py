"""The parts that know who somebody is, made in order: tokens, authentication, logins, OAuth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.routing import Route

from gateway.admission import Doorkeeper
from gateway.auth import hypha_tokens
from gateway.auth.api_keys import ApiKeys
from gateway.auth.authentication import Authentication, TokenReader
from gateway.auth.hooks import AuthHooks
from gateway.auth.hypha_tokens import HyphaTokens
from gateway.auth.keys import signing_keys
from gateway.auth.local.accounts import Accounts
from gateway.auth.local.functions import LocalLogins
from gateway.auth.local.mail import mailer
from gateway.auth.local.passwords import Passwords
from gateway.auth.login.exchange import TokenExchange
from gateway.auth.login.functions import LoginFunctions
from gateway.auth.login.page import LoginPage, login_page
from gateway.auth.login.pending import PendingLogins
from gateway.auth.login.providers import (
    ElsewhereProvider,
    GuestProvider,
    LoginProvider,
    TokenProvider,
)
from gateway.auth.login.service import LOGIN_SERVICE, LoginService
from gateway.auth.oauth.build import OAuth, build_oauth
from gateway.auth.oidc.config import oidc_configs
from gateway.auth.oidc.login import Asked, OidcLogins, Provider
from gateway.auth.oidc.reader import OidcReader
from gateway.auth.oidc.routes import OidcRoutes
from gateway.auth.revocations import Revocations
from gateway.auth.tokens import TokenIssuer
from gateway.registry.own import OwnServices
from gateway.rpc.local import ForeignFunction
from gateway.settings import Settings
from gateway.storage.database import Database
from gateway.storage.repositories import Repositories
from schema.identity import Caller, User, personal_workspace


@dataclass(frozen=True, slots=True)
class Identity:
    """What everything else needs to know who somebody is."""

    settings: Settings
    database: Database
    keys: list[str]
    """The first one signs tokens."""
    tokens: TokenIssuer
    hooks: AuthHooks
    authentication: Authentication
    api_keys: ApiKeys
    oidc: list[Provider]


@dataclass(frozen=True, slots=True)
class Logins:
    """The login service, its page, and what clients of OAuth need."""

    pending: PendingLogins
    service: LoginService
    page: LoginPage
    oauth: OAuth
    routes: list[Route]
    """Of providers and clients."""


def identity_of(settings: Settings, database: Database, stored: Repositories) -> Identity:
    """Reads the signing keys, or makes one. Raises OidcMistake."""
    keys = signing_keys(settings)
    root = settings.root_token
    tokens = TokenIssuer(
        keys[0],
        previous_keys=keys[1:],
        root_token=root.get_secret_value() if root else None,
        revocations=Revocations(stored.revocations),
    )
    hooks = AuthHooks()
    oidc = [Provider(config) for config in oidc_configs(settings)]
    by_issuer = {p.config.issuer: (p.config, p.verifier) for p in oidc if p.config.audience}
    readers: list[TokenReader] = [OidcReader(by_issuer)] if by_issuer else []
    if settings.jwt_secret is not None:
        readers.append(_hypha_tokens(settings, keys))
    api_keys = ApiKeys(tokens.revocations, stored.api_keys)
    authentication = Authentication(tokens, hooks, readers, keys=api_keys)
    return Identity(settings, database, keys, tokens, hooks, authentication, api_keys, oidc)


def _hypha_tokens(settings: Settings, keys: list[str]) -> HyphaTokens:
    """The secret was given, and may be that of a Hypha server."""
    return HyphaTokens(
        keys,
        settings.auth0_issuer or hypha_tokens.ISSUER,
        settings.auth0_audience or hypha_tokens.AUDIENCE,
        settings.auth0_namespace or hypha_tokens.NAMESPACE,
    )


def logins_of(identity: Identity, doorkeeper: Doorkeeper, own: OwnServices) -> Logins:
    """Offers the login service, and makes what belongs to it."""
    settings, authentication = identity.settings, identity.authentication
    providers = _providers(identity, doorkeeper)
    exchange = TokenExchange(authentication, doorkeeper.as_member)
    local = _local_logins(identity, exchange)
    if local is not None:
        providers.insert(0, local)
    providers += [ElsewhereProvider(p.config.id, p.config.label) for p in identity.oidc]
    page = login_page(providers)
    pending = PendingLogins(settings.login_life_seconds)
    functions = LoginFunctions(
        pending, authentication, exchange, providers, page, settings.base_url
    )
    offered = dict(functions.functions())
    if local is not None:
        local.login = functions
        offered |= local.functions()
    service = LoginService(
        identity.hooks,
        offered,
        settings.base_url,
        ways=[provider.id for provider in providers],
        wrap=ForeignFunction,
        publish=partial(
            own.add,
            LOGIN_SERVICE,
            "Hypha Login",
            "Let a user log in, and get a token for a program.",
            type="functions",
            is_offered=True,
        ),
    )
    service.offer()
    oauth = build_oauth(
        settings,
        identity.keys[0],
        identity.tokens,
        identity.database,
        doorkeeper.as_member,
        pending,
        authentication,
    )
    routes = [*oauth.routes]
    if identity.oidc:
        elsewhere = OidcLogins(
            {provider.config.id: provider for provider in identity.oidc},
            pending,
            settings.base_url,
            partial(_complete, settings, authentication, functions),
        )
        routes += OidcRoutes(elsewhere, settings.base_url).routes()
    return Logins(pending, service, page, oauth, routes)


def _local_logins(identity: Identity, exchange: TokenExchange) -> LocalLogins | None:
    """Accounts of the server's own, if the settings ask for them."""
    settings = identity.settings
    if not settings.enable_local_auth:
        return None
    # Not every server has accounts, and their tables load the database library.
    from gateway.storage.accounts import AccountRepository  # noqa: PLC0415
    from gateway.storage.login_failures import LoginFailureRepository  # noqa: PLC0415

    accounts = Accounts(
        AccountRepository(identity.database),
        LoginFailureRepository(identity.database),
        Passwords(),
        mailer(settings),
        identity.keys[0],
        settings.local_auth_admins,
    )
    return LocalLogins(
        accounts,
        identity.tokens,
        exchange,
        life_seconds=settings.login_token_life_seconds,
        may_sign_up=settings.local_auth_signup,
    )


async def _complete(
    settings: Settings,
    authentication: Authentication,
    functions: LoginFunctions,
    user: User,
    profile: dict[str, Any],
    asked: Asked,
) -> None:
    """Complete a login with a token for a user that a provider has logged in."""
    life = settings.login_token_life_seconds
    token = await authentication.issue(user, expires_in_seconds=life)
    await functions.report(
        Caller(user, personal_workspace(user.id)),
        asked.key,
        token,
        workspace=asked.workspace,
        expires_in=asked.expires_in,
        email=user.email,
        email_verified=user.email_verified if user.email else None,
        **profile,
    )


def _providers(identity: Identity, doorkeeper: Doorkeeper) -> list[LoginProvider]:
    """The ways to log in, in the order in which the page shows them."""
    settings, tokens = identity.settings, identity.tokens
    providers: list[LoginProvider] = [TokenProvider(identity.authentication)]
    if settings.guest_login:
        life = settings.guest_token_life_seconds
        providers.append(GuestProvider(tokens, doorkeeper.new_anonymous, life_seconds=life))
    return providers
