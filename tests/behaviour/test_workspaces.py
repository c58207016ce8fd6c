"""Workspaces and tokens, also of users who are somebody: the test signs for them."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from gateway.auth.tokens import TokenIssuer
from schema.identity import Permission, Scope, User
from tests.behaviour.conftest import SETTINGS
from tests.behaviour.joining import Join
from tests.behaviour.wire import Client, Rejected

ISSUER = TokenIssuer(SETTINGS["POLYPORT_JWT_SECRET"])


def token_of(user_id: str, scope: Scope = Scope(), **user: Any) -> str:  # noqa: B008 - immutable
    return ISSUER.issue(User(user_id, scope=scope, **user), expires_in_seconds=600)


async def somebody(join: Join, **hello: Any) -> Client:
    return await join(token=token_of(f"u{secrets.token_hex(4)}"), **hello)


def name() -> str:
    return f"lab-{secrets.token_hex(4)}"


async def test_a_registered_user_creates_a_workspace_and_owns_it(join: Join) -> None:
    user = await somebody(join)
    user_id = user.info["user"]["id"]
    assert user.workspace == f"ws-user-{user_id}"
    await user.manager("subscribe", ["workspace_loaded", "workspace_status_changed"])
    lab = name()
    info = await user.manager("create_workspace", {"id": lab, "description": "d"})
    assert (info["id"], info["description"], info["owners"]) == (lab, "d", [user_id])
    assert (await user.event("workspace_loaded")).header["data"] == info
    ready = {"workspace": lab, "status": "ready"}
    assert (await user.event("workspace_status_changed")).header["data"] == ready
    home = await user.manager("get_workspace_info")
    assert home["config"]["bookmarks"] == [{"bookmark_type": "workspace", "id": lab}]
    with pytest.raises(Rejected, match=f"Workspace already exists: {lab}"):
        await user.manager("create_workspace", {"id": lab})
    again = await user.manager("create_workspace", {"id": lab, "description": "e"}, overwrite=True)
    assert (again["description"], again["owners"]) == ("e", [user_id])
    inside = await join(token=token_of(user_id), workspace=lab)
    assert inside.workspace == lab
    assert (await inside.manager("check_status"))["user_permission"] == "a"


async def test_workspaces_are_listed_to_those_who_own_or_may_read_them(join: Join) -> None:
    user, stranger = await somebody(join), await somebody(join)
    lab = name()
    await user.manager("create_workspace", {"id": lab})
    listed = {w["id"]: w for w in await user.manager("list_workspaces")}
    assert listed.keys() == {lab, user.workspace}
    keys = {"id", "name", "description", "read_only", "persistent", "owners"}
    assert listed[lab].keys() == keys
    assert listed[lab]["name"] == lab
    assert await user.manager("list_workspaces", {"id": lab}) == [listed[lab]]
    assert len(await user.manager("list_workspaces", limit=1, offset=1)) == 1
    assert lab not in str(await stranger.manager("list_workspaces"))
    for limit in (0, 257):
        with pytest.raises(Rejected, match="limit"):
            await user.manager("list_workspaces", limit=limit)


@pytest.mark.parametrize(
    "bad", ["nohyphen", "Upper-case", "ws-user-somebody", "a b-c", "", None, 7]
)
async def test_a_workspace_needs_a_name_that_is_free_to_take(join: Join, bad: object) -> None:
    user = await somebody(join)
    with pytest.raises(Rejected, match=r"[Ww]orkspace name"):
        await user.manager("create_workspace", {"id": bad})


async def test_anonymous_users_create_no_workspaces(join: Join) -> None:
    anonymous = await join()
    with pytest.raises(Rejected, match=r"Only registered user can create workspace\."):
        await anonymous.manager("create_workspace", {"id": name()})


async def test_a_workspace_is_deleted_by_its_admin_with_all_that_is_in_it(join: Join) -> None:
    user, stranger = await somebody(join), await somebody(join)
    lab = name()
    await user.manager("create_workspace", {"id": lab})
    await user.manager("subscribe", "workspace_deleted")
    inside = await join(token=token_of(user.info["user"]["id"]), workspace=lab)
    await inside.register("s")
    with pytest.raises(Rejected, match="Permission denied for workspace"):
        await stranger.manager("delete_workspace", lab)
    assert await inside.manager("delete_workspace", lab) is None
    assert (await user.event("workspace_deleted")).header["data"]["id"] == lab
    with pytest.raises(Rejected, match="Service not found"):
        await stranger.manager("get_service", f"{lab}/s")
    assert lab not in str(await user.manager("list_workspaces"))


async def test_public_is_no_place_for_a_user_to_be(join: Join) -> None:
    user = await somebody(join, workspace="public")
    assert user.workspace == f"ws-user-{user.info['user']['id']}"


async def test_the_strongest_grant_counts(join: Join) -> None:
    owner = await somebody(join)
    scope = Scope({"*": Permission.ADMIN, owner.workspace: Permission.READ}, owner.workspace)
    client = await join(token=token_of("root-like", scope))
    assert client.workspace == owner.workspace
    assert (await client.manager("check_status"))["user_permission"] == "a"


async def test_a_minted_token_is_for_a_child_and_grants_what_was_asked_for(join: Join) -> None:
    owner = await join()
    for permission, letter in (("read", "r"), ("read_write", "rw"), ("admin", "a"), (None, "rw")):
        config = {"permission": permission} if permission else {}
        child = await owner.manager("parse_token", await owner.manager("generate_token", config))
        assert child["scope"]["workspaces"] == {owner.workspace: letter}
        assert child["scope"]["current_workspace"] == owner.workspace
        assert child["parent"] == owner.info["user"]["id"] != child["id"]
    token = await owner.manager("generate_token", {"expires_in": 60, "extra_scopes": ["x"]})
    child = await owner.manager("parse_token", token)
    assert child["scope"]["extra_scopes"] == ["x"]
    grandchild = await join(token=await owner.manager("generate_token", {"permission": "admin"}))
    token = await grandchild.manager("generate_token")
    parsed = await owner.manager("parse_token", token)
    assert parsed["parent"] == owner.info["user"]["id"]


async def test_only_admins_mint_and_nobody_beyond_what_they_have(join: Join) -> None:
    owner, stranger = await somebody(join), await join()
    for permission in ("read", "read_write"):
        child = await join.member(owner, permission=permission)
        for config in ({}, {"permission": "admin"}, {"workspace": owner.workspace}):
            with pytest.raises(
                Rejected, match=r"^PermissionError: Only admin can generate token\.$"
            ):
                await child.manager("generate_token", config)
    text = f"PermissionError: You do not have any permission for workspace: {owner.workspace}"
    with pytest.raises(Rejected, match=f"^{text}$"):
        await stranger.manager("generate_token", {"workspace": owner.workspace})


async def test_a_token_is_revoked_once_and_by_its_workspace(join: Join) -> None:
    owner, stranger = await join(), await join()
    token = await owner.manager("generate_token")
    with pytest.raises(Rejected, match="Only tokens of this workspace"):
        await stranger.manager("revoke_token", token)
    assert await owner.manager("revoke_token", token) is None
    with pytest.raises(Rejected, match="revoked"):
        await owner.manager("parse_token", token)
    with pytest.raises(Rejected, match=r"^ValueError: Invalid token"):
        await owner.manager("revoke_token", "nonsense")
    expired = ISSUER.issue(User("x"), expires_in_seconds=1e-6)
    with pytest.raises(Rejected, match=r"^ValueError: Token has already expired$"):
        await owner.manager("revoke_token", expired)
