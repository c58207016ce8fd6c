"""The relay between lines and an endpoint, with endpoints that are difficult."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from mcp_bridge.revisions import CLIENT_CAPABILITIES_KEY, PROTOCOL_VERSION_KEY
from mcp_bridge.stdio import relay as module
from mcp_bridge.stdio.connection import Remote
from mcp_bridge.stdio.relay import Relay
from tests.patience import PATIENCE_SECONDS

Message = dict[str, Any]
Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]

URL = "http://gateway.example/ws/mcp/x/mcp"
META = {PROTOCOL_VERSION_KEY: "2026-07-28", CLIENT_CAPABILITIES_KEY: {}}
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "c", "version": "1"},
}


class Bridge:
    """A relay whose lines a test writes and reads."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.written: asyncio.Queue[Message] = asyncio.Queue()

    def __aiter__(self) -> Bridge:
        return self

    async def __anext__(self) -> bytes:
        line = await self.lines.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def send(self, method: str, params: Message | None = None, id: Any = None) -> None:
        message: Message = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        if id is not None:
            message["id"] = id
        self.lines.put_nowait(orjson.dumps(message))

    async def ask(self, method: str, params: Message | None = None, id: Any = 1) -> Message:
        self.send(method, params, id)
        return await self.written.get()


@asynccontextmanager
async def bridged(handler: Handler, **remote: Any) -> AsyncIterator[Bridge]:
    bridge = Bridge()
    transport = httpx.MockTransport(handler)
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(transport=transport) as http:

        async def there() -> Remote:
            return Remote(URL, **remote)

        relay = Relay(there, http, lambda line: bridge.written.put_nowait(json.loads(line)))
        running = asyncio.create_task(relay.run(bridge))
        yield bridge
        bridge.lines.put_nowait(None)
        await running


def result(request: httpx.Request, value: Any, **headers: str) -> httpx.Response:
    message = orjson.loads(request.content)
    body = {"jsonrpc": "2.0", "id": message["id"], "result": value}
    return httpx.Response(
        200, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def failed(request: httpx.Request, code: int, status: int = 400) -> httpx.Response:
    message = orjson.loads(request.content)
    error = {"code": code, "message": "no"}
    return httpx.Response(status, json={"jsonrpc": "2.0", "id": message["id"], "error": error})


def events(*messages: Message, ids: bool = False) -> httpx.Response:
    frames = (
        (b"id: %d\n" % n if ids else b"") + b"data: " + orjson.dumps(m) + b"\n\n"
        for n, m in enumerate(messages)
    )
    return httpx.Response(
        200, content=b"".join(frames), headers={"content-type": "text/event-stream"}
    )


async def test_integers_keep_all_their_digits_in_both_directions() -> None:
    async def double(request: httpx.Request) -> httpx.Response:
        number = json.loads(request.content)["params"]["arguments"]["n"]
        return httpx.Response(
            200,
            json={"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"n": 2 * number}}},
        )

    params = {"_meta": META, "name": "double", "arguments": {"n": 2**100}}
    async with bridged(double) as bridge:
        line = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        bridge.lines.put_nowait(json.dumps(line).encode())
        answer = await bridge.written.get()
    assert answer["result"]["structuredContent"] == {"n": 2**101}


async def test_a_lost_session_is_opened_again_and_the_request_repeated() -> None:
    seen: list[tuple[str, str | None]] = []
    sessions = iter(["one", "two"])

    async def server(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(405)
        method = orjson.loads(request.content)["method"]
        session = request.headers.get("mcp-session-id")
        seen.append((method, session))
        if method == "initialize":
            body = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}
            return result(request, body, mcp_session_id=next(sessions))
        if method.startswith("notifications/"):
            return httpx.Response(202)
        return result(request, {"tools": []}) if session == "two" else failed(request, -32001, 404)

    async with bridged(server) as bridge:
        assert (await bridge.ask("initialize", INITIALIZE))["result"]["protocolVersion"]
        assert (await bridge.ask("tools/list", id="b"))["result"] == {"tools": []}
    assert seen == [
        ("initialize", None),
        ("tools/list", "one"),
        ("initialize", None),
        ("notifications/initialized", "two"),
        ("tools/list", "two"),
    ]


async def test_a_client_of_the_handshake_uses_a_server_without_one() -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        message = orjson.loads(request.content)
        meta = (message.get("params") or {}).get("_meta") or {}
        if PROTOCOL_VERSION_KEY not in meta:
            return failed(request, -32601, 404)
        assert request.headers["mcp-method"] == message["method"]
        assert meta["io.modelcontextprotocol/clientInfo"] == INITIALIZE["clientInfo"]
        more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
        if message["method"] == "server/discover":
            info = {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "2"}}
            known = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
            return result(request, {**known, **more, "instructions": "hi", "_meta": info})
        return result(request, {"tools": [], **more})

    async with bridged(server) as bridge:
        assert (await bridge.ask("initialize", INITIALIZE))["result"] == {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "s", "version": "2"},
            "instructions": "hi",
        }
        bridge.send("notifications/initialized")
        assert (await bridge.ask("ping"))["result"] == {}
        assert (await bridge.ask("logging/setLevel", {"level": "info"}))["result"] == {}
        assert (await bridge.ask("tools/list"))["result"] == {"tools": []}


