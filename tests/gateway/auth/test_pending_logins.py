from __future__ import annotations

import asyncio

import pytest

from gateway.auth.login.pending import LoggedIn, Login, PendingLogins
from schema.errors import CallTimeout, Conflict, InvalidRequest, LimitExceeded
from tests.patience import PATIENCE_SECONDS

RESULT = LoggedIn(token="t", workspace=None, expires_in=60, user_id="alice")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> PendingLogins:
    return PendingLogins(180, clock=clock, max_logins=3)


async def waiting(logins: PendingLogins, login: Login) -> asyncio.Future[LoggedIn | None]:
    check = asyncio.ensure_future(logins.outcome(login, 60))
    while not login.waiting:
        await asyncio.sleep(0)
    return check


def test_keys_differ_and_cannot_be_guessed(logins: PendingLogins) -> None:
    assert logins.begin().key != logins.begin().key
    with pytest.raises(InvalidRequest):
        logins.get("")


async def test_a_login_ends_unless_it_is_completed_and_checked(
    logins: PendingLogins, clock: Clock
) -> None:
    pending, completed = logins.begin(), logins.begin()
    logins.complete(completed, RESULT)
    clock.now += 179.9
    assert logins.get(pending.key) is pending
    clock.now += 0.2
    for login in (pending, completed):
        with pytest.raises(InvalidRequest, match="Invalid key, key does not exist"):
            logins.get(login.key)
    logins.begin()
    assert len(logins) == 1


async def test_a_check_waits_no_longer_than_the_login_lives(
    logins: PendingLogins, clock: Clock
) -> None:
    login = logins.begin()
    clock.now += 179.9
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(CallTimeout, match=r"waited for 0\.1 seconds"):
            await logins.outcome(login, 1000)


async def test_the_result_is_forgotten_once_it_is_given_out(logins: PendingLogins) -> None:
    login = logins.begin()
    check = await waiting(logins, login)
    logins.complete(login, RESULT)
    with pytest.raises(Conflict):
        logins.complete(login, RESULT)
    assert await check is RESULT
    assert len(logins) == 0


async def test_a_full_store_makes_room_by_what_nobody_waits_for(logins: PendingLogins) -> None:
    first, second, third = (logins.begin() for _ in range(3))
    check = await waiting(logins, first)
    fourth = logins.begin()
    with pytest.raises(InvalidRequest):
        logins.get(second.key)
    for login in (first, third, fourth):
        assert logins.get(login.key) is login
    checks = [check, await waiting(logins, third), await waiting(logins, fourth)]
    with pytest.raises(LimitExceeded):
        logins.begin()
    for login in (first, third, fourth):
        logins.complete(login, RESULT)
    assert await asyncio.gather(*checks) == [RESULT] * 3
