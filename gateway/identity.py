"""The parts that know who somebody is, made in order: tokens, authentication, logins, OAuth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.admission import Doorkeeper
from gateway.auth.authentication import Authentication
from gateway.auth.hooks import AuthHooks
from gateway.auth.keys import signing_keys
from gateway.auth.login.exchange import TokenExchange
from gateway.auth.login.functions import LoginFunctions
from gateway.auth.login.page import LoginPage, login_page
from gateway.auth.login.pending import PendingLogins
from gateway.auth.login.providers import GuestProvider, LoginProvider, TokenProvider
from gateway.auth.login.service import LOGIN_SERVICE, LoginService
from gateway.auth.oauth.build import OAuth, build_oauth
from gateway.auth.revocations import Revocations
from gateway.auth.tokens import TokenIssuer
from gateway.registry.own import OwnServices
from gateway.rpc.local import ForeignFunction
from gateway.settings import Settings
from gateway.storage.database import Database
from gateway.storage.revocations import RevocationRepository


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


@dataclass(frozen=True, slots=True)
class Logins:
    """The login service, its page, and what clients of OAuth need."""

    pending: PendingLogins
    service: LoginService
    page: LoginPage
    oauth: OAuth


def identity_of(settings: Settings, database: Database) -> Identity:
    """Reads the signing key, or makes it."""
    keys = signing_keys(settings)
    root = settings.root_token
    tokens = TokenIssuer(
        keys[0],
        previous_keys=keys[1:],
        root_token=root.get_secret_value() if root else None,
        revocations=Revocations(None if settings.ephemeral else RevocationRepository(database)),
    )
    hooks = AuthHooks()
    return Identity(settings, database, keys, tokens, hooks, Authentication(tokens, hooks))


def logins_of(identity: Identity, doorkeeper: Doorkeeper, own: OwnServices) -> Logins:
    """Offers the login service, and makes what belongs to it."""
    settings, authentication = identity.settings, identity.authentication
    providers = _providers(identity, doorkeeper)
    page = login_page(providers)
    pending = PendingLogins(settings.login_life_seconds)
    exchange = TokenExchange(authentication, doorkeeper.as_member)
    functions = LoginFunctions(
        pending, authentication, exchange, providers, page, settings.base_url
    )
    service = LoginService(
        identity.hooks,
        functions.functions(),
        settings.base_url,
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
    return Logins(pending, service, page, oauth)


def _providers(identity: Identity, doorkeeper: Doorkeeper) -> list[LoginProvider]:
    """The ways to log in, in the order in which the page shows them."""
    settings, tokens = identity.settings, identity.tokens
    providers: list[LoginProvider] = [TokenProvider(identity.authentication)]
    if settings.guest_login:
        life = settings.guest_token_life_seconds
        providers.append(GuestProvider(tokens, doorkeeper.new_anonymous, life_seconds=life))
    return providers
