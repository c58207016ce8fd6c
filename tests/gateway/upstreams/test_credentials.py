"""What users have stored for upstreams, in memory and in the database behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.storage.sealing import SealedBox
from gateway.upstreams import credentials
from gateway.upstreams.credentials import StoredCredentials
from gateway.upstreams.entries import Remote, Upstream
from schema.services import Visibility

UPSTREAM = Upstream(
    name="demo",
    workspace="public",
    visibility=Visibility.PUBLIC,
    target=Remote("https://mcp.example/mcp"),
)


class Rows:
    """A database whose answers to readers can be held up."""

    def __init__(self) -> None:
        self.sealed: dict[tuple[str, str], bytes] = {}
        self.reading = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def credential(self, upstream: str, user_id: str) -> bytes | None:
        found = self.sealed.get((upstream, user_id))
        self.reading.set()
        await self.may_answer.wait()
        return found

    async def put_credential(
        self, upstream: str, user_id: str, sealed: bytes, *, now: float
    ) -> None:
        self.sealed[upstream, user_id] = sealed

    async def remove_credential(self, upstream: str, user_id: str) -> bool:
        return self.sealed.pop((upstream, user_id), None) is not None


@pytest.fixture
def rows() -> Rows:
    return Rows()


def on(rows: Any) -> StoredCredentials:
    return StoredCredentials(SealedBox(["k" * 32]), rows)


async def test_a_reader_does_not_bring_back_what_was_replaced_meanwhile(rows: Rows) -> None:
    await on(rows).put(UPSTREAM, "ann", "old")
    stored = on(rows)
    rows.may_answer.clear()
    reading = asyncio.create_task(stored.get(UPSTREAM, "ann"))
    await rows.reading.wait()
    await stored.put(UPSTREAM, "ann", "new")
    rows.may_answer.set()
    assert await reading == "Bearer new"
    assert await stored.get(UPSTREAM, "ann") == "Bearer new"


async def test_a_reader_does_not_bring_back_what_was_forgotten_meanwhile(rows: Rows) -> None:
    await on(rows).put(UPSTREAM, "ann", "old")
    stored = on(rows)
    rows.may_answer.clear()
    reading = asyncio.create_task(stored.get(UPSTREAM, "ann"))
    await rows.reading.wait()
    assert await stored.remove(UPSTREAM, "ann")
    rows.may_answer.set()
    assert await reading is None
    assert await stored.get(UPSTREAM, "ann") is None


async def test_memory_has_a_bound_however_credentials_come(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MAX_REMEMBERED", 2)
    stored = on(rows)
    for user in ("ann", "bo", "cy", "di"):
        await stored.put(UPSTREAM, user, user)
    assert len(stored._known) == 2
    assert await stored.get(UPSTREAM, "ann") == "Bearer ann"


async def test_without_a_database_memory_is_all_there_is() -> None:
    stored = on(None)
    assert not await stored.remove(UPSTREAM, "ann")
    await stored.put(UPSTREAM, "ann", "secret")
    assert await stored.get(UPSTREAM, "ann") == "Bearer secret"
    assert await stored.remove(UPSTREAM, "ann")
    assert await stored.get(UPSTREAM, "ann") is None
