"""API keys at the waist and on websockets: what they are good for, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.auth.api_keys import ApiKeys
from gateway.auth.function_access import FunctionAccess
from gateway.auth.revocations import Revocations
from gateway.settings import Settings
from gateway.storage.api_keys import ApiKeyRepository
from gateway.storage.database import Database
from gateway.storage.function_access import FunctionAccessRepository
from gateway.storage.revocations import RevocationRepository
from schema.access import FunctionRule
from schema.errors import PermissionDenied, ServiceNotFound, Unauthenticated
from schema.identity import Caller, Permission, User
from tests.gateway.peer import Peer, RemoteFailure


async def ann(parts: Parts) -> Peer:
    token = parts.tokens.issue(User("ann"), expires_in_seconds=600)
    return await Peer.join(parts, token=token)


async def key_of(owner: Peer, **config: Any) -> dict[str, Any]:
    made: dict[str, Any] = await owner.manager("generate_api_key", "ci", **config)
    return made


async def test_a_key_acts_in_its_workspace_and_is_listed_without_itself(parts: Parts) -> None:
    owner = await ann(parts)
    made = await key_of(owner)
    assert made["key"].startswith("pp_")
    (entry,) = await owner.manager("list_api_keys")
    assert (entry["name"], entry["last_used_at"]) == ("ci", None)
    assert "key" not in entry and made["key"] not in str(entry)
    caller = await parts.gateway.authenticate(Credentials(made["key"]))
    assert (caller.workspace, caller.user.effective_id) == (owner.workspace, "ann")
    (entry,) = await owner.manager("list_api_keys")
    assert entry["last_used_at"] is not None
    program = await Peer.join(parts, token=made["key"])
    assert program.workspace == owner.workspace
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await program.manager("set_env", "k", "v")


async def test_a_revoked_key_is_refused_and_whoever_came_with_it_is_disconnected(
    parts: Parts,
) -> None:
    owner = await ann(parts)
    made = await key_of(owner, permission="admin")
    program = await Peer.join(parts, token=made["key"])
    child = await program.manager("generate_token")
    await owner.manager("revoke_api_key", made["id"])
    assert (await program.closed_with)[0] == 1008
    for token in (made["key"], child):
        with pytest.raises(Unauthenticated):
            await parts.gateway.authenticate(Credentials(token))
    assert await owner.manager("list_api_keys") == []


async def test_a_key_goes_with_the_login_that_made_it(parts: Parts) -> None:
    owner = await ann(parts)
    made = await key_of(owner)
    other = await ann(parts)
    await parts.authentication.revoke(owner.session.user)
    with pytest.raises(Unauthenticated):
        await parts.gateway.authenticate(Credentials(made["key"]))
    assert await other.manager("list_api_keys") == []


async def test_a_key_does_not_come_back_when_the_revocation_of_its_login_is_forgotten(
    tmp_path: Path,
) -> None:
    """A revocation is remembered for as long as tokens live; keys may live longer."""
    now = 1e9
    database = Database(Settings(data_dir=tmp_path))
    await database.open()
    login = User("ann", lineage=("login",))

    async def opened() -> tuple[Revocations, ApiKeys]:
        revocations = Revocations(RevocationRepository(database), clock=lambda: now)
        await revocations.load()
        keys = ApiKeys(revocations, ApiKeyRepository(database), clock=lambda: now)
        await keys.load()
        return revocations, keys

    revocations, keys = await opened()
    made = [
        (await keys.make(Caller(login, "ws-lab"), name="k", workspace="ws-lab",
                         permission=Permission.READ, functions=None, expires_in=None))[0]
        for _ in range(2)
    ]  # fmt: skip
    assert keys.user(made[0]).effective_id == "ann"
    await revocations.revoke("login", seconds=10)
    await keys.close()
    now += 11
    revocations, keys = await opened()
    assert not revocations.covers(login)
    for key in made:
        with pytest.raises(Unauthenticated):
            keys.user(key)
    await database.close()


async def test_only_users_themselves_make_keys_and_only_administrators_see_them(
    parts: Parts,
) -> None:
    owner = await ann(parts)
    made = await key_of(owner, permission="admin")
    minted = await owner.manager("generate_token", {"permission": "admin"})
    for peer in (
        await Peer.join(parts),
        await Peer.join(parts, token=minted),
        await Peer.join(parts, token=made["key"]),
    ):
        with pytest.raises(RemoteFailure, match="Permission denied: log in"):
            await key_of(peer)
    stranger = await Peer.join(parts)
    for name, args in (("list_api_keys", ()), ("revoke_api_key", (made["id"],))):
        with pytest.raises(RemoteFailure, match="Permission denied"):
            await stranger.manager(name, *args, workspace=owner.workspace)


async def test_a_key_for_certain_functions_is_good_for_nothing_else(parts: Parts) -> None:
    owner = await ann(parts)
    for name in ("one", "two"):
        await owner.register(name, {"f": lambda: 1, "g": lambda: 2})
    made = await key_of(owner, permission="admin", functions=["one/f"])
    caller = await parts.gateway.authenticate(Credentials(made["key"]))
    found = await parts.gateway.find_service(caller, owner.workspace, "one")
    assert set(found.functions) == {"f"}
    assert await parts.gateway.call(caller, found, "f") == 1
    with pytest.raises((PermissionDenied, ServiceNotFound)):
        await parts.gateway.find_service(caller, owner.workspace, "two")
    program = await Peer.join(parts, token=made["key"])
    assert await program.call(owner.address, "services.one.f") == 1
    for method in ("services.one.g", "services.two.f"):
        with pytest.raises(RemoteFailure, match=r"not found|Permission denied"):
            await program.call(owner.address, method)
    for name, args in (("generate_token", ()), ("list_clients", ()), ("get_env", ())):
        with pytest.raises(RemoteFailure, match=r"certain functions|Only admin"):
            await program.manager(name, *args)
    back = parts.tokens.verify(parts.hub.reconnection_token(program.session), purpose="reconnect")
    assert back.scope.functions == frozenset({"one/f"})


@pytest.mark.parametrize("token", ["pp_", "pp_x", "pp_" + "a" * 43, "pp_\udcff"])
async def test_a_key_that_was_never_made_is_refused(parts: Parts, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await parts.gateway.authenticate(Credentials(token))


async def test_keys_rules_and_revocations_survive_a_restart(tmp_path: Any) -> None:
    settings = Settings(data_dir=tmp_path, port=9527)
    parts = build(settings)[0]
    await parts.load()
    owner = await ann(parts)
    kept, gone = await key_of(owner), await key_of(owner)
    token = await owner.manager("generate_token")
    await owner.manager("revoke_token", token)
    await owner.manager("revoke_api_key", gone["id"])
    await owner.manager("restrict_function", "svc", "f", users=["bob"])
    await parts.gateway.authenticate(Credentials(kept["key"]))
    rules = parts.functions.listed(owner.workspace)
    await parts.close()
    again = build(settings)[0]
    await again.load()
    assert (await again.gateway.authenticate(Credentials(kept["key"]))).user.id == kept["id"]
    (entry,) = again.api_keys.listed(owner.workspace)
    assert entry["last_used_at"] is not None
    for refused in (gone["key"], token):
        with pytest.raises(Unauthenticated):
            await again.gateway.authenticate(Credentials(refused))
    assert again.functions.listed(owner.workspace) == rules
    await again.close()
    assert kept["key"].encode() not in b"".join(
        path.read_bytes() for path in tmp_path.iterdir() if path.is_file()
    )


async def test_closing_waits_for_the_uses_that_are_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(Settings(data_dir=tmp_path))
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(ApiKeyRepository):
        async def note_uses(self, used_at: Mapping[str, float]) -> None:
            begun.set()
            await go_on.wait()
            await super().note_uses(used_at)

    monkeypatch.setattr("gateway.auth.api_keys._REMEMBER_SECONDS", 0.0)
    keys = ApiKeys(Revocations(), Slow(database), clock=lambda: 1000.0)
    key, entry = await keys.make(
        Caller(User("ann"), "ann-lab"),
        name="ci",
        workspace="ann-lab",
        permission=Permission.READ,
        functions=None,
        expires_in=None,
    )
    keys.user(key)
    await begun.wait()
    keys.user(key)  # and what comes meanwhile
    closing = asyncio.ensure_future(keys.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    (stored,) = await ApiKeyRepository(database).load()
    assert (stored.id, stored.last_used_at) == (entry["id"], 1000.0)
    await database.close()


async def test_what_two_take_back_at_the_same_time_is_gone_for_both(tmp_path: Path) -> None:
    database = Database(Settings(data_dir=tmp_path))
    try:
        keys = ApiKeys(Revocations(RevocationRepository(database)), ApiKeyRepository(database))
        for workspace in ("ws-user-ann", "ann-lab"):
            _, entry = await keys.make(
                Caller(User("ann"), workspace),
                name="ci",
                workspace=workspace,
                permission=Permission.READ,
                functions=None,
                expires_in=None,
            )
            await asyncio.gather(
                keys.revoke(workspace, entry["id"]), keys.forget_workspace(workspace)
            )
            assert keys.listed(workspace) == []
        functions = FunctionAccess(FunctionAccessRepository(database))
        key = ("ann-lab", "svc", "secret")
        for other in (functions.release(key), functions.forget_workspace("ann-lab")):
            await functions.restrict(key, FunctionRule.read({"users": ["bob"]}))
            await asyncio.gather(functions.release(key), other)
            assert functions.listed("ann-lab") == []
    finally:
        await database.close()
