"""Documents are made once and kept within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from http_proxy.openapi.cache import Cache

SMALL = {"a": 1}


class Maker:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.calls = 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        return self.document


async def test_a_document_is_made_once() -> None:
    cache, make = Cache(1000), Maker(SMALL)
    first = await cache.get("key", make)
    assert first.body == orjson.dumps(SMALL)
    assert await cache.get("key", make) is first
    assert make.calls == 1


async def test_many_who_ask_at_once_cost_no_more_than_one() -> None:
    cache, make = Cache(1000), Maker(SMALL)
    answers = await asyncio.gather(*(cache.get("key", make) for _ in range(5)))
    assert all(answer is answers[0] for answer in answers)
    assert make.calls == 1


async def test_what_nobody_asks_for_makes_room() -> None:
    cache, make = Cache(2 * len(orjson.dumps(SMALL))), Maker(SMALL)
    for key in ("old", "used", "old", "new"):
        await cache.get(key, make)
    assert make.calls == 3
    await cache.get("old", make)
    assert make.calls == 3
    await cache.get("used", make)
    assert make.calls == 4


async def test_a_document_larger_than_all_room_is_kept_alone() -> None:
    cache, make, other = Cache(1), Maker(SMALL), Maker(SMALL)
    for _ in range(2):
        assert (await cache.get("key", make)).body == orjson.dumps(SMALL)
    assert make.calls == 1
    await cache.get("other", other)
    await cache.get("key", make)
    assert (make.calls, other.calls) == (2, 1)


async def test_a_document_that_cannot_be_made_leaves_nothing_behind() -> None:
    cache = Cache(1000)
    with pytest.raises(ZeroDivisionError):
        await cache.get("key", lambda: {"a": 1 // 0})
    assert (await cache.get("key", Maker(SMALL))).body == orjson.dumps(SMALL)
