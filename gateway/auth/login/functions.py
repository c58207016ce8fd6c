"""The functions of ``public/hypha-login``. Names, arguments and texts are those that hypha-rpc
clients and their users' scripts rely on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field

from gateway.auth.authentication import Authentication
from gateway.auth.login.exchange import TokenExchange
from gateway.auth.login.page import LOGIN_PATH, LoginPage
from gateway.auth.login.pending import LoggedIn, PendingLogins
from gateway.auth.login.providers import LoginProvider
from gateway.auth.login.service import service_urls
from gateway.auth.tokens import check_life
from schema.errors import InvalidRequest, Unauthenticated
from schema.identity import Caller

Text = Annotated[str, Field(max_length=4096, coerce_numbers_to_str=True)]
"""A text that is kept for a while. One that comes in a URL and looks like a number was made one."""
Seconds = int | float


class LoginFunctions:
    """Start, report and check logins."""

    def __init__(
        self,
        pending: PendingLogins,
        authentication: Authentication,
        exchange: TokenExchange,
        providers: Sequence[LoginProvider],
        page: LoginPage,
        base_url: str,
    ) -> None:
        self._pending = pending
        self._authentication = authentication
        self._exchange = exchange
        self._providers = {provider.id: provider for provider in providers}
        self._page = page
        self._base_url = base_url

    def functions(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """Names and functions, as callers see them."""
        return {
            "start": self.start,
            "check": self.check,
            "report": self.report,
            "get_token": self.get_token,
            "index": self.index,
            "profile": self.profile,
            "logout": self.logout,
        }

    async def start(
        self, caller: Caller, workspace: Text | None = None, expires_in: Seconds | None = None
    ) -> dict[str, str]:
        """Start a login: show its login_url to the user, then wait in check with its key. A
        workspace and a life in seconds are those of the token that will come of it."""
        if expires_in is not None:
            check_life(expires_in)
        login = self._pending.begin(
            workspace=workspace or None,
            expires_in=expires_in,
            # The login URL travels further than it should: it is no key to the token if it can be
            # helped. Without a connection and a token of their own, callers look all the same.
            checker=caller.user.id if caller.client_id or not caller.user.is_anonymous else None,
        )
        query = {"key": login.key, "workspace": login.workspace, "expires_in": expires_in}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return {
            "login_url": f"{self._base_url}{LOGIN_PATH}?{given}",
            "key": login.key,
            **service_urls(self._base_url),
        }

    async def check(
        self, caller: Caller, key: Text, timeout: Seconds = 180, profile: bool | None = False
    ) -> str | dict[str, Any] | None:
        """Wait until the user has logged in, and get the token, or the profile with the token in
        it. It is given out once. A timeout of 0 does not wait: null if there is none yet."""
        login = self._pending.get(key)
        if login.checker not in (None, caller.user.id):
            raise InvalidRequest("Invalid key, key does not exist")
        result = await self._pending.outcome(login, timeout)
        if result is None:
            return None
        return result.to_wire() if profile else result.token

    async def report(  # noqa: PLR0913 - the arguments are the contract
        self,
        caller: Caller,
        key: Text,
        token: str,
        workspace: Text | None = None,
        expires_in: Seconds | None = None,
        email: Text | None = None,
        email_verified: bool | None = None,
        name: Text | None = None,
        nickname: Text | None = None,
        user_id: Text | None = None,
        picture: Text | None = None,
    ) -> None:
        """Complete a login with a token that this server has issued. With a workspace, given here
        or at the start, the program gets one for that workspace alone."""
        login = self._pending.get(key)
        try:
            cut = await self._exchange.cut(
                token.removeprefix("Bearer ").strip(),
                workspace or login.workspace,
                expires_in if expires_in is not None else login.expires_in,
            )
            user = await self._authentication.user(cut)
        except Unauthenticated as error:
            raise InvalidRequest(
                f"Invalid token provided to report_login: {error.message}"
            ) from None
        # The token proves who it is. What the reporter says about that may add to it, and never
        # contradict it, because programs take the profile's user_id and email at their word.
        proven = user.email is not None and email in (None, user.email)
        result = LoggedIn(
            token=cut,
            workspace=user.scope.current_workspace,
            expires_in=round(self._exchange.seconds_left(user)),
            user_id=user.id,
            email=user.email or email,
            email_verified=email_verified if proven or email_verified is None else False,
            name=name,
            nickname=nickname,
            picture=picture,
        )
        self._pending.complete(login, result)

    async def get_token(
        self, caller: Caller, provider: Text, answers: dict[str, Text] | None = None
    ) -> str:
        """Get a token from one of the ways to log in that the login page offers."""
        found = self._providers.get(provider)
        if found is None:
            raise InvalidRequest(f"There is no such way to log in: {provider!r}")
        return await found.token(answers or {})

    async def index(self, caller: Caller, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """The login page, as a web response."""
        return {"status": 200, "headers": dict(self._page.headers), "body": self._page.html}

    async def profile(self, caller: Caller, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """A redirect to the login page, as a web response."""
        location = {"Location": f"{self._base_url}{LOGIN_PATH}"}
        return {"status": 307, "headers": location, "body": None}

    async def logout(self, caller: Caller, config: dict[str, Any] | None = None) -> dict[str, str]:
        """Get the URL that forgets the login in the user's browser. A token that a program has is
        good until it expires or is revoked."""
        return {"logout_url": f"{self._base_url}{LOGIN_PATH}?logout=true&close=true"}
