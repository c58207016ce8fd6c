"""Coming in, coming back and leaving."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import (
    Conflict,
    GatewayError,
    InvalidRequest,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    WorkspaceNotFound,
)
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer
from tests.patience import PATIENCE_SECONDS


def token_for(parts: Parts, user_id: str = "ann", seconds: float = 60, **scope: Any) -> str:
    return parts.tokens.issue(User(user_id, scope=Scope(**scope)), expires_in_seconds=seconds)


async def test_every_anonymous_client_is_somebody_else_in_a_workspace_of_its_own(
    parts: Parts,
) -> None:
    first, second = await Peer.join(parts), await Peer.join(parts)
    assert first.workspace != second.workspace
    assert first.workspace == f"ws-user-{first.session.user.id}"
    assert first.session.user.id.startswith("anonymouz-")
    assert first.session.user.scope.permission_on(first.workspace) is Permission.ADMIN


async def test_connection_info_has_what_clients_read(parts: Parts) -> None:
    peer = await Peer.join(parts, "me")
    info = parts.hub.connection_info(peer.session)
    assert info["type"] == "connection_info"
    assert info["workspace"] == peer.workspace
    assert info["client_id"] == "me"
    assert info["manager_id"] == parts.router.manager_id
    assert info["public_base_url"] == "http://127.0.0.1:9527"
    assert info["reconnection_token_life_time"] == 172800.0
    assert info["user"]["id"] == peer.session.user.id
    assert info["reconnection_token"].count(".") == 2


async def test_a_user_is_at_home_unless_the_token_or_the_request_says_otherwise(
    parts: Parts,
) -> None:
    home = await Peer.join(parts, token=token_for(parts))
    assert home.workspace == "ws-user-ann"
    owner = await Peer.join(parts)
    token = await owner.manager("generate_token")
    assert (await Peer.join(parts, token=token)).workspace == owner.workspace
    assert (
        await Peer.join(parts, token=f"Bearer {token}", workspace=owner.workspace)
    ).workspace == owner.workspace


async def test_the_public_workspace_is_for_those_who_may_be_in_it_and_others_get_their_own(
    parts: Parts,
) -> None:
    admin = token_for(parts, "boss", workspaces={"*": Permission.ADMIN})
    assert (await Peer.join(parts, token=admin, workspace="public")).workspace == "public"
    other = await Peer.join(parts, token=token_for(parts), workspace="public")
    assert other.workspace == "ws-user-ann"


@pytest.mark.parametrize(
    ("hello", "error", "text"),
    [
        ({"workspace": "ws-nowhere"}, WorkspaceNotFound, "does not exist or is not accessible"),
        ({"workspace": "ws-user-root"}, PermissionDenied, "Permission denied for workspace"),
        ({"workspace": "public"}, PermissionDenied, "Permission denied for workspace: public"),
        ({"token": "garbage"}, Unauthenticated, "not valid"),
        ({"reconnection_token": "garbage"}, Unauthenticated, "not valid"),
        ({"client_id": "a/b"}, InvalidRequest, "Invalid client id: a/b"),
    ],
)
async def test_who_does_not_get_in_is_told_why(
    parts: Parts, hello: dict[str, Any], error: type[GatewayError], text: str
) -> None:
    from gateway.admission import Hello  # noqa: PLC0415

    with pytest.raises(error, match=text):
        if "client_id" in hello:
            Hello.read(hello)
        else:
            await Peer.join(parts, **hello)
    assert parts.hub.connections == 0


async def test_a_token_is_held_to_its_workspace_client_and_purpose(parts: Parts) -> None:
    owner = await Peer.join(parts)
    pinned = await owner.manager("generate_token", {"client_id": "pinned"})
    assert (await Peer.join(parts, "pinned", token=pinned)).workspace == owner.workspace
    with pytest.raises(PermissionDenied, match="restricted to client"):
        await Peer.join(parts, "other", token=pinned)
    user_token = token_for(parts, current_workspace="ws-user-ann")
    with pytest.raises(PermissionDenied, match="does not match the specified workspace"):
        await Peer.join(parts, token=user_token, workspace=owner.workspace)
    special = token_for(parts, extra_scopes=("file:download",))
    with pytest.raises(PermissionDenied, match="one purpose"):
        await Peer.join(parts, token=special)


async def test_an_id_in_use_is_refused_and_its_owner_keeps_working(parts: Parts) -> None:
    incumbent = await Peer.join(parts, "same")
    await incumbent.register("svc", {"f": lambda: 1})
    token = await incumbent.manager("generate_token")
    with pytest.raises(Conflict, match="Client already exists and is active"):
        await Peer.join(parts, "same", token=token)
    assert [s["id"] for s in await incumbent.manager("list_services")]
    assert await incumbent.manager("echo", 1) == 1


async def test_an_id_whose_owner_does_not_answer_is_taken_over(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.hub.INCUMBENT_SECONDS", 0.05)
    incumbent = await Peer.join(parts, "same")
    token = await incumbent.manager("generate_token")
    incumbent.mute = True
    second = await Peer.join(parts, "same", token=token)
    assert (await incumbent.closed_with)[0] == 1001
    assert parts.router.get("x") is None
    assert parts.router.get(second.address) is second.session


async def test_a_client_that_comes_back_supersedes_itself_and_keeps_its_subscriptions(
    parts: Parts,
) -> None:
    peer = await Peer.join(parts, "me")
    await peer.manager("subscribe", "news")
    token = parts.hub.reconnection_token(peer.session)
    again = await Peer.join(parts, "me", reconnection_token=token)
    await again.register("svc", {"f": lambda: 1})
    peer.leave()  # the old socket's end is noticed late
    assert again.workspace == peer.workspace
    assert parts.router.get(peer.address) is again.session
    assert len(await again.manager("list_services")) == 1
    again.send({"type": "news", "to": "*"})
    await again.event("news")


async def test_a_reconnection_token_is_for_its_client_and_workspace_alone(parts: Parts) -> None:
    peer = await Peer.join(parts, "me")
    token = parts.hub.reconnection_token(peer.session)
    with pytest.raises(PermissionDenied, match="Client id mismatch"):
        await Peer.join(parts, "other", reconnection_token=token)
    with pytest.raises(PermissionDenied, match="workspace mismatch"):
        await Peer.join(parts, "me", reconnection_token=token, workspace="ws-other")
    with pytest.raises(Unauthenticated):
        await Peer.join(parts, "me", token=token)


async def test_an_expired_reconnection_token_falls_back_to_the_token(parts: Parts) -> None:
    again = await Peer.join(parts, "me", reconnection_token="expired", token=token_for(parts))
    assert again.workspace == "ws-user-ann"


async def test_a_restarted_server_lets_an_anonymous_client_back_into_its_workspace(
    parts: Parts,
) -> None:
    key = "x" * 64
    before = build(Settings(ephemeral=True, jwt_secret=key))[0]
    peer = await Peer.join(before, "me")
    token = before.hub.reconnection_token(peer.session)
    after = build(Settings(ephemeral=True, jwt_secret=key))[0]
    again = await Peer.join(after, "me", reconnection_token=token, workspace=peer.workspace)
    assert again.workspace == peer.workspace
    assert again.session.user.id == peer.session.user.id
    assert after.router.manager_id == before.router.manager_id


async def test_a_restarted_server_lets_a_client_with_a_minted_token_back_in_first(
    parts: Parts,
) -> None:
    key = "x" * 64
    before = build(Settings(ephemeral=True, jwt_secret=key))[0]
    owner = await Peer.join(before)
    token = await owner.manager("generate_token")
    guest = await Peer.join(before, "guest", token=token)
    reconnection = before.hub.reconnection_token(guest.session)
    for hello in ({"reconnection_token": reconnection}, {"token": token}):
        after = build(Settings(ephemeral=True, jwt_secret=key))[0]
        assert (await Peer.join(after, "guest", **hello)).workspace == owner.workspace
        record = after.workspaces.require(owner.workspace)
        assert record.owner == owner.session.user.id
        assert not record.persistent


async def test_a_stopping_server_answers_what_is_in_flight_then_closes_with_going_away(
    parts: Parts,
) -> None:
    caller, provider = await Peer.join(parts), await Peer.join(parts)
    release = asyncio.Event()

    async def slow(service_id: str) -> dict[str, Any]:
        await release.wait()
        return {"id": service_id}

    full_id = await provider.register("svc", {})
    provider.functions["services.built-in.get_service"] = slow
    calling = asyncio.create_task(caller.manager("get_service", full_id))
    await asyncio.sleep(0)
    draining = asyncio.create_task(parts.hub.drain())
    await asyncio.sleep(0)
    assert parts.hub.is_draining
    with pytest.raises(Unavailable):
        await Peer.join(parts)
    assert not caller.closed_with.done()
    release.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await calling)["id"] == full_id
        await draining
        assert (await caller.closed_with)[0] == 1001


async def test_a_service_that_went_with_the_stopping_server_is_unavailable_and_not_missing(
    parts: Parts,
) -> None:
    provider = await Peer.join(parts)
    full_id = await provider.register("svc", {"f": lambda: 1})
    workspace, _, rest = full_id.partition("/")
    caller = await parts.gateway.authenticate(Credentials())
    closing = asyncio.create_task(parts.hub.drain())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await provider.closed_with
        provider.leave()
        await closing
    with pytest.raises(Unavailable, match="stopping"):
        await parts.gateway.find_service(caller, workspace, rest)
