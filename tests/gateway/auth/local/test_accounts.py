"""Accounts of the gateway's own, against whoever guesses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from gateway.auth.local.accounts import CODE_ATTEMPTS, CODE_SECONDS, RESEND_SECONDS, Accounts
from gateway.auth.local.passwords import Passwords
from gateway.auth.local.throttle import FORGET_SECONDS, LONGEST_WAIT_SECONDS
from gateway.settings import Settings
from gateway.storage.accounts import AccountRepository
from gateway.storage.database import Database
from gateway.storage.login_failures import LoginFailureRepository, login_failures
from schema.errors import GatewayError, InvalidRequest, LimitExceeded, Unauthenticated, Unavailable

EMAIL, PASSWORD = "ada@example.org", "correct horse"


class Counting(Passwords):
    """Hashes that cost nothing; ``checked`` counts those that were compared."""

    checked = 0

    async def matches(self, password: str, kept: str | None) -> bool:
        self.checked += 1
        return await super().matches(password, kept)


class Desk:
    """The accounts, their mail and their clock."""

    def __init__(self, database: Database) -> None:
        self.sent: list[tuple[str, str]] = []
        self.now = 1_000_000.0
        self.is_down = False
        self.passwords = Counting(cheap=True)
        self.database = database
        self.repository = AccountRepository(database)
        self.restart()

    def restart(self) -> None:
        """As a new process has them."""
        self.accounts = Accounts(
            self.repository,
            LoginFailureRepository(self.database),
            self.passwords,
            self,
            "key",
            ["Boss@Example.org"],
            clock=lambda: self.now,
        )

    async def send(self, to: str, subject: str, text: str) -> None:
        if self.is_down:
            raise Unavailable("No mail can be sent now")
        self.sent.append((to, text))

    @property
    def code(self) -> str:
        [code] = re.findall(r"\d{6}", self.sent[-1][1])
        return str(code)

    async def member(self, email: str = EMAIL) -> str:
        """An account; returns its id."""
        await self.accounts.sign_up("Ada", email, PASSWORD, "setup")
        account = await self.accounts.verify(email, self.code, "setup")
        self.now += RESEND_SECONDS
        return account.id


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    database = Database(Settings(ephemeral=True))
    yield Desk(database)
    await database.close()


async def test_an_account_is_made_with_the_code_that_was_mailed(desk: Desk) -> None:
    await desk.accounts.sign_up("Ada", " Ada@Example.org ", PASSWORD, "a")
    assert desk.sent[-1][0] == EMAIL
    with pytest.raises(Unauthenticated):
        await desk.accounts.log_in(EMAIL, PASSWORD, "a")
    account = await desk.accounts.verify("ADA@example.org", desk.code, "a")
    assert (account.email, account.name, account.is_admin) == (EMAIL, "Ada", False)
    assert (await desk.accounts.log_in("Ada@example.org", PASSWORD, "a")).id == account.id
    assert account.password.startswith("$argon2id$")


async def test_an_administrator_is_who_the_operator_names(desk: Desk) -> None:
    await desk.member("boss@example.org")
    assert (await desk.accounts.log_in("boss@example.org", PASSWORD, "a")).is_admin


async def test_a_code_counts_once(desk: Desk) -> None:
    await desk.accounts.sign_up("Ada", EMAIL, PASSWORD, "a")
    code = desk.code
    done = await asyncio.gather(
        *(desk.accounts.verify(EMAIL, code, "a") for _ in range(4)), return_exceptions=True
    )
    assert [isinstance(result, InvalidRequest) for result in done].count(False) == 1


async def test_s39_a_code_has_few_attempts_and_a_short_life(desk: Desk) -> None:
    await desk.accounts.sign_up("Ada", EMAIL, PASSWORD, "a")
    wrong = f"{(int(desk.code) + 1) % 10**6:06}"
    guesses = [desk.accounts.verify(EMAIL, wrong, "a") for _ in range(3 * CODE_ATTEMPTS)]
    for result in await asyncio.gather(*guesses, return_exceptions=True):
        assert isinstance(result, InvalidRequest)
    with pytest.raises(InvalidRequest, match="wrong or has expired"):
        await desk.accounts.verify(EMAIL, desk.code, "a")
    desk.now += RESEND_SECONDS
    await desk.accounts.resend(EMAIL, "a")
    desk.now += CODE_SECONDS + 1
    with pytest.raises(InvalidRequest):
        await desk.accounts.verify(EMAIL, desk.code, "a")


async def test_s39_codes_are_digests_at_rest(desk: Desk) -> None:
    await desk.accounts.sign_up("Ada", EMAIL, PASSWORD, "a")
    kept = await desk.repository.code(EMAIL, "signup")
    assert kept is not None
    assert desk.code not in repr(kept)
    assert PASSWORD not in repr(kept)


async def test_another_code_is_sent_after_a_while(desk: Desk) -> None:
    await desk.accounts.sign_up("Ada", EMAIL, PASSWORD, "a")
    with pytest.raises(LimitExceeded) as refused:
        await desk.accounts.resend(EMAIL, "a")
    assert refused.value.retry_after_seconds == RESEND_SECONDS
    first = desk.code
    desk.now += RESEND_SECONDS
    await desk.accounts.resend(EMAIL, "a")
    if desk.code != first:
        with pytest.raises(InvalidRequest):
            await desk.accounts.verify(EMAIL, first, "a")
    await desk.accounts.verify(EMAIL, desk.code, "a")
    await desk.accounts.resend("nobody@example.org", "a")
    assert desk.sent[-1][0] == EMAIL


async def test_an_address_with_an_account_is_answered_like_one_without(desk: Desk) -> None:
    await desk.member()
    await desk.accounts.sign_up("Eve", EMAIL, "another password", "eve")
    assert "has an account already" in " ".join(desk.sent[-1][1].split())
    assert not re.search(r"\d{6}", desk.sent[-1][1])
    with pytest.raises(LimitExceeded):
        await desk.accounts.sign_up("Eve", EMAIL, "another password", "eve")
    with pytest.raises(InvalidRequest, match="wrong or has expired"):
        await desk.accounts.verify(EMAIL, "000000", "eve")
    await desk.accounts.log_in(EMAIL, PASSWORD, "a")
    for email in (EMAIL, "nobody@example.org"):
        with pytest.raises(Unauthenticated, match="The e-mail address or the password is wrong"):
            await desk.accounts.log_in(email, "wrong password", "eve")
        await desk.accounts.ask_for_reset(email, "eve")
    assert desk.passwords.checked >= 3  # nobody's password takes as long


async def test_a_thousand_wrong_passwords_are_not_a_thousand_tries(desk: Desk) -> None:
    await desk.member()
    desk.passwords.checked = 0
    refused = 0
    for number in range(1000):
        with pytest.raises((Unauthenticated, LimitExceeded)) as failure:
            await desk.accounts.log_in(EMAIL, f"guess {number}", f"10.0.{number % 250}.1")
        refused += isinstance(failure.value, LimitExceeded)
    assert desk.passwords.checked <= 10
    assert refused >= 990
    with pytest.raises(LimitExceeded):  # not even with the right one
        await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")
    desk.now += LONGEST_WAIT_SECONDS
    await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")


async def test_a_restart_gives_nobody_fresh_tries(desk: Desk) -> None:
    await desk.member()
    desk.passwords.checked = 0
    for number in range(100):
        desk.restart()
        with pytest.raises((Unauthenticated, LimitExceeded)):
            await desk.accounts.log_in(EMAIL, f"guess {number}", f"10.0.{number}.1")
    assert desk.passwords.checked <= 10
    with pytest.raises(LimitExceeded):
        await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")
    desk.now += LONGEST_WAIT_SECONDS
    await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")
    desk.restart()
    await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")  # what went well is forgotten
    async with desk.database.transaction() as connection:
        rows = (await connection.execute(select(login_failures))).all()
    assert rows
    assert EMAIL not in repr(rows)
    desk.now += FORGET_SECONDS
    desk.restart()
    await desk.accounts.log_in(EMAIL, PASSWORD, "elsewhere")
    async with desk.database.transaction() as connection:
        assert (await connection.execute(select(login_failures))).all() == []


async def test_what_is_kept_of_failures_has_a_bound(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.auth.local.throttle.MAX_SUBJECTS", 5)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await desk.accounts.log_in(f"user{number}@example.org", "guess", f"10.0.0.{number}")
    async with desk.database.transaction() as connection:
        rows = (await connection.execute(select(login_failures))).all()
    assert len(rows) == 10  # five of each kind


async def test_a_code_is_replaced_however_many_wait_for_theirs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.auth.local.accounts.MAX_CODES", 2)
    for email in (EMAIL, "bob@example.org"):
        await desk.accounts.sign_up("Ada", email, PASSWORD, "a")
    with pytest.raises(Unavailable, match="Too many are signing up"):
        await desk.accounts.sign_up("Eve", "eve@example.org", PASSWORD, "a")
    desk.now += RESEND_SECONDS
    await desk.accounts.resend(EMAIL, "a")
    await desk.accounts.verify(EMAIL, desk.code, "a")


async def test_guesses_at_the_same_time_are_counted_one_by_one(desk: Desk) -> None:
    await desk.member()
    desk.passwords.checked = 0
    guesses = [desk.accounts.log_in(EMAIL, f"guess {n}", "eve") for n in range(200)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(result, GatewayError) for result in results)
    assert desk.passwords.checked <= 10


async def test_who_tries_many_accounts_from_one_address_has_to_wait(desk: Desk) -> None:
    desk.passwords.checked = 0
    for number in range(200):
        with pytest.raises((Unauthenticated, LimitExceeded)):
            await desk.accounts.log_in(f"user{number}@example.org", "guess", "eve")
    assert desk.passwords.checked <= 42
    await desk.member()
    await desk.accounts.log_in(EMAIL, PASSWORD, "home")
    desk.now += FORGET_SECONDS + LONGEST_WAIT_SECONDS
    await desk.accounts.log_in(EMAIL, PASSWORD, "eve")


async def test_a_password_is_set_anew_with_a_code(desk: Desk) -> None:
    await desk.member()
    await desk.accounts.ask_for_reset(EMAIL, "a")
    with pytest.raises(InvalidRequest):
        await desk.accounts.verify(EMAIL, desk.code, "a")  # a code is for one thing
    before = await desk.accounts.reset(EMAIL, desk.code, "battery staple", "a")
    after = await desk.accounts.log_in(EMAIL, "battery staple", "a")
    assert after.generation == before.generation + 1
    with pytest.raises(Unauthenticated):
        await desk.accounts.log_in(EMAIL, PASSWORD, "a")


async def test_a_profile_is_changed_by_who_knows_the_password(desk: Desk) -> None:
    account_id = await desk.member()
    with pytest.raises(Unauthenticated):
        await desk.accounts.change(account_id, "wrong", name="Eve", password=None)
    with pytest.raises(Unauthenticated):
        await desk.accounts.change("local-other", PASSWORD, name="Eve", password=None)
    await desk.accounts.change(account_id, PASSWORD, name="Ada L.", password="battery staple")
    assert (await desk.accounts.log_in(EMAIL, "battery staple", "a")).name == "Ada L."


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
async def test_a_password_has_a_length(desk: Desk, password: str) -> None:
    with pytest.raises(InvalidRequest, match="8 to 256 characters"):
        await desk.accounts.sign_up("Ada", EMAIL, password, "a")


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a b@example.org",
        "a@b@c",
        "a\n@example.org",
        "x@" + "y" * 300,
        "ada@example.org\r\nBcc: eve@example.org",
        "<a@example.org>",
    ],
)
async def test_an_address_is_one_address(desk: Desk, email: str) -> None:
    with pytest.raises(InvalidRequest, match="no e-mail address"):
        await desk.accounts.sign_up("Ada", email, PASSWORD, "a")
    assert desk.sent == []


async def test_the_first_of_all_passwords_takes_as_long_with_an_account_as_without() -> None:
    kept = await Passwords(cheap=True).hash("correct horse")
    hashed: list[int] = []
    for stored in (kept, None):
        passwords = Passwords(cheap=True)
        counted = 0

        async def count(password: str, passwords: Passwords = passwords) -> str:
            nonlocal counted
            counted += 1
            return await Passwords.hash(passwords, password)

        passwords.hash = count  # type: ignore[method-assign]
        await asyncio.gather(*(passwords.matches("wrong password", stored) for _ in range(5)))
        hashed.append(counted)
    assert hashed == [1, 1]


async def test_passwords_are_the_same_on_every_keyboard() -> None:
    passwords = Passwords(cheap=True)
    kept = await passwords.hash("café au lait")
    assert await passwords.matches("cafe\u0301 au lait", kept)
    assert not await passwords.matches("x" * 100_000, kept)
    assert not await passwords.matches("\ud800 odd text", kept)
    assert not await passwords.matches("the password of nobody", None)