@pytest.mark.parametrize(
    ("method", "params"), [("initialize", INITIALIZE), ("server/discover", {"_meta": META})]
)
async def test_the_first_request_is_answered_while_the_endpoint_is_away(
    method: str, params: Message
) -> None:
    is_away = True

    async def server(request: httpx.Request) -> httpx.Response:
        if is_away:
            raise httpx.ConnectError("refused")
        if "id" not in orjson.loads(request.content):
            return httpx.Response(202)
        return result(request, {"tools": []})

    async with bridged(server) as bridge:
        assert "tools" in (await bridge.ask(method, params))["result"]["capabilities"]
        meta = {"_meta": META} if method == "server/discover" else {}
        error = (await bridge.ask("tools/list", meta))["error"]
        assert error["message"] == f"The server at {URL} cannot be reached: refused"
        is_away = False
        assert (await bridge.ask("tools/list", meta))["result"] == {"tools": []}


@pytest.mark.parametrize("is_stateless", [False, True])
async def test_what_was_told_ahead_and_is_not_offered_is_empty(is_stateless: bool) -> None:
    is_away = True

    async def server(request: httpx.Request) -> httpx.Response:
        if is_away:
            raise httpx.ConnectError("refused")
        message = orjson.loads(request.content)
        if "id" not in message:
            return httpx.Response(202)
        known = message["method"] in ("initialize", "tools/list")
        return result(request, {"tools": []}) if known else failed(request, -32601)

    method, params = ("server/discover", {"_meta": META}) if is_stateless else ("initialize", None)
    async with bridged(server) as bridge:
        told = (await bridge.ask(method, params or INITIALIZE))["result"]
        assert set(told["capabilities"]) == {"tools", "prompts", "resources"}
        if not is_stateless:
            assert (await bridge.ask("ping"))["result"] == {}
        is_away = False
        assert (await bridge.ask("prompts/list", params))["result"]["prompts"] == []
        assert (await bridge.ask("resources/list", params))["result"]["resources"] == []
        templates = (await bridge.ask("resources/templates/list", params))["result"]
        assert templates["resourceTemplates"] == []
        assert (await bridge.ask("prompts/get", params))["error"]["code"] == -32601
    async with bridged(server) as bridge:
        await bridge.ask(method, params or INITIALIZE)
        assert (await bridge.ask("prompts/list", params))["error"]["code"] == -32601


