"""Connecting: where one ends up, under which id, and what a refusal looks like."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import httpx
import jwt
import pytest
from websockets.asyncio.client import connect as open_websocket

from schema.identity import Permission, Scope
from tests.behaviour.joining import Join
from tests.behaviour.test_workspaces import token_of
from tests.behaviour.wire import WebSocketClient
from tests.clients.gateways import Gateway
from tests.clients.raw import admitted, opened
from tests.patience import PATIENCE_SECONDS

CONNECTION_INFO = {
    "type", "hypha_version", "public_base_url", "local_base_url", "manager_id", "workspace",
    "client_id", "user", "reconnection_token", "reconnection_token_life_time",
}  # fmt: skip


async def refusal(gateway: Gateway, **hello: Any) -> tuple[str, int]:
    async with opened(gateway) as client:
        await client.say({"client_id": "me", "workspace": None, "token": None, **hello})
        answer = await client.heard()
        closed = await client.closed()
    assert answer.keys() == {"type", "message"}
    assert answer["type"] == "error"
    assert len(closed.reason.encode()) <= 123
    assert answer["message"].startswith(closed.reason)
    return answer["message"], closed.code


async def test_both_transports_tell_the_same_about_a_connection(join: Join) -> None:
    client = await join("me")
    info = client.info
    assert info.keys() >= CONNECTION_INFO
    assert (info["type"], info["client_id"]) == ("connection_info", "me")
    assert info["manager_id"] and not set("/:") & set(info["manager_id"])
    assert info["reconnection_token_life_time"] > 0
    assert info["public_base_url"] == join.gateway.url
    claims = jwt.decode(info["reconnection_token"], options={"verify_signature": False})
    assert f"wid:{client.workspace}" in claims["scope"].split()


async def test_anonymous_clients_are_admins_of_a_workspace_each(join: Join) -> None:
    first, second = await join(), await join()
    assert first.workspace != second.workspace
    for client in (first, second):
        user = client.info["user"]
        assert user["id"].startswith("anonymouz-")
        assert (user["roles"], user["is_anonymous"]) == (["anonymous"], True)
        assert client.workspace == f"ws-user-{user['id']}"
        assert (await client.manager("check_status"))["user_permission"] == "a"


async def test_control_messages_are_answered(join: Join) -> None:
    client = await join()
    assert await client.control({"type": "ping"}) == {"type": "pong"}
    answer = await client.control({"type": "refresh_token"})
    assert answer.keys() == {"type", "reconnection_token"}
    claims = jwt.decode(answer["reconnection_token"], options={"verify_signature": False})
    assert f"cid:{client.info['client_id']}" in claims["scope"].split()


async def test_a_refreshed_token_is_as_good_as_the_first(join: Join) -> None:
    client = await join("me")
    token = (await client.control({"type": "refresh_token"}))["reconnection_token"]
    again = await join("me", reconnection_token=token)
    assert again.address == client.address


async def test_a_protocol_ping_is_answered_with_a_pong(join_websocket: Join) -> None:
    client = await join_websocket()
    assert isinstance(client, WebSocketClient)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await (await client.connection.ping())


async def test_a_long_reason_is_cut_in_the_close_frame_and_whole_in_the_message(
    gateway: Gateway,
) -> None:
    name = "ä" * 60 + "-x"
    text = f"Failed to establish connection: 'Workspace {name} does not exist or is not accessible'"
    assert await refusal(gateway, workspace=name) == (text, 1001)


async def test_a_token_with_a_current_workspace_is_for_no_other(
    gateway: Gateway, join_websocket: Join
) -> None:
    owner = await join_websocket(token=token_of(f"u{secrets.token_hex(4)}"))
    scope = Scope({owner.workspace: Permission.ADMIN, "a-b": Permission.ADMIN}, owner.workspace)
    token = token_of("u", scope)
    assert (await join_websocket(token=token)).workspace == owner.workspace
    assert await refusal(gateway, token=token, workspace="a-b") == (
        "Failed to establish connection: Current workspace encoded in the token "
        f"({owner.workspace}) does not match the specified workspace (a-b)",
        1001,
    )


async def test_a_token_for_one_client_is_for_no_other(
    gateway: Gateway, join_websocket: Join
) -> None:
    owner = await join_websocket()
    token = await owner.manager("generate_token", {"client_id": "x"})
    assert await refusal(gateway, token=token) == (
        "Failed to establish connection: Client id mismatch: this token is restricted to client "
        "with client_id='x'",
        1001,
    )
    assert (await join_websocket("x", token=token)).workspace == owner.workspace


async def test_a_token_for_one_purpose_is_no_key_to_the_gateway(gateway: Gateway) -> None:
    token = token_of("u", Scope(extra_scopes=("file:read",)))
    message, code = await refusal(gateway, token=token)
    assert (message.startswith("Failed to establish connection: "), code) == (True, 1001)


async def test_a_workspace_of_an_anonymous_user_cannot_be_made_by_another(
    gateway: Gateway, join_websocket: Join
) -> None:
    name = f"ws-user-anonymouz-{secrets.token_hex(4)}"
    text = f"Failed to establish connection: 'Workspace {name} does not exist or is not accessible'"
    assert await refusal(gateway, workspace=name) == (text, 1001)
    root = await join_websocket(token=token_of("r", Scope({"*": Permission.ADMIN})))
    assert name not in str(await root.manager("list_workspaces"))


async def test_outsiders_do_not_learn_which_clients_are_connected(
    gateway: Gateway, join_websocket: Join
) -> None:
    incumbent = await join_websocket("robot")
    for client_id in ("robot", "nobody"):
        assert await refusal(gateway, client_id=client_id, workspace=incumbent.workspace) == (
            f"Failed to establish connection: Permission denied for workspace: "
            f"{incumbent.workspace}",
            1001,
        )


async def test_a_refused_duplicate_leaves_the_incumbent_as_it_was(
    gateway: Gateway, join: Join
) -> None:
    incumbent = await join("robot")
    await incumbent.register("s", {"f": lambda: 42})
    await incumbent.manager("subscribe", "gossip")
    token = await incumbent.manager("generate_token")
    message, code = await refusal(gateway, client_id="robot", token=token)
    assert message == (
        f"Failed to establish connection: Client already exists and is active: {incumbent.address}"
    )
    assert code == 1001
    caller = await join()
    assert await caller.call(incumbent.address, "services.s.f") == 42
    await incumbent.send({"type": "gossip", "to": "*"})
    await incumbent.event("gossip")
    assert len(await incumbent.manager("list_services")) == 1


async def test_two_handshakes_with_one_reconnection_token_are_both_let_in(
    gateway: Gateway,
) -> None:
    async with admitted(gateway, client_id="robot") as old:
        token = old.info["reconnection_token"]
        async with opened(gateway) as first, opened(gateway) as second:
            hello = {"client_id": "robot", "reconnection_token": token}
            await asyncio.gather(first.say(hello), second.say(hello))
            for client in (first, second):
                assert (await client.heard())["type"] == "connection_info"
            # The one that was later serves the address.
            alive = [c async for c in closing_last(first, second)]
            assert len(alive) == 1


async def closing_last(*clients: Any) -> Any:
    """The clients that still answer."""
    for client in clients:
        try:
            if await client.is_served():
                yield client
        except Exception:  # noqa: BLE001 - the other one has been closed
            continue


async def test_an_old_token_does_not_matter_when_the_reconnection_token_is_good(
    gateway: Gateway,
) -> None:
    expired = token_of("u")[:-4] + "xxxx"
    async with admitted(gateway, client_id="robot") as old:
        hello = {"token": expired, "reconnection_token": old.info["reconnection_token"]}
        async with admitted(gateway, client_id="robot", **hello) as new:
            assert new.address == old.address


async def test_a_token_may_be_announced_as_a_bearer(join: Join) -> None:
    owner = await join()
    token = await owner.manager("generate_token")
    prefix = "Bearer " if join.transport == "websocket" else ""
    assert (await join(token=prefix + token)).workspace == owner.workspace


async def test_the_upgrade_itself_is_never_forbidden(gateway: Gateway) -> None:
    headers = {"Authorization": "Bearer nonsense", "Origin": "https://elsewhere.example"}
    url = gateway.websocket_url
    async with open_websocket(url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"client_id": "me"}))
        assert json.loads(await socket.recv())["type"] == "connection_info"


@pytest.mark.parametrize(
    "path",
    ["/health/liveness", "/health/readiness", "/login", "/public/apps/hypha-login/"],
)
async def test_pages_that_helpers_wait_for_are_there(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, follow_redirects=True)
    assert response.status_code == 200


async def test_the_record_of_a_workspace_is_read_by_url(
    http: httpx.AsyncClient, join: Join
) -> None:
    owner = await join()
    await owner.manager("set_env", "KEY", "secret")
    bearer = {"Authorization": f"Bearer {await owner.manager('generate_token')}"}
    own = await http.get(f"/{owner.workspace}/info", headers=bearer)
    assert own.json() == await owner.manager("get_workspace_info")
    assert "secret" not in own.text
    for workspace in (owner.workspace, "ws-nowhere"):
        strange = await http.get(f"/{workspace}/info")
        assert (strange.status_code, strange.json()["code"]) == (403, "permission_denied")


async def test_who_came_with_a_token_does_not_come_back_once_it_is_revoked(
    gateway: Gateway, join: Join
) -> None:
    owner = await join()
    token = await owner.manager("generate_token")
    first = (await join("robot", token=token)).info["reconnection_token"]
    second = (await join("robot", reconnection_token=first)).info["reconnection_token"]
    await owner.manager("revoke_token", token)
    for resumes in (first, second):
        assert await refusal(gateway, client_id="robot", reconnection_token=resumes) == (
            "Failed to establish connection: Failed to authenticate user: Token has been revoked",
            1001,
        )
    # Its own user is not concerned.
    again = await join(owner.info["client_id"], reconnection_token=owner.info["reconnection_token"])
    assert again.address == owner.address


async def test_a_stream_is_refused_to_whom_a_websocket_is_refused(
    gateway: Gateway, join_websocket: Join
) -> None:
    owner = await join_websocket("taken")
    for_one = await owner.manager("generate_token", {"client_id": "robot"})
    revoked = await owner.manager("generate_token", {})
    await owner.manager("revoke_token", revoked)
    pinned = token_of(
        "u", Scope({owner.workspace: Permission.ADMIN, "a-b": Permission.ADMIN}, "a-b")
    )
    refused = [
        (for_one, {}, 403, "restricted to client with client_id='robot'"),
        (revoked, {}, 401, "Token has been revoked"),
        (pinned, {"workspace": owner.workspace}, 403, "does not match the specified workspace"),
        (token_of("u", Scope(extra_scopes=("file:read",))), {}, 403, ""),
        (await owner.manager("generate_token", {}), {"client_id": "taken"}, 409, "is active"),
        (None, {"workspace": f"ws-user-anonymouz-{secrets.token_hex(4)}"}, 404, "does not exist"),
    ]
    seen = []
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as http:
        for token, query, _, _ in refused:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            reply = await http.get("/rpc", params={"client_id": "me", **query}, headers=headers)
            seen.append((reply.status_code, reply.json()["detail"]))
    assert [status for status, _ in seen] == [status for _, _, status, _ in refused], seen
    for (_, detail), (_, _, _, text) in zip(seen, refused, strict=True):
        assert text in detail
