"""Local accounts as functions of the login service, and as a way to log in on the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from gateway.auth.local.accounts import Accounts
from gateway.auth.login.exchange import TokenExchange
from gateway.auth.login.functions import LoginFunctions
from gateway.auth.login.providers import LoginField
from gateway.auth.tokens import MAX_LIFE_SECONDS, TokenIssuer
from gateway.requests import current_address
from gateway.storage.rows import Account
from schema.errors import InvalidRequest, PermissionDenied, Unauthenticated
from schema.identity import ANY_WORKSPACE, Caller, Permission, Scope, User, personal_workspace

Text = Annotated[str, Field(max_length=1024, coerce_numbers_to_str=True)]
"""A text. One that comes in a URL and looks like a number was made one."""


class LocalLogins:
    """``life_seconds`` is that of the tokens; ``may_sign_up`` whether anybody may."""

    id: Final = "local"
    button: Final = "Log in"
    hint: Final = ""
    fields: Final = (
        LoginField("email", "E-mail address", autocomplete="username"),
        LoginField("password", "Password", is_secret=True, autocomplete="current-password"),
    )
    knows_workspaces: Final = True
    leads_elsewhere: Final = False

    def __init__(
        self,
        accounts: Accounts,
        tokens: TokenIssuer,
        exchange: TokenExchange,
        *,
        life_seconds: float,
        may_sign_up: bool,
    ) -> None:
        self._book = accounts
        self._tokens = tokens
        self._exchange = exchange
        self._life_seconds = life_seconds
        self.may_sign_up = may_sign_up
        self.accounts: Literal["none", "kept", "open"] = "open" if may_sign_up else "kept"
        self.login: LoginFunctions | None = None
        """The service that these functions are part of, which completes logins."""

    def functions(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """Names and functions, as callers see them."""
        return {
            "signup": self.signup,
            "verify_email": self.verify_email,
            "resend_code": self.resend_code,
            "login": self.log_in,
            "update_profile": self.update_profile,
            "forgot_password": self.forgot_password,
            "reset_password": self.reset_password,
        }

    async def token(self, answers: Mapping[str, str]) -> str:
        """See ``LoginProvider``."""
        account = await self._known(
            answers.get("email", ""), answers.get("password", ""), current_address.get()
        )
        return self._token_of(account)

    async def signup(self, caller: Caller, name: Text, email: Text, password: Text) -> Any:
        """Ask for an account. A code goes to the e-mail address; give it to verify_email."""
        if not self.may_sign_up:
            raise PermissionDenied("Accounts are made by the operator of this server")
        await self._book.sign_up(name, email, password, _source(caller))
        return {"success": True, "message": "A code was sent to the address"}

    async def verify_email(self, caller: Caller, email: Text, code: Text) -> Any:
        """Make the account that was asked for, with the code that came by mail."""
        account = await self._book.verify(email, code, _source(caller))
        return {"success": True, "user_id": account.id, "email": account.email}

    async def resend_code(self, caller: Caller, email: Text) -> Any:
        """Send another code for a sign-up."""
        await self._book.resend(email, _source(caller))
        return {"success": True, "message": "If a sign-up waits for it, a code was sent"}

    async def log_in(
        self,
        caller: Caller,
        email: Text,
        password: Text,
        workspace: Text | None = None,
        key: Text | None = None,
    ) -> Any:
        """Get a token with an account; with a workspace one for that alone, if the user may go
        there. With the key of a login that a program has started, the program gets it too."""
        account = await self._known(email, password, _source(caller))
        token = await self._exchange.cut(self._token_of(account), workspace or None, None)
        if key and self.login is not None:
            await self.login.report(
                caller, key, token, email=account.email, email_verified=True, name=account.name
            )
        return {
            "success": True,
            "token": token,
            "user_id": account.id,
            "email": account.email,
            "name": account.name,
            "workspace": workspace or personal_workspace(account.id),
        }

    async def update_profile(
        self,
        caller: Caller,
        current_password: Text,
        name: Text | None = None,
        new_password: Text | None = None,
    ) -> Any:
        """Change the name or the password of the account that the caller is logged in with. A new
        password ends all logins."""
        if caller.user.is_anonymous or caller.user.parent is not None:
            raise PermissionDenied("Log in with the account itself")
        account = await self._book.change(
            caller.user.id, current_password, name=name, password=new_password
        )
        if new_password is not None:
            await self._end_logins(account)
        return {"success": True}

    async def forgot_password(self, caller: Caller, email: Text) -> Any:
        """Send a code to the address of an account, to set its password anew."""
        await self._book.ask_for_reset(email, _source(caller))
        return {"success": True, "message": "If there is such an account, a code was sent"}

    async def reset_password(
        self, caller: Caller, email: Text, code: Text, new_password: Text
    ) -> Any:
        """Set a password anew, with the code that came by mail. Ends all logins."""
        account = await self._book.reset(email, code, new_password, _source(caller))
        await self._end_logins(account)
        return {"success": True}

    async def _known(self, email: str, password: str, source: str) -> Account:
        try:
            return await self._book.log_in(email, password, source)
        except Unauthenticated as error:
            # The request's own credential is not what is wrong.
            raise InvalidRequest(error.message) from None

    def _token_of(self, account: Account) -> str:
        scope = Scope({ANY_WORKSPACE: Permission.ADMIN}) if account.is_admin else Scope()
        user = User(
            id=account.id,
            roles=("admin",) if account.is_admin else (),
            scope=scope,
            email=account.email,
            email_verified=True,
        )
        life = self._life_seconds
        return self._tokens.issue(user, expires_in_seconds=life, origin=_login_id(account))

    async def _end_logins(self, account: Account) -> None:
        await self._tokens.revocations.revoke(_login_id(account), seconds=MAX_LIFE_SECONDS)


def _login_id(account: Account) -> str:
    """What all tokens follow from that were made with the account's present password."""
    return f"{account.id}.{account.generation}"


def _source(caller: Caller) -> str:
    """Where guesses come from: the address of a request; for a connection, the connection, so that
    nobody is kept waiting for what others do."""
    return caller.address or current_address.get()
