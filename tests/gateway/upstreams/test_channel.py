"""Requests that share one connection with a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.upstreams.mcp_client import faults
from gateway.upstreams.mcp_client.channel import CallFailed, Multiplexer, Request
from schema.errors import LimitExceeded


class Wire:
    """What has been sent, and when there is more of it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.channel = Multiplexer(self._send)

    def _send(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(json.loads(data))

    async def begun(self, *requests: Request) -> list[asyncio.Task[Mapping[str, Any]]]:
        """These requests, sent and not answered."""
        tasks = [asyncio.create_task(self.channel.call(request)) for request in requests]
        await asyncio.sleep(0)
        return tasks


def request(**params: Any) -> Request:
    return Request("tools/call", params)


async def test_answers_find_their_requests_in_any_order() -> None:
    wire = Wire()
    first, second = await wire.begun(request(a=1), request(a=2))
    ids = [message["id"] for message in wire.sent]
    assert ids[0] != ids[1]
    assert wire.channel.take({"id": str(ids[1]), "result": {"n": 2}})
    assert wire.channel.take({"id": ids[0], "result": {"n": 1}})
    assert (await first, await second) == ({"n": 1}, {"n": 2})


async def test_what_belongs_to_the_session_is_left_to_it() -> None:
    wire = Wire()
    messages: list[dict[str, Any]] = [
        {"id": 1, "result": {}},
        {"id": "x", "result": {}},
        {"id": None, "error": {}},
        {"id": True, "result": {}},
        {"id": 5, "method": "elicitation/create"},
        {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}},
        {"method": "notifications/tools/list_changed"},
    ]
    for message in messages:
        assert not wire.channel.take(message), message


async def test_progress_is_heard_by_its_own_request_alone() -> None:
    wire, heard = Wire(), list[Mapping[str, Any]]()
    [task] = await wire.begun(Request("tools/call", {"_meta": {"x": 1}}, heard.append))
    [sent] = wire.sent
    assert sent["params"]["_meta"] == {"x": 1, "progressToken": sent["id"]}
    note = {"progressToken": sent["id"], "progress": 1}
    assert wire.channel.take({"method": "notifications/progress", "params": note})
    assert heard == [note]
    wire.channel.take({"id": sent["id"], "result": {}})
    await task
    assert not wire.channel.take({"method": "notifications/progress", "params": note})


async def test_the_server_is_told_at_once_that_nobody_waits() -> None:
    wire = Wire()
    [task] = await wire.begun(request())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked, told = wire.sent
    assert told["method"] == "notifications/cancelled"
    assert told["params"]["requestId"] == asked["id"]
    assert wire.channel.take({"id": asked["id"], "result": {}}), "an answer that comes late is over"


async def test_an_error_is_one_and_what_is_no_answer_as_well() -> None:
    wire = Wire()
    answers: list[dict[str, Any]] = [
        {"error": {"code": -32602, "message": "x is missing", "data": {"x": 1}}},
        {"error": {"code": "bad"}},
        {"result": []},
        {},
    ]
    expected = [
        (-32602, "x is missing"),
        (faults.NO_ANSWER, "The server gave no reason"),
        (faults.NO_ANSWER, "The answer has no result"),
        (faults.NO_ANSWER, "The answer has no result"),
    ]
    for answer, (code, message) in zip(answers, expected, strict=True):
        [task] = await wire.begun(request())
        wire.channel.take({"id": wire.sent[-1]["id"], **answer})
        with pytest.raises(CallFailed) as caught:
            await task
        assert (caught.value.code, caught.value.message) == (code, message)


async def test_when_nothing_more_will_come_all_fail() -> None:
    wire = Wire()
    tasks = await wire.begun(request(), request())
    wire.channel.close()
    for task in tasks:
        with pytest.raises(CallFailed) as caught:
            await task
        assert caught.value.code == faults.BROKEN_OFF, "the server may have acted on it"
    with pytest.raises(CallFailed) as caught:
        await wire.channel.call(request())
    assert caught.value.code == faults.UNREACHABLE


@pytest.mark.parametrize(
    ("failure", "code"),
    [(BrokenPipeError(), faults.UNREACHABLE), (LimitExceeded("full"), faults.BUSY)],
)
async def test_what_cannot_be_sent_was_not_run(failure: Exception, code: int) -> None:
    wire = Wire()
    wire.failure = failure
    with pytest.raises(CallFailed) as caught:
        await wire.channel.call(request())
    assert caught.value.code == code


@pytest.mark.parametrize("place", [0, 1])
async def test_an_answer_that_is_not_read_fails_its_request(place: int) -> None:
    wire = Wire()
    [task] = await wire.begun(request())
    ends = [b'{"jsonrpc": "2.0", "x": "', b'"}']
    ends[place] += b'"id":%d,' % wire.sent[0]["id"]
    wire.channel.refuse(ends[0], ends[1], "too large")
    with pytest.raises(CallFailed) as caught:
        await task
    assert caught.value.code == faults.TOO_LARGE


async def test_arguments_of_programs_become_json_or_an_error() -> None:
    wire = Wire()
    [task] = await wire.begun(request(data=b"\x00\x01", **{"1": {2: "x"}}))
    assert wire.sent[0]["params"] == {"data": "AAE=", "1": {"2": "x"}}
    task.cancel()
    with pytest.raises(CallFailed) as caught:
        await wire.channel.call(request(thing=object()))
    assert caught.value.code == faults.NO_JSON