async def test_the_first_request_does_not_wait_for_an_endpoint_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0.01)

    async def server(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with bridged(server) as bridge:
        assert "result" in await bridge.ask("initialize", INITIALIZE)


async def test_arguments_that_have_to_be_mirrored_are_learnt_from_the_server() -> None:
    listed = 0

    async def server(request: httpx.Request) -> httpx.Response:
        nonlocal listed
        message = orjson.loads(request.content)
        if message["method"] == "tools/list":
            listed += 1
            schema = {
                "type": "object",
                "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
            }
            return result(request, {"tools": [{"name": "t", "inputSchema": schema}]})
        if request.headers.get("mcp-param-region") != "eu":
            return failed(request, -32020)
        return result(request, {"content": []})

    call = {"name": "t", "arguments": {"region": "eu"}, "_meta": META}
    async with bridged(server) as bridge:
        assert (await bridge.ask("tools/call", call))["result"] == {"content": []}
        assert (await bridge.ask("tools/call", call))["result"] == {"content": []}
    assert listed == 1


@pytest.mark.parametrize("is_stateless", [True, False])
async def test_a_tool_that_must_not_be_called_is_not_listed(is_stateless: bool) -> None:
    def tool(name: str, header: str) -> Message:
        properties = {"a": {"type": "string", "x-mcp-header": header}}
        return {"name": name, "inputSchema": {"type": "object", "properties": properties}}

    async def server(request: httpx.Request) -> httpx.Response:
        return result(request, {"tools": [tool("good", "Region"), tool("bad", "Re:gion")]})

    params = {"_meta": META} if is_stateless else {}
    async with bridged(server) as bridge:
        listed = (await bridge.ask("tools/list", params))["result"]["tools"]
    # Older clients know nothing of such headers.
    assert [each["name"] for each in listed] == (["good"] if is_stateless else ["good", "bad"])


async def test_notifications_pass_in_order_before_the_answer() -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        notes = [
            {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": n}}
            for n in range(3)
        ]
        return events(*notes, {"jsonrpc": "2.0", "id": 9, "result": {}})

    async with bridged(server) as bridge:
        bridge.send("tools/call", {"name": "t", "_meta": META}, id=9)
        seen = [await bridge.written.get() for _ in range(4)]
    assert [m.get("params", {}).get("progress") for m in seen] == [0, 1, 2, None]
    assert seen[-1]["id"] == 9


async def test_a_stream_without_an_answer_is_an_error() -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        return events()

    async with bridged(server) as bridge:
        error = (await bridge.ask("tools/list", {"_meta": META}))["error"]
    assert "closed the connection" in error["message"]


async def test_a_broken_stream_of_a_session_is_taken_up_where_it_broke_off() -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            if request.headers.get("last-event-id") == "0":
                return events({"jsonrpc": "2.0", "id": 2, "result": {"content": []}})
            return httpx.Response(405)
        message = orjson.loads(request.content)
        if message["method"] == "initialize":
            return result(request, {"protocolVersion": "2025-11-25"}, mcp_session_id="s")
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        response = events(note, ids=True)
        return httpx.Response(
            200, content=b"retry: 0\n" + response.content, headers=response.headers
        )

    async with bridged(server) as bridge:
        await bridge.ask("initialize", INITIALIZE)
        assert (await bridge.ask("tools/call", {"name": "t"}, id=2))["method"]
        assert (await bridge.written.get())["result"] == {"content": []}


async def test_a_subscription_that_ends_is_taken_out_again_and_all_is_said_to_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.0,))
    times = 0

    async def server(request: httpx.Request) -> httpx.Response:
        nonlocal times
        times += 1
        acknowledged = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"}
        if times == 1:
            return events(acknowledged)
        if times == 2:
            raise httpx.ReadError("broken")
        return events(acknowledged, {"jsonrpc": "2.0", "id": 4, "result": {}})

    wanted = {"notifications": {"toolsListChanged": True}, "_meta": META}
    async with bridged(server) as bridge:
        bridge.send("subscriptions/listen", wanted, id=4)
        seen = [await bridge.written.get() for _ in range(3)]
    assert [m.get("method") for m in seen] == [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
        None,
    ]
    assert times == 3


async def test_cancelling_closes_the_request_and_answers_nothing() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def server(request: httpx.Request) -> httpx.Response:
        if orjson.loads(request.content)["method"] == "tools/list":
            return result(request, {"tools": []})
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with bridged(server) as bridge:
        bridge.send("tools/call", {"name": "t", "_meta": META}, id=5)
        await begun.wait()
        bridge.send("notifications/cancelled", {"requestId": 5})
        await ended.wait()
        assert (await bridge.ask("tools/list", {"_meta": META}, id=6))["id"] == 6


async def test_a_missing_token_is_explained() -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-mine"] == "1"
        return httpx.Response(401, json={})

    async with bridged(server, headers={"x-mine": "1"}, token_hint="--token") as bridge:
        message = await bridge.ask("tools/list", {"_meta": META})
    assert message["error"]["message"].endswith("wants a token (HTTP 401): give one with --token")


@pytest.mark.parametrize(("line", "code"), [(b"{", -32700), (b"[]", -32600), (b"7", -32600)])
async def test_what_is_no_message_is_refused(line: bytes, code: int) -> None:
    async def server(request: httpx.Request) -> httpx.Response:
        raise AssertionError

    async with bridged(server) as bridge:
        bridge.lines.put_nowait(line)
        message = await bridge.written.get()
    assert (message["id"], message["error"]["code"]) == (None, code)


async def test_what_runs_when_the_input_ends_may_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    async def server(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return result(request, {"tools": []})

    async with bridged(server) as bridge:
        bridge.send("tools/list", {"_meta": META}, id=1)
        asyncio.get_running_loop().call_later(0.01, release.set)
    assert bridge.written.get_nowait()["result"] == {"tools": []}
