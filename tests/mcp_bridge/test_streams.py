"""Calls that take long: progress while items are made, silence, and clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.testing import FakeGateway
from mcp_bridge import calls
from mcp_bridge.exchange import Timing
from schema.errors import ServiceError
from tests.mcp_bridge.wire import LEGACY, MODERN, Door, Live
from tests.patience import PATIENCE_SECONDS

PATH = "/ws-lab/mcp/slow/mcp"
TOKEN = {"_meta": {"progressToken": "t"}}
JSON_ONLY = {"accept": "application/json"}
ERAS = pytest.mark.parametrize("version", [MODERN, "2025-06-18", "2024-11-05"])


class Gated:
    """A generator whose items are released one by one by the test."""

    def __init__(self, *items: Any) -> None:
        self._items = items
        self._gates = [asyncio.Event() for _ in items]
        self.closed = asyncio.Event()

    def release(self, number: int) -> None:
        self._gates[number].set()

    async def __call__(self) -> AsyncIterator[Any]:
        try:
            for gate, item in zip(self._gates, self._items, strict=True):
                await gate.wait()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed.set()


def door_to(function: Any, timing: Timing | None = None) -> Door:
    gateway = FakeGateway()
    gateway.add_service("ws-lab/worker:slow", {"run": function}, visibility="public")
    return Door(gateway, timing=timing)


def begin(door: Door, version: str = MODERN, *, token: bool = True, **more: Any) -> Live:
    params = {"name": "run", **(TOKEN if token else {})}
    return door.begin(version, "tools/call", params, path=PATH, **more)


@ERAS
async def test_each_item_is_seen_before_the_next_one_is_made(version: str) -> None:
    steps = Gated("one", "two", "three")
    live = begin(door_to(lambda: steps()), version)
    for number, item in enumerate(["one", "two", "three"]):
        assert item.encode() not in live.response.body
        steps.release(number)
        await live.until_body_has(item)
    events = (await live.finished()).events
    assert [event.get("method") for event in events] == ["notifications/progress"] * 3 + [None]
    assert [event["params"] for event in events[:3]] == [
        {"progressToken": "t", "progress": number, "message": item}
        for number, item in enumerate(["one", "two", "three"], 1)
    ]
    result = events[3]["result"]
    assert result["content"] == [{"type": "text", "text": '["one","two","three"]'}]
    if version >= "2025-06-18":
        assert result["structuredContent"] == {"result": ["one", "two", "three"]}


async def test_the_event_stream_is_not_to_be_stored_or_held_back() -> None:
    live = begin(door_to(lambda: iter_of([1])))
    response = await live.finished()
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"


async def iter_of(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def test_without_a_token_the_items_are_collected_into_plain_json() -> None:
    response = await begin(door_to(lambda: iter_of([1, {"a": 2}])), token=False).finished()
    assert response.headers["content-type"] == "application/json"
    assert response.result["structuredContent"] == {"result": [1, {"a": 2}]}


async def test_a_client_that_takes_no_events_gets_json_without_notifications() -> None:
    response = await begin(door_to(lambda: iter_of([1, 2])), headers=JSON_ONLY).finished()
    assert response.result["structuredContent"] == {"result": [1, 2]}


async def test_a_client_that_takes_only_events_gets_the_result_as_one() -> None:
    headers = {"accept": "text/event-stream"}
    door = door_to(lambda: 5)
    response = await begin(door, token=False, headers=headers).finished()
    (event,) = response.events
    assert event["result"]["structuredContent"] == 5
    listed = await door.request(MODERN, "tools/list", path=PATH, headers=headers)
    assert [tool["name"] for tool in listed.events[0]["result"]["tools"]] == ["run"]
    refused = await door.request(MODERN, "nonsense", path=PATH, headers=headers)
    assert (refused.status, refused.error["code"]) == (404, -32601)


async def test_a_fast_generator_is_shown_in_few_notifications_that_miss_nothing() -> None:
    seldom = Timing(progress_seconds=60)  # however long the machine takes to make the items
    door = door_to(lambda: iter_of([str(i) for i in range(200)]), seldom)
    *progress, _ = [event.get("params") for event in (await begin(door).finished()).events]
    assert Timing().progress_burst < len(progress) < 20
    assert progress[-1]["progress"] == 200
    values = [params["progress"] for params in progress]
    assert values == sorted(set(values))
    assert progress[0]["message"] == "0"
    assert progress[-1]["message"].endswith("198\n199")


async def test_held_back_items_are_sent_without_waiting_for_the_next() -> None:
    steps = Gated("one", "two", "never")
    timing = Timing(progress_seconds=0.05, progress_burst=1)
    live = begin(door_to(lambda: steps(), timing))
    steps.release(0)
    steps.release(1)
    await live.until_body_has("two")
    live.leave()
    await live.finished()


async def test_images_of_a_generator_stay_images() -> None:
    png = b"\x89PNG\r\n\x1a\n...."
    response = await begin(door_to(lambda: iter_of([png, "done"])), token=False).finished()
    assert [block["type"] for block in response.result["content"]] == ["image", "text"]
    assert "structuredContent" not in response.result


async def test_an_exception_after_some_items_keeps_the_items() -> None:
    steps = Gated(1, 2, ServiceError("bad", remote_type="ValueError"))
    for number in range(3):
        steps.release(number)
    response = await begin(door_to(lambda: steps()), token=False).finished()
    result = response.result
    assert result["isError"] is True
    assert [block["text"] for block in result["content"]] == [
        "[1,2]",
        "ValueError: bad (after 2 items)",
    ]


async def test_an_endless_generator_is_stopped_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "MAX_ITEMS", 5)

    async def endless() -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    door = door_to(endless)
    response = await begin(door, token=False).finished()
    assert response.result["content"][0]["text"] == "[0,1,2,3,4]"
    assert "Stopped after 5 items" in response.result["content"][1]["text"]
    assert [stream.closed for stream in door.gateway.streams] == [True]


@ERAS
@pytest.mark.parametrize("token", [True, False])
async def test_leaving_closes_the_generator_at_once(version: str, token: bool) -> None:
    steps = Gated("one", "never")
    live = begin(door_to(lambda: steps()), version, token=token)
    steps.release(0)
    if token:
        await live.until_body_has("one")
    live.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await steps.closed.wait()
    response = await live.finished()
    assert b'"result"' not in response.body


async def test_leaving_cancels_a_plain_call() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    live = begin(door_to(hang))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await started.wait()
    live.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await cancelled.wait()
    assert (await live.finished()).status == 0


def test_a_leaving_client_is_noticed_within_a_tenth_of_a_second() -> None:
    assert Timing().settle_seconds < 0.1


async def test_a_silent_call_with_a_token_sends_heartbeats() -> None:
    end = asyncio.Event()

    async def silent() -> str:
        await end.wait()
        return "done"

    live = begin(door_to(silent, Timing(commit_seconds=0.03, keep_alive_seconds=0.03)))
    await live.until_body_has("still running")
    await live.until_body_has('"progress":0.002')
    end.set()
    *progress, last = (await live.finished()).events
    values = [event["params"]["progress"] for event in progress]
    assert values == sorted(set(values))
    assert last["result"]["content"][0]["text"] == "done"


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
async def test_a_silent_call_without_a_token_keeps_the_connection_warm(version: str) -> None:
    end = asyncio.Event()

    async def silent() -> str:
        await end.wait()
        return "done"

    timing = Timing(commit_seconds=0.03, keep_alive_seconds=0.03)
    live = begin(door_to(silent, timing), version, token=False)
    await live.until_body_has(": keep-alive\n\n: keep-alive\n\n")
    end.set()
    (event,) = (await live.finished()).events
    assert event["result"]["content"][0]["text"] == "done"


async def test_an_error_after_the_stream_was_opened_keeps_status_200() -> None:
    end = asyncio.Event()

    async def silent() -> None:
        await end.wait()
        raise RuntimeError("late")

    live = begin(door_to(silent, Timing(commit_seconds=0.01)), token=False)
    await live.until_body_has("keep-alive")
    end.set()
    response = await live.finished()
    assert response.status == 200
    assert response.events[0]["result"]["isError"] is True


@pytest.mark.parametrize("token", ["t", 7, 0])
async def test_the_progress_token_comes_back_as_it_was(token: Any) -> None:
    door = door_to(lambda: iter_of([1]))
    params = {"name": "run", "_meta": {"progressToken": token}}
    live = door.begin(MODERN, "tools/call", params, path=PATH)
    assert (await live.finished()).events[0]["params"]["progressToken"] == token


@pytest.mark.parametrize("token", [None, True, 1.5, ["t"]])
async def test_a_token_that_is_none_brings_no_progress(token: Any) -> None:
    door = door_to(lambda: iter_of([1]))
    params = {"name": "run", "_meta": {"progressToken": token}}
    response = await door.begin(MODERN, "tools/call", params, path=PATH).finished()
    assert response.result["structuredContent"] == {"result": [1]}
