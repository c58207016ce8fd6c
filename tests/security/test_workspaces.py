"""Workspaces and services of others. The numbers are those of the security requirements."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app import Parts
from gateway.auth.access import Action, decide
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure


async def user(parts: Parts, name: str) -> Peer:
    return await Peer.join(parts, token=parts.tokens.issue(User(name), expires_in_seconds=600))


async def refused(peer: Peer, function: str, *args: Any, **named: Any) -> str:
    with pytest.raises(RemoteFailure) as caught:
        await peer.manager(function, *args, **named)
    return str(caught.value)


async def test_S1_a_service_cannot_be_registered_in_another_workspace(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    await refused(eve, "register_service", {"id": f"{ann.workspace}/x:svc", "config": {}})


@pytest.mark.parametrize("suffix", ["", "/x", "-more"])
async def test_S2_events_of_another_workspace_cannot_be_subscribed_to(
    parts: Parts, suffix: str
) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    await refused(eve, "subscribe", f"{ann.workspace}{suffix}")


async def test_S3_who_else_is_let_in_is_not_told(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    config = {"visibility": "protected", "authorized_workspaces": [eve.workspace, "ws-x"]}
    await ann.register("svc", {"f": int}, config=config)
    found = await eve.manager("get_service_info", f"{ann.workspace}/svc")
    assert "ws-x" not in str(found)


async def test_S4_what_cannot_be_read_cannot_be_bookmarked(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    await refused(eve, "bookmark", {"bookmark_type": "workspace", "id": ann.workspace})


@pytest.mark.parametrize("permission", ["read", "read_write"])
async def test_S6_a_workspace_is_overwritten_by_its_administrators_alone(
    parts: Parts, permission: str
) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    await ann.manager("create_workspace", {"id": "ann-lab"})
    await ann.manager("share_workspace", "ann-lab", user_id="eve", permission=permission)
    for name in ("ann-lab", "public", "ws-user-ann"):
        await refused(eve, "create_workspace", {"id": name}, overwrite=True)


@pytest.mark.parametrize("name", ["ws-user-zed", "public", "ws-anonymous", "ws", "health", "mcp"])
async def test_S7_N4_reserved_names_cannot_be_taken(parts: Parts, name: str) -> None:
    await refused(await user(parts, "alice"), "create_workspace", {"id": name})


async def test_S8_owners_that_are_named_are_none(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    try:
        await ann.manager("create_workspace", {"id": "ann-lab", "owners": ["eve"]})
    except RemoteFailure:
        return
    await refused(eve, "get_workspace_info", "ann-lab")
    await refused(eve, "delete_workspace", "ann-lab")


async def test_S14_N2_clients_and_info_of_another_workspace_need_read(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    for function in ("list_clients", "get_workspace_info", "list_members"):
        assert "ermission" in await refused(eve, function, ann.workspace)


def test_S15_a_weaker_star_does_not_hide_a_stronger_grant() -> None:
    scope = Scope({"*": Permission.READ, "ws-a": Permission.ADMIN})
    assert decide(Caller(User("u", scope=scope), "ws-a"), Action.DELETE_WORKSPACE, "ws-a").allowed


async def test_S17_strangers_list_what_is_public_and_nothing_else(parts: Parts) -> None:
    ann, stranger = await user(parts, "ann"), await Peer.join(parts)
    for visibility in ("public", "protected", "unlisted"):
        await ann.register(visibility, {"f": int}, config={"visibility": visibility})
    for query in ({"workspace": ann.workspace}, {"workspace": "*"}):
        listed = str(await stranger.manager("list_services", query))
        assert ":public" in listed or "hypha-login" in listed
        assert ":protected" not in listed and ":unlisted" not in listed


async def test_S18_who_calls_is_said_by_the_server(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")
    await ann.register("svc", {"f": lambda: 1}, config={"visibility": "public"})
    forged = {"ws": ann.workspace, "user": {"id": "root"}, "from": ann.address}
    header = {"type": "method", "to": ann.address, "method": "services.svc.f", **forged}
    eve.send(header, {"args": []})
    assert await eve.call(ann.address, "services.svc.f") == 1
    for context in ann.contexts[-2:]:
        assert (context["ws"], context["from"]) == (eve.workspace, eve.address)
        assert context["user"]["id"] == "eve"


async def test_S19_N3_a_reader_changes_nothing(parts: Parts) -> None:
    ann = await user(parts, "ann")
    reader = await Peer.join(
        parts, token=await ann.manager("generate_token", {"permission": "read"})
    )
    await refused(reader, "set_env", "k", "v")
    await refused(reader, "generate_token")
    await refused(reader, "register_service", {"id": f"{reader.address}:s", "config": {}})
    await refused(reader, "update_workspace", ann.workspace, {"owners": ["x"]})
    assert not reader.session.may_broadcast


async def test_N14_other_users_are_shown_by_id_alone(parts: Parts) -> None:
    ann = await user(parts, "ann")
    token = parts.tokens.issue(
        User("bob", email="bob@x.org", scope=Scope({ann.workspace: Permission.READ})),
        expires_in_seconds=600,
    )
    await Peer.join(parts, token=token, workspace=ann.workspace)
    assert "bob@x.org" not in str(await ann.manager("list_clients"))


async def test_N12_a_name_opens_nothing(parts: Parts) -> None:
    ann = await user(parts, "ann")
    eve = await Peer.join(parts, "check-client-exists")
    assert "ermission" in await refused(eve, "ping", ann.address)


async def test_N16_the_relay_keeps_each_services_own_visibility(parts: Parts) -> None:
    ann, eve = await user(parts, "ann"), await user(parts, "eve")

    def shared() -> int:
        return 1

    await ann.register("closed", {"f": shared}, config={"visibility": "protected"})
    await ann.register("ajar", {"f": shared}, config={"visibility": "unlisted"})
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await eve.call(ann.address, "services.closed.f")
    assert await eve.call(ann.address, "services.ajar.f") == 1
