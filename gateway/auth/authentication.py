"""Who a token stands for, whoever has made it, and tokens for users.

Most servers know their own tokens alone, and then this adds one comparison. What else there is
(an operator's hooks, identity providers) is asked in this order: the hooks, the gateway's own
tokens, the providers.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from gateway.auth.api_keys import PREFIX, ApiKeys
from gateway.auth.digests import digest
from gateway.auth.hooks import AuthHooks
from gateway.auth.tokens import MAX_LIFE_SECONDS, TokenIssuer
from schema.errors import InvalidRequest, TokenRevoked, Unauthenticated
from schema.identity import ROOT_USER, User

_REMEMBERED: Final = 4096
FOREIGN_LIFE_SECONDS: Final = 100 * 365 * 86400.0
"""How long the revocation of a token that does not end is remembered."""


class TokenReader(Protocol):
    """Reads tokens that somebody else issues."""

    async def read(self, token: str, resources: Sequence[str]) -> User | None:
        """Whom it stands for, or None if it is not one that this reader is for. It may be limited
        to one of ``resources``.

        Raises Unauthenticated, Unavailable.
        """
        ...


class Authentication:
    """Verifies and issues tokens. ``clock`` gives Unix seconds."""

    def __init__(
        self,
        tokens: TokenIssuer,
        hooks: AuthHooks,
        readers: Sequence[TokenReader] = (),
        *,
        keys: ApiKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._hooks = hooks
        self._readers = readers
        self._clock = clock
        self._admitted: OrderedDict[str, User] = OrderedDict()
        """Whom tokens of others stood for when they were last verified, by digest."""

    async def user(self, token: str, resources: Sequence[str] = ()) -> User:
        """The user that a token stands for. ``resources`` are what it is used for, if that is
        something that tokens may be limited to (RFC 8707). Raises Unauthenticated, Unavailable."""
        if self._keys is not None and token.startswith(PREFIX):
            return self._keys.user(token)
        if self._hooks.parse_token is None and not self._readers:
            return self._tokens.verify(token, resources=resources)
        return await self._among_all(token.removeprefix("Bearer ").strip(), resources)

    async def bearer(self, token: str) -> User:
        """Whom a token was made for, even if it has expired since: for messages of a connection
        that it has opened. Raises Unauthenticated, Unavailable."""
        if token.startswith(PREFIX):
            return await self.user(token)
        try:
            return self._tokens.verify(token, even_if_expired=True)
        except TokenRevoked:
            raise
        except Unauthenticated:
            known = self._admitted.get(digest(token.removeprefix("Bearer ").strip()))
        if known is None:
            return await self.user(token)
        self.check_not_revoked(known)
        return known

    def check_not_revoked(self, user: User) -> None:
        """Raises TokenRevoked if the credential of ``user`` has been since it was verified."""
        if self._tokens.revocations.covers(user):
            raise TokenRevoked("Token has been revoked")

    async def revoke(self, user: User) -> None:
        """Take back the credential that ``user`` was read from, with all that was made from it.

        Raises InvalidRequest for one that cannot be taken back.
        """
        if user.credential_id is None:
            raise InvalidRequest("This token cannot be revoked: it is part of the configuration")
        # Tokens of others end when they say, which may be late or never.
        left = math.inf if user.expires_at is None else user.expires_at - self._clock()
        seconds = min(max(left, MAX_LIFE_SECONDS), FOREIGN_LIFE_SECONDS)
        await self._tokens.revocations.revoke(user.credential_id, seconds=seconds)

    async def issue(self, user: User, *, expires_in_seconds: float) -> str:
        """A token for ``user`` with its scope, by the operator's hook if there is one.

        Raises InvalidRequest, Unavailable.
        """
        made = await self._hooks.generate(user, expires_in_seconds)
        if made is not None:
            return made
        return self._tokens.issue(user, expires_in_seconds=expires_in_seconds)

    @property
    def finds_tokens(self) -> bool:
        """Whether an operator's hook looks for tokens in requests."""
        return self._hooks.get_token is not None

    async def find(self, scope: Mapping[str, Any]) -> str | None:
        """The token that the operator's hook finds in a request, if any."""
        return await self._hooks.find(scope)

    async def _among_all(self, token: str, resources: Sequence[str]) -> User:
        refusal: Unauthenticated | None = None
        own: User | None = None
        try:
            own = self._tokens.verify(token, resources=resources)
        except TokenRevoked:
            raise
        except Unauthenticated as error:
            refusal = error
        # A hook that is broken must not keep out who could mend it.
        if own is not None and own.id == ROOT_USER.id:
            return own
        found = await self._hooks.parse(token)
        if found is not None:
            return self._remembered(token, found)
        if own is not None:
            return own
        for reader in self._readers:
            found = await reader.read(token, resources)
            if found is not None:
                return self._remembered(token, found)
        raise refusal or Unauthenticated("The token is not valid")

    def _remembered(self, token: str, user: User) -> User:
        if user.expires_at is not None and user.expires_at <= self._clock():
            raise Unauthenticated("The token has expired. Please fetch a new one")
        key = digest(token)
        user = replace(user, lineage=(f"foreign-{key}",), not_after=user.expires_at)
        self.check_not_revoked(user)
        self._admitted[key] = user
        self._admitted.move_to_end(key)
        if len(self._admitted) > _REMEMBERED:
            self._admitted.popitem(last=False)
        return user
