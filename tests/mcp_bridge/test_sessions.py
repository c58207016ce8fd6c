"""Sessions of the handshake era: who has one, what it is bound to, and what it is good for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.testing import FakeGateway
from mcp_bridge.exchange import Timing
from tests.mcp_bridge.conftest import described
from tests.mcp_bridge.wire import CALC, MODERN, Door, Live, Response
from tests.patience import PATIENCE_SECONDS

VERSION = "2025-11-25"
CLIENT = {
    "protocolVersion": VERSION,
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "c", "version": "1"},
}


class Client:
    """A client of the handshake era with a session."""

    def __init__(self, door: Door, session: str, token: str | None = None) -> None:
        self.door = door
        self.session = session
        self.headers: dict[str, str | None] = {
            "mcp-session-id": session,
            "mcp-protocol-version": VERSION,
        }
        if token is not None:
            self.headers["authorization"] = f"Bearer {token}"

    @classmethod
    async def join(cls, door: Door, *, path: str = CALC, token: str | None = None) -> Client:
        headers = {"authorization": f"Bearer {token}"} if token else None
        opened = await door.request(None, "initialize", CLIENT, path=path, headers=headers)
        assert opened.status == 200, opened.body
        return cls(door, opened.headers["mcp-session-id"], token)

    def begin(self, name: str, params: Any = None, *, path: str = CALC) -> Live:
        return self.door.begin(VERSION, name, params, path=path, headers=self.headers)

    async def request(self, name: str, params: Any = None, *, path: str = CALC) -> Response:
        return await self.begin(name, params, path=path).finished()

    async def note(self, name: str, params: Any = None) -> Response:
        body = {"jsonrpc": "2.0", "method": name, "params": params or {}}
        return await self.door.send(body, headers=self.headers)

    def listen(self, last_event: str | None = None) -> Live:
        headers = {**self.headers, "host": "localhost:9527", "accept": "text/event-stream"}
        if last_event is not None:
            headers["last-event-id"] = last_event
        sent = [(name, value) for name, value in headers.items() if value is not None]
        return self.door.start(b"", method="GET", headers=sent)

    async def leave(self) -> Response:
        return await self.door.send(method="DELETE", headers=self.headers)


@pytest.fixture
def door(gateway: FakeGateway) -> Door:
    return Door(gateway, mcp_sessions=True)


def ids(live: Live) -> list[str]:
    lines = live.response.body.decode().splitlines()
    return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]


async def test_there_are_no_sessions_unless_they_are_asked_for(gateway: FakeGateway) -> None:
    door = Door(gateway)
    opened = await door.request(None, "initialize", CLIENT)
    assert "mcp-session-id" not in opened.headers
    headers = {"mcp-session-id": "made-up"}
    assert (await door.request(VERSION, "ping", headers=headers)).result == {}
    for method in ("GET", "DELETE"):
        refused = await door.send(method=method, headers=headers)
        assert (refused.status, refused.headers["allow"]) == (405, "POST")


async def test_a_service_can_ask_for_sessions_or_against_them(gateway: FakeGateway) -> None:
    for wants, usual in ((True, False), (False, True)):
        gateway.add_service(
            "ws-lab/worker:own", {}, config={"mcp": {"stateful": wants}}, visibility="public"
        )
        door = Door(gateway, mcp_sessions=usual)
        opened = await door.request(None, "initialize", CLIENT, path="/ws-lab/mcp/own/mcp")
        assert ("mcp-session-id" in opened.headers) is wants


async def test_a_session_lasts_until_it_is_deleted(door: Door) -> None:
    client = await Client.join(door)
    assert len(client.session) >= 32
    assert (await client.note("notifications/initialized")).status == 202
    assert (await client.request("ping")).result == {}
    live = client.begin("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
    await live.finished()
    assert messages(live)[-1]["result"]["content"][0]["text"] == "3"
    assert (await client.leave()).status == 204
    for response in (await client.request("ping"), await client.leave()):
        assert response.status == 404


async def test_a_stateless_client_needs_no_session_beside_it(door: Door) -> None:
    called = await door.call("add", {"a": 1, "b": 2}, version=MODERN)
    assert called["content"][0]["text"] == "3"
    assert (await door.request(VERSION, "ping")).result == {}


async def test_a_session_is_nothing_to_another_credential_or_endpoint(
    door: Door, gateway: FakeGateway
) -> None:
    gateway.add_token("other", "alice", {"ws-lab": "rw"})
    private = "/ws-lab/mcp/private/mcp"
    client = await Client.join(door, path=private, token="good")
    assert (await client.request("ping", path=private)).status == 200
    assert (await client.request("ping")).status == 404
    client.headers["authorization"] = "Bearer other"
    assert (await client.request("ping", path=private)).status == 404
    client.headers["authorization"] = None
    assert (await client.request("ping", path=private)).status == 404


async def test_a_session_that_was_opened_with_one_api_key_is_nothing_to_another(
    door: Door, gateway: FakeGateway
) -> None:
    gateway.add_token("other", "alice", {"ws-lab": "rw"})
    opened = await door.request(None, "initialize", CLIENT, headers={"x-api-key": "good"})
    client = Client(door, opened.headers["mcp-session-id"])
    for key, status in (("good", 200), ("other", 404), (None, 404)):
        client.headers["x-api-key"] = key
        assert (await client.request("ping")).status == status
        assert (await client.note("notifications/cancelled")).status == (
            202 if key == "good" else 404
        )
    assert (await client.leave()).status == 404


async def test_the_endpoint_of_a_workspace_has_sessions_of_its_own(door: Door) -> None:
    workspace = "/ws-lab/mcp"
    client = await Client.join(door, path=workspace)
    assert (await client.request("ping", path=workspace)).result == {}
    assert (await client.request("ping")).status == 404
    ended = await door.send(method="DELETE", path=workspace, headers=client.headers)
    assert ended.status == 204
    assert (await client.request("ping", path=workspace)).status == 404


async def test_idle_sessions_end_and_their_number_is_limited(gateway: FakeGateway) -> None:
    door = Door(gateway, mcp_sessions=True, max_mcp_sessions=1, mcp_session_idle_seconds=0.5)
    first = await Client.join(door)
    assert (await door.request(None, "initialize", CLIENT)).status == 503
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await door.request(None, "initialize", CLIENT)).status != 200:
            await asyncio.sleep(0.01)
    assert (await first.request("ping")).status == 404


async def test_changes_are_told_on_the_standing_stream(door: Door, gateway: FakeGateway) -> None:
    client = await Client.join(door)
    opened = await door.request(None, "initialize", CLIENT)
    assert opened.result["capabilities"]["tools"] == {"listChanged": True}
    live = client.listen()
    gateway.add_service("ws-lab/worker:calc", {"about": "old"}, visibility="public")
    await live.until_body_has("notifications/tools/list_changed")
    uri = {"uri": "polyport://calc/about"}
    assert (await client.request("resources/subscribe", uri)).result == {}
    gateway.add_service("ws-lab/worker:calc", {"about": "new"}, visibility="public")
    await live.until_body_has("notifications/resources/updated")
    assert (await client.request("resources/unsubscribe", uri)).result == {}
    unknown = await client.request("resources/subscribe", {"uri": "polyport://calc/no"})
    assert unknown.error["code"] == -32002
    live.leave()
    await live.finished()


async def test_a_response_that_was_cut_off_is_read_to_its_end(gateway: FakeGateway) -> None:
    go_on = asyncio.Event()

    async def count() -> AsyncIterator[int]:
        yield 1
        await go_on.wait()
        yield 2

    gateway.add_service("ws-lab/worker:calc", {"count": described(count)}, visibility="public")
    door = Door(gateway, mcp_sessions=True)
    client = await Client.join(door)
    params = {"name": "count", "_meta": {"progressToken": "p"}}
    first = client.begin("tools/call", params)
    await first.until_body_has("notifications/progress")
    first.leave()
    await first.finished()
    assert not gateway.streams[-1].closed
    primed, progress = ids(first)
    rest = client.listen(last_event=primed)
    go_on.set()
    response = await rest.finished()
    assert ids(rest)[0] == progress
    *_, last = (f for f in response.body.decode().splitlines() if f.startswith("data: {"))
    assert json.loads(last[6:])["result"]["structuredContent"] == {"result": [1, 2]}
    assert (await client.listen(last_event="r9.1").finished()).status == 404


async def test_an_event_that_cannot_be_is_not_gone_on_from(door: Door) -> None:
    client = await Client.join(door)
    for last in ("", "standing", "standing.x", "standing.1", "r1.1", f"standing.{'9' * 5000}"):
        response = await client.listen(last).finished()
        assert (response.status, response.json["id"]) == (404, None)
    live = client.listen("standing.0")
    await live.until_started()
    live.leave()
    assert (await live.finished()).status == 200


async def test_a_cancelled_request_is_cancelled(gateway: FakeGateway) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    gateway.add_service("ws-lab/worker:calc", {"hang": hang}, visibility="public")
    door = Door(gateway, mcp_sessions=True, timing=Timing(settle_seconds=0))
    client, stranger = await Client.join(door), await Client.join(door)
    live = client.begin("tools/call", {"name": "hang"})
    async with asyncio.timeout(PATIENCE_SECONDS):
        await started.wait()
        await stranger.note("notifications/cancelled", {"requestId": 1})
        assert not ended.is_set()
        await client.note("notifications/cancelled", {"requestId": 1})
        await ended.wait()
    await live.finished()


async def test_a_stopping_server_ends_sessions(door: Door) -> None:
    client = await Client.join(door)
    live = client.listen()
    await live.until_started()
    for stop in door.context.on_stop:
        stop()
    await live.finished()
    assert (await client.request("ping")).status == 404


TAKES_INTERACTION = {"type": "object", "properties": {"interaction": {}}}


async def book(interaction: Any = None) -> str:
    """Ask, tell, and answer."""
    await interaction["log"]("debug", "too little to tell")
    await interaction["log"]("error", "worth telling")
    try:
        seat = await interaction["ask"]("Which seat?")
    except Exception as error:
        await interaction["log"]("error", f"not told: {error}")
        raise
    return f"Seat {seat}"


def booking(gateway: FakeGateway, **settings: Any) -> Door:
    functions = {"book": described(book, TAKES_INTERACTION)}
    gateway.add_service("ws-lab/worker:calc", functions, visibility="public")
    return Door(gateway, mcp_sessions=True, **settings)


def messages(live: Live) -> list[Any]:
    lines = live.response.body.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def answer(client: Client, asked: Any, **outcome: Any) -> None:
    body = {"jsonrpc": "2.0", "id": asked["id"], **outcome}
    assert (await client.door.send(body, headers=client.headers)).status == 202


async def test_a_function_asks_the_client_of_its_session(gateway: FakeGateway) -> None:
    client = await Client.join(booking(gateway))
    assert (await client.request("logging/setLevel", {"level": "error"})).result == {}
    live = client.begin("tools/call", {"name": "book"})
    await live.until_body_has("elicitation/create")
    told, asked = messages(live)
    assert told["params"] == {"level": "error", "data": "worth telling"}
    assert asked["params"]["message"] == "Which seat?"
    stranger = await Client.join(client.door)
    await answer(stranger, asked, result={"action": "accept", "content": {"answer": "1A"}})
    await answer(client, asked, result={"action": "accept", "content": {"answer": "7F"}})
    await live.finished()
    assert messages(live)[-1]["result"]["content"] == [{"type": "text", "text": "Seat 7F"}]


async def test_a_client_that_cannot_answer_says_so_and_the_function_hears_it(
    gateway: FakeGateway,
) -> None:
    client = await Client.join(booking(gateway))
    live = client.begin("tools/call", {"name": "book"})
    await live.until_body_has("elicitation/create")
    *_, asked = messages(live)
    await answer(client, asked, error={"code": -1, "message": "nobody is there"})
    await live.finished()
    result = messages(live)[-1]["result"]
    assert result["isError"]
    assert "nobody is there" in result["content"][0]["text"]


async def test_a_session_that_ends_leaves_no_function_waiting(gateway: FakeGateway) -> None:
    client = await Client.join(booking(gateway))
    live = client.begin("tools/call", {"name": "book"})
    await live.until_body_has("elicitation/create")
    await client.leave()
    await live.finished()
