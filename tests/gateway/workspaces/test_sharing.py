"""Workspaces between users: who gets in, who sees what, and what is over when it is taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import GatewayError, TokenRevoked
from schema.identity import User
from schema.services import Visibility
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


def token_of(parts: Parts, user_id: str, **user: Any) -> str:
    """What a login gives."""
    return parts.tokens.issue(User(user_id, **user), expires_in_seconds=600)


async def logged_in(parts: Parts, user_id: str, workspace: str | None = None, **user: Any) -> Peer:
    return await Peer.join(parts, token=token_of(parts, user_id, **user), workspace=workspace)


@pytest.fixture
async def alice(parts: Parts) -> Peer:
    """The owner of my-lab, connected elsewhere."""
    peer = await logged_in(parts, "alice")
    await peer.manager("create_workspace", {"id": "my-lab", "persistent": True})
    return peer


async def test_a_workspace_is_shared_by_user_address_and_role(parts: Parts, alice: Peer) -> None:
    with pytest.raises(GatewayError, match="Permission denied for workspace"):
        await logged_in(parts, "bob", "my-lab")
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="read_write")
    await alice.manager("share_workspace", "my-lab", email="Carol@Lab.example", permission="r")
    await alice.manager("share_workspace", "my-lab", role="curator", permission="admin")

    bob = await logged_in(parts, "bob", "my-lab")
    carol = await logged_in(
        parts, "carol", "my-lab", email="carol@lab.example", email_verified=True
    )
    dora = await logged_in(parts, "dora", "my-lab", roles=("curator",))
    held = [(await p.manager("check_status"))["user_permission"] for p in (bob, carol, dora)]
    assert held == ["rw", "r", "a"]
    with pytest.raises(GatewayError, match="Permission denied"):
        await logged_in(parts, "eve", "my-lab", email="carol@lab.example")


async def test_members_are_listed_and_addresses_only_to_those_who_share(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="read_write")
    await alice.manager("share_workspace", "my-lab", email="carol@lab.example")
    bob = await logged_in(parts, "bob", "my-lab")
    owner = {"user_id": "alice", "permission": "admin", "is_owner": True}
    other = {"user_id": "bob", "permission": "read_write", "is_owner": False}
    carol = {"email": "carol@lab.example", "permission": "read", "is_owner": False}
    assert await alice.manager("list_members", "my-lab") == [owner, carol, other]
    assert await bob.manager("list_members") == [owner, other]
    assert await alice.manager("list_members", "my-lab", 1, 1) == [carol]


async def test_an_owner_acts_on_a_workspace_without_being_there(parts: Parts, alice: Peer) -> None:
    assert alice.workspace == "ws-user-alice"
    changed = await alice.manager("update_workspace", "my-lab", {"description": "new"})
    assert changed["description"] == "new"
    assert (await alice.manager("get_workspace_info", "my-lab"))["description"] == "new"
    assert await alice.manager("list_clients", "my-lab") == []
    token = await alice.manager("generate_token", {"workspace": "my-lab"})
    guest = await Peer.join(parts, token=token)
    await guest.register("svc", {}, config={"visibility": "protected"})
    # What is closed to other workspaces is found from where it can be called.
    with pytest.raises(RemoteFailure, match="Permission denied for non-public service"):
        await alice.manager("get_service", "my-lab/svc")
    assert await alice.manager("list_services", {"workspace": "my-lab"}) == []
    there = await logged_in(parts, "alice", "my-lab")
    assert (await there.manager("get_service", "my-lab/svc"))["id"].startswith("my-lab/")
    await alice.manager("delete_workspace", "my-lab")
    assert (await guest.closed_with)[0] == 1008


async def test_a_member_who_is_connected_elsewhere_loses_access_at_once(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="admin")
    bob = await logged_in(parts, "bob")
    assert (await bob.manager("get_workspace_info", "my-lab"))["id"] == "my-lab"
    assert [w["id"] for w in await bob.manager("list_workspaces")] == ["my-lab", "ws-user-bob"]
    await alice.manager("unshare_workspace", "my-lab", user_id="bob")
    with pytest.raises(RemoteFailure, match="Permission denied for workspace my-lab"):
        await bob.manager("get_workspace_info", "my-lab")
    assert [w["id"] for w in await bob.manager("list_workspaces")] == ["ws-user-bob"]


async def test_a_member_who_is_there_is_disconnected_and_does_not_come_back(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="admin")
    bob = await logged_in(parts, "bob", "my-lab")
    carol = await logged_in(parts, "alice", "my-lab")
    reconnection = parts.hub.reconnection_token(bob.session)
    await alice.manager("unshare_workspace", "my-lab", user_id="bob")
    assert await bob.closed_with == (1008, "The workspace my-lab is no longer shared")
    bob.leave()
    with pytest.raises(GatewayError, match="Permission denied for workspace"):
        await Peer.join(parts, bob.session.client_id, reconnection_token=reconnection)
    assert not carol.closed_with.done()


async def test_a_member_who_may_do_less_comes_back_with_that(parts: Parts, alice: Peer) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="admin")
    bob = await logged_in(parts, "bob", "my-lab")
    reconnection = parts.hub.reconnection_token(bob.session)
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="read")
    assert (await bob.closed_with)[0] == 1001
    bob.leave()
    again = await Peer.join(parts, bob.session.client_id, reconnection_token=reconnection)
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await again.manager("set_env", "KEY", "value")


async def test_a_client_that_comes_back_still_acts_on_its_other_workspaces(
    parts: Parts, alice: Peer
) -> None:
    reconnection = parts.hub.reconnection_token(alice.session)
    alice.break_off()
    again = await Peer.join(parts, alice.session.client_id, reconnection_token=reconnection)
    assert (await again.manager("get_workspace_info", "my-lab"))["id"] == "my-lab"


async def test_tokens_of_a_deleted_workspace_are_good_for_nothing(
    parts: Parts, alice: Peer
) -> None:
    token = await alice.manager("generate_token", {"workspace": "my-lab", "permission": "admin"})
    assert (await parts.gateway.authenticate(Credentials(token))).workspace == "my-lab"
    await alice.manager("delete_workspace", "my-lab")
    with pytest.raises(TokenRevoked):
        await parts.gateway.authenticate(Credentials(token))
    with pytest.raises(RemoteFailure, match="Permission denied for workspace my-lab"):
        await alice.manager("get_workspace_info", "my-lab")

    bob = await logged_in(parts, "bob")
    await bob.manager("create_workspace", {"id": "my-lab"})
    with pytest.raises(GatewayError, match="Permission denied for workspace"):
        await Peer.join(parts, token=token)
    caller = await parts.gateway.authenticate(Credentials(token))
    assert caller.permission_on("my-lab") is None


@pytest.mark.parametrize("permission", ["read", "read_write"])
async def test_s6_overwriting_takes_more_than_a_token_to_use_the_workspace(
    parts: Parts, alice: Peer, permission: str
) -> None:
    config = {"workspace": "my-lab", "permission": permission}
    guest = await Peer.join(parts, token=await alice.manager("generate_token", config))
    bob = await logged_in(parts, "bob")
    for stranger in (guest, bob):
        with pytest.raises(
            RemoteFailure, match=r"may not overwrite|Permission denied for workspace"
        ):
            await stranger.manager("create_workspace", {"id": "my-lab"}, True)
    changes = {"id": "my-lab", "description": "new", "owners": ["bob"]}
    again = await alice.manager("create_workspace", changes, True)
    assert (again["description"], again["owners"]) == ("new", ["alice"])
    for name in ("public", "ws-user-root"):
        with pytest.raises(RemoteFailure, match="may not overwrite"):
            await bob.manager("create_workspace", {"id": name}, True)


async def test_s4_what_one_cannot_read_is_not_bookmarked(parts: Parts, alice: Peer) -> None:
    here = await logged_in(parts, "alice", "my-lab")
    await here.register("closed", {}, config={"visibility": "protected"})
    await here.register("open", {})
    bob = await logged_in(parts, "bob")
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await bob.manager("bookmark", {"bookmark_type": "workspace", "id": "my-lab"})
    for missing in ("my-lab/closed", "my-lab/nothing"):
        with pytest.raises(RemoteFailure, match="Service not found"):
            await bob.manager("bookmark", {"bookmark_type": "service", "id": missing})
    entry = {"bookmark_type": "service", "id": "my-lab/open"}
    await bob.manager("bookmark", entry)
    info = await bob.manager("get_workspace_info")
    assert info["config"]["bookmarks"] == [entry]


async def test_s14_n2_a_stranger_learns_nothing_of_a_workspace(parts: Parts, alice: Peer) -> None:
    here = await logged_in(parts, "alice", "my-lab")
    await here.manager("set_env", "KEY", "hunter2")
    bob = await logged_in(parts, "bob")
    for function in ("list_clients", "get_workspace_info", "list_members", "list_service_types"):
        with pytest.raises(RemoteFailure, match="Permission denied"):
            await bob.manager(function, "my-lab")
    record = await here.manager("get_workspace_info")
    events = [await here.manager("get_events"), await here.manager("get_summary")]
    assert "hunter2" not in str([record, events])
    assert "env_set" in str(events)


async def test_n3_writing_into_a_workspace_does_not_make_an_owner(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="read_write")
    config = {"workspace": "my-lab", "permission": "read_write"}
    child = await Peer.join(parts, token=await alice.manager("generate_token", config))
    bob = await logged_in(parts, "bob", "my-lab")
    for writer in (bob, child):
        await writer.manager("set_env", "KEY", "value")
        await writer.manager("register_service_type", {"id": writer.session.client_id})
        attempts: tuple[tuple[Any, ...], ...] = (
            ("generate_token", {}),
            ("share_workspace", "my-lab", "mallory"),
            ("unshare_workspace", "my-lab", "bob"),
            ("update_workspace", "my-lab", {"owners": ["bob"]}),
            ("delete_workspace", "my-lab"),
        )
        for refused in attempts:
            with pytest.raises(RemoteFailure, match=r"denied|Only admin"):
                await writer.manager(*refused)
    assert (await alice.manager("get_workspace_info", "my-lab"))["owners"] == ["alice"]


async def test_n14_clients_and_services_do_not_show_the_addresses_of_others(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob")
    here = await logged_in(parts, "alice", "my-lab", email="alice@lab.example")
    await here.register("svc", {})
    bob = await logged_in(parts, "bob", "my-lab")
    seen = [await bob.manager(f) for f in ("list_clients", "list_services", "get_summary")]
    assert "alice@lab.example" not in str(seen)
    assert "scope" not in str(seen[1:])


async def test_a_restarted_server_knows_its_workspaces_and_lets_their_clients_back_in(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, port=9527)
    before = build(settings)[0]
    await before.load()
    alice = await logged_in(before, "alice")
    await alice.manager("create_workspace", {"id": "short-lab"})
    here = await logged_in(before, "alice", "short-lab")
    await here.manager("set_env", "KEY", "value")
    await here.manager("log_event", "measured", {"value": 1})
    reconnection = before.hub.reconnection_token(here.session)
    await before.close()

    after = build(settings)[0]
    await after.load()
    again = await Peer.join(after, here.session.client_id, reconnection_token=reconnection)
    assert await again.manager("get_env", "KEY") == "value"
    (event,) = await again.manager("get_events", "measured")
    assert event["data"] == {"value": 1}
    assert await again.manager("get_event_stats") == [
        {"event_type": "env_set", "count": 1},
        {"event_type": "measured", "count": 1},
    ]
    await after.close()


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    grace = getattr(request, "param", 60.0)
    return Settings(ephemeral=True, port=9527, workspace_unload_grace_seconds=grace)


@pytest.mark.parametrize("settings", [0.05], indirect=True)
async def test_an_empty_workspace_goes_after_a_while_unless_it_is_to_stay(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("create_workspace", {"id": "short-lab"})
    staying, going = [await logged_in(parts, "alice", w) for w in ("my-lab", "short-lab")]
    staying.leave()
    going.leave()
    assert parts.workspaces.get("short-lab") is not None
    again = await logged_in(parts, "alice", "short-lab")  # in time: it stays
    await alice.manager("subscribe", "workspace_unloaded")
    again.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while parts.workspaces.get("short-lab") is not None:
            await asyncio.sleep(0.01)
    assert [w["id"] for w in await alice.manager("list_workspaces")] == ["my-lab", "ws-user-alice"]
    assert (await alice.event("workspace_unloaded"))["data"]["id"] == "short-lab"


async def test_over_http_a_caller_is_made_once_and_anew_when_memberships_change(
    parts: Parts, alice: Peer
) -> None:
    credentials = Credentials(token_of(parts, "bob"))
    outside = await parts.gateway.authenticate(credentials, "my-lab")
    assert outside.workspace == "ws-user-bob"
    assert await parts.gateway.authenticate(credentials, "my-lab") is outside
    await alice.manager("share_workspace", "my-lab", user_id="bob")
    inside = await parts.gateway.authenticate(credentials, "my-lab")
    assert inside.workspace == "my-lab"
    assert await parts.gateway.authenticate(credentials, "my-lab") is inside
    await alice.manager("unshare_workspace", "my-lab", user_id="bob")
    again = await parts.gateway.authenticate(credentials, "my-lab")
    assert again.workspace == "ws-user-bob"
    assert again.permission_on("my-lab") is None


async def test_tokens_that_a_member_made_are_void_when_the_member_has_to_go(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="admin")
    bob = await logged_in(parts, "bob", "my-lab")
    token = await bob.manager("generate_token", {"permission": "admin"})
    child = await Peer.join(parts, token=token)
    reconnection = parts.hub.reconnection_token(child.session)
    kept = await alice.manager("generate_token", {"workspace": "my-lab"})

    await alice.manager("unshare_workspace", "my-lab", user_id="bob")
    assert (await child.closed_with)[0] == 1008
    child.leave()
    for hello in ({"token": token}, {"reconnection_token": reconnection}):
        with pytest.raises(GatewayError, match="Permission denied for workspace"):
            await Peer.join(parts, child.session.client_id, **hello)
    caller = await parts.gateway.authenticate(Credentials(token))
    assert caller.permission_on("my-lab") is None
    await Peer.join(parts, token=kept)

    await alice.manager("share_workspace", "my-lab", user_id="bob", permission="admin")
    with pytest.raises(GatewayError, match="Permission denied for workspace"):
        await Peer.join(parts, token=token)
    bob = await logged_in(parts, "bob", "my-lab")
    await Peer.join(parts, token=await bob.manager("generate_token"))


@pytest.mark.parametrize("settings", [0.0], indirect=True)
async def test_a_workspace_in_which_the_gateway_hosts_a_service_stays_for_the_other_doors(
    parts: Parts, alice: Peer
) -> None:
    await alice.manager("create_workspace", {"id": "short-lab"})
    sid = parts.hosting.id_of("short-lab", "hosted")

    async def handler(call: Any) -> None:
        """Never called."""

    parts.hosting.publish(parts.hosting.describe(sid, {}, visibility=Visibility.PUBLIC), handler)
    (await logged_in(parts, "alice", "short-lab")).leave()
    await asyncio.sleep(0)
    assert parts.registry.get(sid) is not None
    parts.hosting.withdraw(sid)
    (await logged_in(parts, "alice", "short-lab")).leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while parts.workspaces.get("short-lab") is not None:
            await asyncio.sleep(0)


async def test_nothing_of_a_deleted_workspace_is_found_in_the_next_one_of_its_name(
    parts: Parts, alice: Peer
) -> None:
    made = await alice.manager("generate_api_key", "ci", "admin", "my-lab")
    await alice.manager("restrict_function", "svc", "f", users=["alice"], workspace="my-lab")
    await alice.manager("delete_workspace", "my-lab")
    bob = await logged_in(parts, "bob")
    await bob.manager("create_workspace", {"id": "my-lab"})
    assert await bob.manager("list_api_keys", "my-lab") == []
    assert await bob.manager("list_function_access", "my-lab") == []
    with pytest.raises(GatewayError):
        await parts.gateway.authenticate(Credentials(made["key"]))
