"""What malformed or unwelcome requests get, in both eras and over both transports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.bad_input import CASES, MAX_BODY_BYTES, OLD, Case
from tests.mcp_bridge.bridge import over_stdio
from tests.mcp_bridge.wire import LEGACY, MODERN, Door, message

SENT = [
    pytest.param(case, transport, id=f"{transport}: {case.sentence}")
    for case in CASES
    for transport in case.transports
]


def written(case: Case) -> tuple[bytes, dict[str, str | None]]:
    """The body of a case, and its headers."""
    body, headers = message(case.version, case.name, case.params, case.headers)
    for key in case.without_meta:
        body["params"].pop(key, None)
        body["params"].get("_meta", {}).pop(key, None)
    body = {k: v for k, v in (body | case.change).items() if v is not ...}
    return (json.dumps(body).encode() if case.body is None else case.body), headers


@pytest.mark.parametrize(("case", "transport"), SENT)
async def test_every_input_gets_the_answer_it_is_due(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, case: Case, transport: str
) -> None:
    async def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret-detail")

    door = Door(gateway, max_mcp_body_bytes=MAX_BODY_BYTES)
    if case.is_broken:
        monkeypatch.setattr(gateway, "call", broken)
    body, headers = written(case)
    if transport == "stdio":
        answer = await over_stdio(door, body, opening=case.version if case.version == OLD else None)
        if not case.has_answer or case.over_stdio == "no answer":
            assert answer is None
        elif case.over_stdio == "served":
            assert "result" in answer
        else:
            check(case, answer)
        return
    response = await door.send(body, method=case.http_method, headers=headers, more=case.more)
    assert response.status == case.status, response.body
    assert response.headers.get("allow") == case.allow
    if case.has_answer:
        check(case, response.json)
    else:
        assert response.body == b""


def check(case: Case, answer: Any) -> None:
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == case.id
    assert "secret-detail" not in str(answer)
    if case.code is None:
        assert {key: answer["result"][key] for key in case.result} == case.result
        return
    assert answer["error"]["code"] == case.code
    assert case.says in answer["error"]["message"]
    if case.data is not None:
        assert answer["error"]["data"] == case.data


@pytest.mark.parametrize("version", [MODERN, *LEGACY, None])
async def test_notifications_are_accepted_without_content(door: Door, version: str | None) -> None:
    body, headers = message(version, "notifications/initialized")
    del body["id"]
    response = await door.send(body, headers=headers)
    assert (response.status, response.body) == (202, b"")


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
