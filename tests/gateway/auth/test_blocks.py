"""Users and addresses that are kept out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.auth.blocks import DEFAULT_SECONDS, Blocks
from gateway.settings import Settings
from gateway.storage.blocks import BlockRepository
from gateway.storage.database import Database
from schema.errors import Blocked, InvalidRequest, NotFound
from schema.identity import User

MALLORY = User("mallory")


async def test_a_user_is_blocked_with_the_tokens_minted_from_theirs() -> None:
    blocks = Blocks()
    blocks.check_user(MALLORY)
    await blocks.block_user("mallory", seconds=60, reason="spam", by="root")
    for user in (MALLORY, User("sunny-otter-1", parent="mallory")):
        with pytest.raises(Blocked, match="Access is blocked: spam"):
            blocks.check_user(user)
    blocks.check_user(User("mallory-2"))
    await blocks.unblock_user("mallory")
    blocks.check_user(MALLORY)


@pytest.mark.parametrize(
    ("blocked", "out", "inside"),
    [
        ("203.0.113.9", ["203.0.113.9", "::ffff:203.0.113.9"], ["203.0.113.8", "::1"]),
        ("203.0.113.0/24", ["203.0.113.1", "203.0.113.255"], ["203.0.114.1"]),
        ("::ffff:203.0.113.9", ["203.0.113.9"], ["203.0.113.8"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:0DB8:1::", "2001:db8::1%eth0"], ["2001:db9::1"]),
    ],
)
async def test_an_address_is_the_same_however_it_is_written(
    blocked: str, out: list[str], inside: list[str]
) -> None:
    blocks = Blocks()
    await blocks.block_address(blocked, seconds=0, reason="", by="root")
    for address in out:
        with pytest.raises(Blocked):
            blocks.check_address(address)
    for other in (*inside, None, "testclient", ""):
        blocks.check_address(other)
    await blocks.unblock_address(blocked)
    for address in out:
        blocks.check_address(address)


@pytest.mark.parametrize("address", ["", "mallory", "300.0.0.1", "1.2.3.4/40", "1.2.3.4 5"])
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="Not an IP address"):
        await Blocks().block_address(address, seconds=0, reason="", by="root")


@pytest.mark.parametrize("user_id", ["", "root", "x" * 300, "a\nb"])
async def test_who_cannot_be_blocked_is_refused(user_id: str) -> None:
    with pytest.raises(InvalidRequest):
        await Blocks().block_user(user_id, seconds=0, reason="", by="root")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
async def test_a_duration_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(InvalidRequest, match="duration"):
        await Blocks().block_user("mallory", seconds=seconds, reason="", by="root")


async def test_a_block_ends_by_itself() -> None:
    now = [1000.0]
    blocks = Blocks(clock=lambda: now[0])
    await blocks.block_user("mallory", seconds=60, reason="", by="root")
    entry = await blocks.block_address("192.0.2.1", seconds=0, reason="", by="root")
    assert entry["ends_at"] == 1000 + DEFAULT_SECONDS
    now[0] += 60
    blocks.check_user(MALLORY)
    assert [entry["id"] for entry in blocks.listed()] == ["192.0.2.1/32"]


async def test_what_is_not_blocked_cannot_be_unblocked() -> None:
    with pytest.raises(NotFound, match="mallory is not blocked"):
        await Blocks().unblock_user("mallory")
    with pytest.raises(NotFound, match="is not blocked"):
        await Blocks().unblock_address("192.0.2.1")


async def test_s24_blocks_outlive_the_process_until_they_end(tmp_path: Path) -> None:
    database = Database(Settings(data_dir=tmp_path))
    repository = BlockRepository(database)
    before = Blocks(repository, clock=lambda: 1000.0)
    await before.block_user("mallory", seconds=60, reason="spam", by="root")
    await before.block_user("mallory", seconds=90, reason="more spam", by="root")
    await before.block_address("192.0.2.0/24", seconds=60, reason="", by="root")
    await before.block_user("eve", seconds=10, reason="", by="root")
    await before.block_user("bob", seconds=60, reason="", by="root")
    await before.unblock_user("bob")

    after = Blocks(repository, clock=lambda: 1020.0)
    await after.load()
    assert after.listed() == [b for b in before.listed() if b["id"] != "eve"]
    with pytest.raises(Blocked, match="more spam"):
        after.check_user(MALLORY)
    with pytest.raises(Blocked):
        after.check_address("192.0.2.7")
    await database.close()
