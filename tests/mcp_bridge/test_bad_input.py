"""What malformed, contradictory or unwelcome requests get, in both eras."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.wire import LEGACY, META, MODERN, Door, message

OLD = "2025-06-18"
CAPABILITIES = f"{META}clientCapabilities"
VERSION = f"{META}protocolVersion"


@dataclass
class Case:
    """A request made from a good one, and the answer it gets."""

    sentence: str
    status: int
    code: int | None = None
    version: str | None = MODERN
    name: str = "tools/list"
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str | None] = field(default_factory=dict)
    more: list[tuple[str, str]] = field(default_factory=list)
    without_meta: tuple[str, ...] = ()
    body: bytes | None = None
    change: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    id: Any = 1


def both(
    sentence: str, modern: int, legacy: int, code: int | None = None, **case: Any
) -> list[Case]:
    return [
        Case(f"{sentence} (stateless)", modern, code, **case),
        Case(f"{sentence} (handshake)", legacy, code, OLD, **case),
    ]


CASES = [
    # Per-request metadata
    Case("no _meta", 400, -32602, without_meta=("_meta",), says=CAPABILITIES),
    Case("no client capabilities", 400, -32602, without_meta=(CAPABILITIES,), says=CAPABILITIES),
    Case("no client info is served", 200),
    # Versions
    Case("header and body differ", 400, -32020, headers={"mcp-protocol-version": "2025-11-25"}),
    Case("a proxy dropped the header", 400, -32020, headers={"mcp-protocol-version": None}),
    Case(
        "an unknown version in header and body",
        400,
        -32022,
        headers={"mcp-protocol-version": "2099-01-01"},
        params={"_meta": {VERSION: "2099-01-01"}},
    ),
    Case("a version that is no string", 400, -32020, params={"_meta": {VERSION: 7}}),
    Case("an unknown version header alone", 400, -32600, "1999-01-01", says="2025-11-25"),
    Case("no version at all is served", 200, version=None),
    # Routing headers
    Case("no Mcp-Method", 400, -32020, headers={"mcp-method": None}),
    Case("another Mcp-Method", 400, -32020, headers={"mcp-method": "tools/call"}),
    Case("Mcp-Method in another case", 400, -32020, headers={"mcp-method": "Tools/List"}),
    Case(
        "no Mcp-Name",
        400,
        -32020,
        name="tools/call",
        params={"name": "add"},
        headers={"mcp-name": None},
    ),
    Case(
        "another Mcp-Name",
        400,
        -32020,
        name="tools/call",
        params={"name": "add"},
        headers={"mcp-name": "sub"},
    ),
    Case(
        "Mcp-Name in sloppy base64",
        400,
        -32020,
        name="tools/call",
        params={"name": "echo"},
        headers={"mcp-name": "=?base64?ZWNobx==?="},
    ),
    Case(
        "Mcp-Name in base64 is served",
        200,
        name="tools/call",
        params={"name": "echo"},
        headers={"mcp-name": "=?base64?ZWNobw==?="},
    ),
    Case("Mcp-Method twice", 400, -32020, more=[("mcp-method", "tools/list")]),
    Case("the version header twice", 400, -32020, more=[("mcp-protocol-version", MODERN)]),
    Case(
        "routing headers mean nothing to a handshake client",
        200,
        version=OLD,
        headers={"mcp-method": "nonsense", "mcp-name": "nonsense"},
    ),
    # Methods
    *both("an unknown method", 404, 200, -32601, name="tools/destroy"),
    *both("a method that is not served", 404, 200, -32601, name="roots/list"),
    Case("ping is gone", 404, -32601, name="ping"),
    *(
        Case(
            f"{level!r} as a log level",
            200,
            -32602,
            OLD,
            name="logging/setLevel",
            params={"level": level},
            says="emergency",
        )
        for level in (None, 3, ["info"], {"info": True})
    ),
    Case("logging/setLevel is gone", 404, -32601, name="logging/setLevel"),
    Case("initialize is gone", 404, -32601, name="initialize"),
    Case("discover is not there yet", 200, -32601, OLD, name="server/discover"),
    *both("an unknown tool", 400, 200, -32602, name="tools/call", params={"name": "ad"}),
    *both("a tool without name", 400, 200, -32602, name="tools/call"),
    *both(
        "arguments that are no object",
        400,
        200,
        -32602,
        name="tools/call",
        params={"name": "add", "arguments": [1, 2]},
    ),
    *both("arguments that do not fit", 200, 200, name="tools/call", params={"name": "add"}),
    *both("a made-up cursor", 400, 200, -32602, params={"cursor": "made-up"}),
    *both("a cursor that is no string", 400, 200, -32602, params={"cursor": 5}),
    # Messages
    *both("not JSON", 400, 400, -32700, body=b"{", id=None),
    *both("an empty body", 400, 400, -32700, body=b"", id=None),
    *both("too deep", 400, 400, -32700, body=b"[" * 5000, id=None),
    *both("a huge integer", 400, 400, -32700, body=b"9" * 5000, id=None),
    *both("a batch", 400, 400, -32600, body=b"[]", id=None),
    *both("a number", 400, 400, -32600, body=b"5", id=None),
    *both("a null id", 400, 400, -32600, change={"id": None}, id=None),
    *both("a fractional id", 400, 400, -32600, change={"id": 1.5}, id=None),
    *both("a boolean id", 400, 400, -32600, change={"id": True}, id=None),
    *both("params that are no object", 400, 400, -32600, change={"params": [1]}),
    *both("another JSON-RPC", 400, 400, -32600, change={"jsonrpc": "1.0"}),
    *both("no method", 400, 400, -32600, change={"method": None}),
    *both("a response", 400, 400, -32600, body=b'{"jsonrpc":"2.0","id":1,"result":{}}'),
    # HTTP
    *both("no content type", 415, 415, -32600, headers={"content-type": None}, id=None),
    *both(
        "another content type", 415, 415, -32600, headers={"content-type": "text/plain"}, id=None
    ),
    *both(
        "a content type with parameters is served",
        200,
        200,
        headers={"content-type": "Application/JSON; charset=utf-8"},
    ),
    *both("no Accept is served", 200, 200, headers={"accept": None}),
    *both("another Accept", 406, 406, -32600, headers={"accept": "text/html"}, id=None),
    *both("a foreign host", 421, 421, -32600, headers={"host": "evil.example"}, id=None),
    *both(
        "a foreign origin", 403, 403, -32600, headers={"origin": "https://evil.example"}, id=None
    ),
    *both("an opaque origin", 403, 403, -32600, headers={"origin": "null"}, id=None),
    *both("a local origin is served", 200, 200, headers={"origin": "http://localhost:6274"}),
    *both("an unknown session is ignored", 200, 200, headers={"mcp-session-id": "unknown"}),
    *both("a bad token", 401, 401, -32600, headers={"authorization": "Bearer wrong"}),
    *both("another scheme", 401, 401, -32600, headers={"authorization": "Basic YTpi"}),
    *both("two credentials", 400, 400, -32020, more=[("authorization", "Bearer good")] * 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
async def test_every_input_gets_the_answer_it_is_due(door: Door, case: Case) -> None:
    body, headers = message(case.version, case.name, case.params, case.headers)
    body |= case.change
    for key in case.without_meta:
        body["params"].pop(key, None)
        body["params"].get("_meta", {}).pop(key, None)
    data = case.body if case.body is not None else json.dumps(body).encode()
    response = await door.send(data, headers=headers, more=case.more)
    assert response.status == case.status, response.body
    if case.code is None:
        assert "result" in response.json
    else:
        assert response.error["code"] == case.code
        assert response.json["id"] == case.id
        assert response.json["jsonrpc"] == "2.0"
        assert case.says in response.error["message"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
async def test_only_post_is_possible_and_nothing_hangs(door: Door, method: str) -> None:
    response = await door.send(method=method)
    assert (response.status, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("version", [MODERN, *LEGACY, None])
async def test_notifications_are_accepted_without_content(door: Door, version: str | None) -> None:
    body, headers = message(version, "notifications/initialized")
    del body["id"]
    response = await door.send(body, headers=headers)
    assert (response.status, response.body) == (202, b"")


async def test_a_notification_of_an_unknown_version_is_refused(door: Door) -> None:
    body, headers = message("1999-01-01", "notifications/initialized")
    del body["id"]
    assert (await door.send(body, headers=headers)).status == 400


async def test_unsupported_versions_are_answered_with_the_supported_ones(door: Door) -> None:
    params = {"_meta": {VERSION: "2099-01-01"}}
    headers = {"mcp-protocol-version": "2099-01-01"}
    response = await door.request(MODERN, "tools/list", params, headers=headers)
    assert response.error["data"] == {"supported": [MODERN], "requested": "2099-01-01"}


async def test_initialize_in_the_stateless_era_names_the_versions_without_it(door: Door) -> None:
    response = await door.request(MODERN, "initialize")
    assert response.error["data"] == {"supported": [MODERN]}


async def test_an_unknown_tool_is_answered_with_the_nearest_names(door: Door) -> None:
    response = await door.request(MODERN, "tools/call", {"name": "ad"})
    assert response.error["message"] == "Unknown tool: ad"
    assert response.error["data"] == {"nearest": ["add"]}


async def test_a_body_above_the_limit_is_refused_before_it_is_read(gateway: FakeGateway) -> None:
    door = Door(gateway, max_mcp_body_bytes=1024)
    announced = await door.send(b"", headers={"content-length": "1025"})
    streamed = await door.send(b" " * 1025)
    assert (announced.status, streamed.status) == (413, 413)
    assert announced.json["error"]["code"] == streamed.json["error"]["code"] == -32600


async def test_a_string_id_comes_back_as_it_was(door: Door) -> None:
    body, headers = message(MODERN, "tools/list")
    response = await door.send({**body, "id": 'é"1'}, headers=headers)
    assert response.json["id"] == 'é"1'


async def test_a_bad_token_is_challenged_without_pointing_to_oauth(door: Door) -> None:
    response = await door.request(MODERN, "tools/list", headers={"authorization": "Bearer wrong"})
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith("Bearer realm=")
    assert "resource_metadata" not in challenge


@pytest.mark.parametrize("version", [MODERN, OLD])
async def test_unknown_and_invisible_services_answer_alike(door: Door, version: str) -> None:
    answers = [
        await door.request(version, "tools/list", path=f"/ws-lab/mcp/{name}/mcp")
        for name in ("private", "nowhere")
    ]
    assert [a.status for a in answers] == [404, 404]
    private, nowhere = (a.body.replace(b"private", b"X").replace(b"nowhere", b"X") for a in answers)
    assert private == nowhere


async def test_an_unknown_workspace_answers_like_an_unknown_service(door: Door) -> None:
    workspace = await door.request(MODERN, "tools/list", path="/ws-none/mcp/private/mcp")
    service = await door.request(MODERN, "tools/list", path="/ws-lab/mcp/private/mcp")
    assert (workspace.status, workspace.body) == (service.status, service.body)


async def test_a_token_opens_a_protected_service(door: Door) -> None:
    headers = {"authorization": "bearer good"}
    path = "/ws-lab/mcp/private/mcp"
    response = await door.request(MODERN, "tools/list", path=path, headers=headers)
    assert [tool["name"] for tool in response.result["tools"]] == ["add"]


async def test_an_ambiguous_service_is_a_conflict(door: Door) -> None:
    door.gateway.add_service("ws-lab/other:calc", {"add": print}, visibility="public")
    response = await door.request(MODERN, "tools/list")
    assert (response.status, response.error["data"]["code"]) == (409, "ambiguous_service")
    chosen = await door.request(MODERN, "tools/list", path="/ws-lab/mcp/worker:calc/mcp")
    assert chosen.status == 200


async def test_a_defect_is_logged_and_told_to_nobody(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr(door.gateway, "call", broken)
    response = await door.request(MODERN, "tools/call", {"name": "echo"})
    assert (response.status, response.error) == (200, {"code": -32603, "message": "Internal error"})
    assert len([r for r in caplog.records if r.name.startswith("mcp_bridge")]) == 1


async def test_credentials_never_reach_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    canary = "canary-3f7a"
    headers = {"authorization": f"Bearer {canary}"}
    response = await door.request(MODERN, "tools/list", headers=headers)
    assert canary not in caplog.text
    assert canary.encode() not in response.body
