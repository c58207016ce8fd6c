"""The first message of a connection, and the control messages after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway, started
from tests.clients.raw import Closed, RawClient, admitted, opened

POLICY, UNSUPPORTED, GOING_AWAY = 1008, 1003, 1001
REFUSED = "Failed to establish connection: "
CREDENTIALS_IN_URL = (
    "Connection rejected, please  upgrade to `hypha-rpc` which pass the authentication "
    "information in the first message"
)


async def refused(client: RawClient, message: str, code: int) -> None:
    """The client is told why in a message, and again in the close frame as far as it fits."""
    assert await client.heard() == {"type": "error", "message": message}
    assert await client.closed() == Closed(code, message.encode()[:123].decode())


async def refusal_of(gateway: Gateway, **hello: Any) -> tuple[str, int]:
    """What the gateway answers to a first message that it does not accept."""
    async with opened(gateway) as client:
        await client.say({"client_id": "me", **hello})
        answer = await client.heard()
        closed = await client.closed()
        assert answer["type"] == "error"
        assert closed.reason == answer["message"].encode()[:123].decode()
        return answer["message"], closed.code


async def test_an_admitted_client_is_told_where_and_who_it_is(gateway: Gateway) -> None:
    async with admitted(gateway, client_id="me") as client:
        info = client.info
        user = info.pop("user")
        assert info == {
            "type": "connection_info",
            "hypha_version": info["hypha_version"],
            "server": f"Polyport {info['hypha_version']}",
            "public_base_url": gateway.url,
            "local_base_url": gateway.url,
            "manager_id": info["manager_id"],
            "workspace": f"ws-user-{user['id']}",
            "client_id": "me",
            "reconnection_token": info["reconnection_token"],
            "reconnection_token_life_time": 172800.0,
        }
        assert user == {
            "id": user["id"],
            "roles": ["anonymous"],
            "is_anonymous": True,
            "email": None,
            "parent": None,
            "expires_at": user["expires_at"],
            "current_workspace": user["current_workspace"],
            "scope": {
                "current_workspace": f"ws-user-{user['id']}",
                "workspaces": {f"ws-user-{user['id']}": "a"},
                "client_id": "me",
                "extra_scopes": user["scope"]["extra_scopes"],
            },
        }
        assert user["id"].startswith("anonymouz-")
        assert not set("/:") & set(info["manager_id"])


async def test_a_ping_is_answered_and_the_token_can_be_renewed(gateway: Gateway) -> None:
    async with admitted(gateway) as client:
        await client.say({"type": "ping"})
        assert await client.heard() == {"type": "pong"}
        await client.say({"type": "refresh_token"})
        renewed = await client.heard()
        assert renewed.keys() == {"type", "reconnection_token"}
        assert renewed["type"] == "reconnection_token"
        assert renewed["reconnection_token"].count(".") == 2


@pytest.mark.parametrize(
    "text", ["not JSON", "[]", "7", '{"type": "dance"}', "{}", json.dumps({"type": "p" * 2000})]
)
async def test_control_messages_that_make_no_sense_are_ignored(gateway: Gateway, text: str) -> None:
    async with admitted(gateway) as client:
        await client.say(text)
        assert await client.is_served()


async def test_a_client_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with started(tmp_path, {"POLYPORT_HANDSHAKE_TIMEOUT_SECONDS": "0.2"}) as impatient:
        async with opened(impatient) as client:
            await refused(client, "Authentication payload timeout", POLICY)


@pytest.mark.parametrize("first", ["", "{", "not JSON", "[]", '"text"', "null", b"\x81\xa1a\x01"])
async def test_a_first_message_that_is_no_json_object_is_refused(
    gateway: Gateway, first: str | bytes
) -> None:
    async with opened(gateway) as client:
        await client.connection.send(first)
        await refused(client, "Failed to decode authentication information", UNSUPPORTED)


@pytest.mark.parametrize("name", ["client_id", "workspace", "token", "reconnection_token"])
async def test_credentials_in_the_url_are_refused(gateway: Gateway, name: str) -> None:
    async with opened(gateway, f"?{name}=x") as client:
        assert await client.closed() == Closed(POLICY, CREDENTIALS_IN_URL)


@pytest.mark.parametrize("missing", [None, ""])
async def test_a_client_needs_an_id(gateway: Gateway, missing: str | None) -> None:
    assert await refusal_of(gateway, client_id=missing, workspace="ws-x") == (
        f"{REFUSED}Failed to authenticate user to workspace: ws-x",
        GOING_AWAY,
    )


async def test_a_client_id_has_no_slash(gateway: Gateway) -> None:
    assert await refusal_of(gateway, client_id="a/b") == (
        f"{REFUSED}Invalid client id: a/b",
        GOING_AWAY,
    )


@pytest.mark.parametrize("key", ["client_id", "workspace", "token", "reconnection_token"])
async def test_values_of_another_type_are_refused(gateway: Gateway, key: str) -> None:
    message, code = await refusal_of(gateway, **{key: {"not": "text"}})
    assert message.startswith(REFUSED)
    assert code == GOING_AWAY


async def test_an_unknown_workspace_is_refused(gateway: Gateway) -> None:
    assert await refusal_of(gateway, workspace="no-such-place") == (
        f"{REFUSED}'Workspace no-such-place does not exist or is not accessible'",
        GOING_AWAY,
    )


async def test_the_workspace_of_somebody_else_is_refused(
    gateway: Gateway, connect: Connect
) -> None:
    workspace = (await connect()).config.workspace
    assert await refusal_of(gateway, workspace=workspace) == (
        f"{REFUSED}Permission denied for workspace: {workspace}",
        GOING_AWAY,
    )


@pytest.mark.parametrize("token", ["x", "a.b.c", "Bearer nonsense"])
async def test_a_bad_token_is_refused(gateway: Gateway, token: str) -> None:
    expected = ("Authentication error: The token is not valid", POLICY)
    assert await refusal_of(gateway, token=token) == expected


async def test_an_expired_token_is_refused(gateway: Gateway, connect: Connect) -> None:
    token = await (await connect()).generate_token({"expires_in": 1e-6})
    assert await refusal_of(gateway, token=token) == (
        "Authentication error: The token has expired. Please fetch a new one",
        POLICY,
    )


async def test_a_revoked_token_is_refused(gateway: Gateway, connect: Connect) -> None:
    owner = await connect()
    token = await owner.generate_token()
    await owner.revoke_token(token)
    expected = (
        "Failed to establish connection: Failed to authenticate user: Token has been revoked",
        GOING_AWAY,
    )
    assert await refusal_of(gateway, token=token) == expected


async def test_a_token_is_for_its_workspace_only(gateway: Gateway, connect: Connect) -> None:
    one, other = await connect(), await connect()
    token = await one.generate_token()
    elsewhere = other.config.workspace
    assert await refusal_of(gateway, token=token, workspace=elsewhere) == (
        f"{REFUSED}Current workspace encoded in the token ({one.config.workspace}) does not match "
        f"the specified workspace ({elsewhere})",
        GOING_AWAY,
    )


async def test_a_reconnection_token_is_for_its_client_only(gateway: Gateway) -> None:
    async with admitted(gateway, client_id="first") as client:
        token = client.info["reconnection_token"]
        assert await refusal_of(gateway, client_id="second", reconnection_token=token) == (
            f"{REFUSED}Failed to authenticate user: Client id mismatch, disconnecting",
            GOING_AWAY,
        )


async def test_a_reconnection_token_is_for_its_workspace_only(gateway: Gateway) -> None:
    async with admitted(gateway, client_id="first") as client:
        hello = {"client_id": "first", "reconnection_token": client.info["reconnection_token"]}
        assert await refusal_of(gateway, workspace="ws-elsewhere", **hello) == (
            f"{REFUSED}Invalid scope, workspace mismatch: {client.workspace} != ws-elsewhere",
            GOING_AWAY,
        )


async def test_a_reconnection_token_opens_no_other_door(gateway: Gateway) -> None:
    async with admitted(gateway, client_id="first") as client:
        assert await refusal_of(gateway, token=client.info["reconnection_token"]) == (
            "Authentication error: The token is not valid for this purpose",
            POLICY,
        )


async def test_a_connected_client_cannot_be_evicted_by_one_of_the_same_id(
    gateway: Gateway, connect: Connect
) -> None:
    incumbent, caller = await connect(client_id="robot"), await connect()
    service = {"id": "svc", "config": {"visibility": "public"}, "answer": lambda: 42}
    full = (await incumbent.register_service(service))["id"]
    token = await incumbent.generate_token()
    workspace = incumbent.config.workspace
    assert await refusal_of(gateway, client_id="robot", token=token) == (
        f"{REFUSED}Client already exists and is active: {workspace}/robot",
        GOING_AWAY,
    )
    assert await (await caller.get_service(full)).answer() == 42
    assert await incumbent.echo("still here") == "still here"
