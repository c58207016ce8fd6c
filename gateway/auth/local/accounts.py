"""What can be done with local accounts. No answer tells whether an address has one."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from gateway.auth.local.mail import Mailer
from gateway.auth.local.passwords import Passwords
from gateway.auth.local.throttle import Throttle
from gateway.storage.rows import Account, Code
from schema.errors import InvalidRequest, LimitExceeded, Unauthenticated, Unavailable

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.accounts import AccountRepository
    from gateway.storage.login_failures import LoginFailureRepository

CODE_SECONDS: Final = 600.0
CODE_ATTEMPTS: Final = 5
RESEND_SECONDS: Final = 30.0
MAX_CODES: Final = 10_000
SIGN_UP, RESET = "signup", "reset"
_EMAIL: Final = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")
_ACCOUNT, _ADDRESS = "account", "address"
_FREE_FAILURES: Final = {_ACCOUNT: 8, _ADDRESS: 40}
_WRONG: Final = "The e-mail address or the password is wrong"
_WRONG_CODE: Final = "The code is wrong or has expired"


class Accounts:
    """``key`` protects codes at rest; ``admins`` are the addresses of administrators;
    ``clock`` gives Unix seconds."""

    def __init__(
        self,
        repository: AccountRepository,
        failures: LoginFailureRepository,
        passwords: Passwords,
        mailer: Mailer,
        key: str,
        admins: Collection[str] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._mailer = mailer
        self._key = hashlib.sha256(b"polyport account codes " + key.encode()).digest()
        self._admins = {address.strip().lower() for address in admins}
        self._clock = clock
        self._throttle = Throttle(_FREE_FAILURES, failures, self._key, clock=clock)

    async def sign_up(self, name: str, email: str, password: str, source: str) -> None:
        """Ask for an account; a code goes to the address. Raises InvalidRequest, LimitExceeded,
        Unavailable."""
        email = checked_email(email)
        await self._admit(source)
        kept = await self._passwords.hash(password)
        await self._count(source)  # each costs mail and memory, whoever asks
        if await self._repository.by_email(email) is None:
            await self._send(email, SIGN_UP, name=_name(name) or email, password=kept)
        else:
            await self._send(email, SIGN_UP, is_known=True)

    async def verify(self, email: str, code: str, source: str) -> Account:
        """Make the account that was asked for. Raises InvalidRequest, LimitExceeded."""
        found = await self._checked_code(email, SIGN_UP, code, source)
        account = Account(
            id=f"local-{secrets.token_hex(8)}",
            email=found.email,
            name=found.name,
            password=found.password,
            generation=0,
            is_admin=found.email in self._admins,
            created_at=self._clock(),
        )
        if not found.password or not await self._repository.add(account):
            raise InvalidRequest(_WRONG_CODE)
        return account

    async def resend(self, email: str, source: str) -> None:
        """Send another code for a sign-up that waits for one; the old one is void."""
        email = checked_email(email)
        await self._admit(source)
        await self._count(source)
        waiting = await self._repository.code(email, SIGN_UP)
        if waiting is not None:
            is_known = not waiting.password
            await self._send(
                email, SIGN_UP, name=waiting.name, password=waiting.password, is_known=is_known
            )

    async def log_in(self, email: str, password: str, source: str) -> Account:
        """Raises Unauthenticated, and LimitExceeded for whoever has failed too often."""
        subject = email.strip().lower()[:400]
        throttle, subjects = self._throttle, ((_ADDRESS, source), (_ACCOUNT, subject))
        await throttle.load()
        for kind, name in subjects:
            throttle.check(kind, name)
        # Counted before anything is waited for: many at once are many.
        for kind, name in subjects:
            throttle.failed(kind, name)
        await throttle.save()
        account = await self._repository.by_email(subject)
        is_right = await self._passwords.matches(password, account.password if account else None)
        if account is None or not is_right:
            raise Unauthenticated(_WRONG)
        for kind, name in subjects:
            throttle.succeeded(kind, name)
        await throttle.save()
        return account

    async def ask_for_reset(self, email: str, source: str) -> None:
        """Send a code with which the password can be set anew, if there is such an account."""
        email = checked_email(email)
        await self._admit(source)
        await self._count(source)
        if await self._repository.by_email(email) is not None:
            await self._send(email, RESET)

    async def reset(self, email: str, code: str, password: str, source: str) -> Account:
        """Set the password anew. Returns the account as it was."""
        kept = await self._passwords.hash(password)
        found = await self._checked_code(email, RESET, code, source)
        account = await self._repository.by_email(found.email)
        if account is None:
            raise InvalidRequest(_WRONG_CODE)
        await self._set_password(account, kept)
        self._throttle.succeeded(_ACCOUNT, found.email)
        await self._throttle.save()
        return account

    async def change(
        self, account_id: str, current: str, *, name: str | None, password: str | None
    ) -> Account:
        """Change name or password, for whoever knows the current one. Returns the account as it
        was. Raises Unauthenticated, LimitExceeded, InvalidRequest."""
        account = await self._repository.by_id(account_id)
        if account is None:
            raise Unauthenticated("Only users with a local account have a profile to update")
        await self.log_in(account.email, current, f"change {account_id}")
        if name is not None:
            await self._repository.change(account_id, name=_name(name) or account.email)
        if password is not None:
            await self._set_password(account, await self._passwords.hash(password))
        return account

    async def _admit(self, source: str) -> None:
        """Raises LimitExceeded for an address that has to wait."""
        await self._throttle.load()
        self._throttle.check(_ADDRESS, source)

    async def _count(self, source: str) -> None:
        """Count what an address has done that is not for free."""
        self._throttle.failed(_ADDRESS, source)
        await self._throttle.save()

    async def _set_password(self, account: Account, kept: str) -> None:
        generation = account.generation + 1
        await self._repository.change(account.id, password=kept, generation=generation)

    async def _send(
        self,
        email: str,
        purpose: str,
        *,
        name: str = "",
        password: str = "",
        is_known: bool = False,
    ) -> None:
        now = self._clock()
        earlier = await self._repository.code(email, purpose)
        if earlier is not None and earlier.sent_at + RESEND_SECONDS > now:
            wait = earlier.sent_at + RESEND_SECONDS - now
            raise LimitExceeded("A code was sent a moment ago", retry_after_seconds=wait)
        code = f"{secrets.randbelow(10**6):06}"
        # An address that has an account gets a code that opens nothing: an entry all the same, so
        # that asking again is answered as for others.
        kept = Code(
            email=email,
            purpose=purpose,
            digest=self._digest(email, purpose, secrets.token_hex() if is_known else code),
            name=name,
            password=password,
            attempts=0,
            sent_at=now,
            expires_at=now + CODE_SECONDS,
        )
        if not await self._repository.keep_code(kept, now, MAX_CODES):
            raise Unavailable("Too many are signing up now. Try again later.")
        minutes = round(CODE_SECONDS / 60)
        text = f"Your code is {code}. It is good for {minutes} minutes."
        if is_known:
            text = (
                "Somebody, perhaps you, has tried to sign up with this address, which has an "
                "account already. Log in with it, or ask for a new password."
            )
        await self._mailer.send(email, "Your code", text)

    async def _checked_code(self, email: str, purpose: str, code: str, source: str) -> Code:
        email = checked_email(email)
        await self._admit(source)
        found = await self._repository.code(email, purpose)
        now = self._clock()
        is_good = (
            found is not None
            and found.expires_at > now
            and await self._repository.attempt(found, CODE_ATTEMPTS)
            and secrets.compare_digest(found.digest, self._digest(email, purpose, code.strip()))
            and await self._repository.use_code(found)
        )
        if not is_good or found is None:
            await self._count(source)
            raise InvalidRequest(_WRONG_CODE)
        return found

    def _digest(self, email: str, purpose: str, code: str) -> str:
        text = f"{purpose} {email} {code}".encode("utf-8", "replace")
        return hmac.digest(self._key, text, "sha256").hex()


def checked_email(email: str) -> str:
    """The address in lower case. Raises InvalidRequest."""
    email = email.strip().lower()
    if len(email) > 255 or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidRequest("That is no e-mail address")
    return email


def _name(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip()[:100]
