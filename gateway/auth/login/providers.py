"""Ways to prove who one is, as the login page offers them.

An identity provider is one more ``LoginProvider`` in the list that ``gateway.app`` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from gateway.auth.authentication import Authentication
from gateway.auth.tokens import TokenIssuer
from schema.errors import InvalidRequest, Unauthenticated
from schema.identity import User


@dataclass(frozen=True, slots=True)
class LoginField:
    """Something that the page asks for."""

    name: str
    label: str
    is_secret: bool = False
    autocomplete: str = "off"
    """What browsers may fill in (HTML section 4.10.18.7)."""


class LoginProvider(Protocol):
    """One way to log in. The page shows the fields and a button; no fields, just the button."""

    @property
    def id(self) -> str: ...

    @property
    def button(self) -> str:
        """The text on the button."""
        ...

    @property
    def hint(self) -> str:
        """One sentence for people."""
        ...

    @property
    def fields(self) -> tuple[LoginField, ...]: ...

    @property
    def knows_workspaces(self) -> bool:
        """Whether its users may have a workspace that exists. If not, the page does not offer it
        for a login to a certain one."""
        ...

    @property
    def leads_elsewhere(self) -> bool:
        """Whether the button leads to a provider's own page, and so does not ask for a token."""
        ...

    @property
    def accounts(self) -> Literal["none", "kept", "open"]:
        """Whether it has accounts of the server's own, and whether anybody may make one."""
        ...

    async def token(self, answers: Mapping[str, str]) -> str:
        """A token for whoever gives these answers. Raises InvalidRequest if they prove nothing."""
        ...


class TokenProvider:
    """The user has a token already, for example from ``generate_token``."""

    id: Final = "token"
    button: Final = "Log in with this token"
    hint: Final = "Tokens come from generate_token() of a program that is logged in."
    fields: Final = (LoginField("token", "Access token", is_secret=True),)
    knows_workspaces: Final = True
    leads_elsewhere: Final = False
    accounts: Final = "none"

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def token(self, answers: Mapping[str, str]) -> str:
        token = answers.get("token", "").strip()
        try:
            await self._authentication.user(token)
        except Unauthenticated as error:
            raise InvalidRequest(error.message) from None
        return token


class GuestProvider:
    """Anybody may come in as a new user with an empty workspace, as programs may without a
    token."""

    id: Final = "guest"
    button: Final = "Continue as guest"
    hint: Final = "You get a name and an empty workspace of your own, for a short time."
    fields: Final[tuple[LoginField, ...]] = ()
    knows_workspaces: Final = False
    leads_elsewhere: Final = False
    accounts: Final = "none"

    def __init__(
        self, tokens: TokenIssuer, new_user: Callable[[], User], *, life_seconds: float
    ) -> None:
        self._tokens = tokens
        self._new_user = new_user
        self._life_seconds = life_seconds

    async def token(self, answers: Mapping[str, str]) -> str:
        return self._tokens.issue(self._new_user(), expires_in_seconds=self._life_seconds)


class ElsewhereProvider:
    """The user has an account with a provider, and logs in there."""

    fields: Final[tuple[LoginField, ...]] = ()
    hint: Final = ""
    knows_workspaces: Final = True
    leads_elsewhere: Final = True
    accounts: Final = "none"

    def __init__(self, provider_id: str, name: str) -> None:
        self.id = provider_id
        self.button = f"Continue with {name}"

    async def token(self, answers: Mapping[str, str]) -> str:
        raise InvalidRequest("This way to log in begins on the login page")
