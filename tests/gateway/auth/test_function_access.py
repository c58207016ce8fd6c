"""Functions that only some may call: not there for others, by whatever way they ask."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gateway.api import Credentials
from gateway.app import Parts
from gateway.auth import function_access
from schema.access import FunctionLimits, FunctionRule, declared_rules
from schema.errors import FunctionNotFound, InvalidRequest, LimitExceeded
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure

RULES = {"secret": {"users": ["bob"]}, "deep": {"roles": ["staff"]}}


async def provider(parts: Parts, **config: Any) -> Peer:
    owner = await Peer.join(parts, "provider")
    functions = {"open": lambda: "open", "secret": lambda: "secret", "deep": lambda: "deep"}
    await owner.register("svc", functions, config={"visibility": "public", **config})
    return owner


def token(parts: Parts, user: User) -> str:
    return parts.tokens.issue(user, expires_in_seconds=600)


async def caller(parts: Parts, user: User) -> Caller:
    return await parts.gateway.authenticate(Credentials(token(parts, user)))


def functions_in(value: dict[str, Any]) -> set[str]:
    return set(value) & {"open", "secret", "deep"}


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        (User("eve"), {"open"}),
        (User("bob"), {"open", "secret"}),
        (User("kim", roles=("staff",)), {"open", "deep"}),
        (User("bob-2", parent="bob"), {"open"}),
        (User("root", roles=("admin",)), {"open", "secret", "deep"}),
    ],
)
async def test_a_caller_sees_and_calls_what_the_provider_lets_it(
    parts: Parts, user: User, seen: set[str]
) -> None:
    owner = await provider(parts, access=RULES)
    asking = await caller(parts, user)
    found = await parts.gateway.find_service(asking, owner.workspace, "svc")
    (listed, *_) = await parts.gateway.list_services(asking, owner.workspace)
    for entry in (found, listed):
        assert set(entry.functions) == seen
        assert "access" not in entry.to_wire()["config"]
    assert functions_in(await parts.gateway.read(asking, found)) == seen
    for name in ("open", "secret", "deep"):
        if name in seen:
            assert await parts.gateway.call(asking, found, name) == name
        else:
            with pytest.raises(FunctionNotFound):
                await parts.gateway.call(asking, found, name)


async def test_websocket_clients_see_and_call_no_more(parts: Parts) -> None:
    owner = await provider(parts, access=RULES)
    neighbour = await Peer.join(parts, token=await owner.manager("generate_token"))
    stranger = await Peer.join(parts)
    friend = await Peer.join(parts, token=token(parts, User("bob")))
    for peer, seen in (
        (neighbour, {"open"}),
        (stranger, {"open"}),
        (friend, {"open", "secret"}),
        (owner, {"open", "secret", "deep"}),
    ):
        service = await peer.manager("get_service", f"{owner.workspace}/svc")
        assert functions_in(service) == seen
        assert "access" not in service["config"]
        (entry,) = await peer.manager("list_services", {"workspace": owner.workspace})
        assert functions_in(entry["service_schema"]) == seen
        if peer is owner:
            continue
        for name in ("open", "secret", "deep"):
            if name in seen:
                assert await peer.call(owner.address, f"services.svc.{name}") == name
            else:
                with pytest.raises(RemoteFailure, match="Method not found"):
                    await peer.call(owner.address, f"services.svc.{name}")


@pytest.mark.parametrize(
    "method", ["services.svc.secret.__call__", "services.svc.secret.x", "services.svc"]
)
async def test_a_denied_function_has_no_other_name(parts: Parts, method: str) -> None:
    owner = await provider(parts, access=RULES)
    stranger = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="not found"):
        await stranger.call(owner.address, method)


async def test_a_call_in_chunks_is_held_to_the_same(parts: Parts) -> None:
    owner = await provider(parts, access=RULES)
    stranger = await Peer.join(parts)
    header = {"type": "method", "to": owner.address, "method": "services.svc.secret"}
    whole = msgpack.packb(header) + msgpack.packb({"args": []})
    cache = "services.built-in.message_cache"
    called: list[str] = []
    for name in ("create", "set", "process"):
        owner.functions[f"{cache}.{name}"] = lambda *_, name=name: called.append(name)
    await stranger.call(owner.address, f"{cache}.create", "k")
    await stranger.call(owner.address, f"{cache}.set", "k", 0, whole)
    with pytest.raises(RemoteFailure, match="Method not found"):
        await stranger.call(owner.address, f"{cache}.process", "k")
    assert called == ["create", "set"]


async def test_the_provider_is_not_asked_to_show_what_is_denied(parts: Parts) -> None:
    owner = await provider(parts, access=RULES)
    neighbour = await Peer.join(parts, token=await owner.manager("generate_token"))
    for asked in ("svc", f"{owner.address}:svc", {"service_id": "svc"}, None):
        with pytest.raises(RemoteFailure, match="Service not found"):
            await neighbour.call(owner.address, "services.built-in.get_service", asked)


async def test_an_owner_restricts_what_others_provide_and_everybody_is_told(parts: Parts) -> None:
    owner = await provider(parts)
    neighbour = await Peer.join(parts, token=await owner.manager("generate_token"))
    asking = await caller(parts, User("eve"))
    version = parts.gateway.workspace_version(owner.workspace)
    await owner.manager("restrict_function", "svc", "secret", users=["bob"])
    assert parts.gateway.workspace_version(owner.workspace) != version
    found = await parts.gateway.find_service(asking, owner.workspace, "svc")
    assert set(found.functions) == {"open", "deep"}
    with pytest.raises(RemoteFailure, match="Method not found"):
        await neighbour.call(owner.address, "services.svc.secret")
    assert await owner.manager("list_function_access") == [
        {"service_id": "svc", "function": "secret", "users": ["bob"]}
    ]
    await owner.manager("unrestrict_function", "svc", "secret")
    assert await neighbour.call(owner.address, "services.svc.secret") == "secret"


async def test_a_workspace_that_has_all_its_rules_can_change_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(function_access, "MAX_RULES", 1)
    access = function_access.FunctionAccess()
    await access.restrict(("lab", "svc", "secret"), FunctionRule.read({"users": ["bob"]}))
    with pytest.raises(LimitExceeded, match="at most 1 rules"):
        await access.restrict(("lab", "svc", "deep"), FunctionRule.read({"users": ["bob"]}))
    await access.restrict(("lab", "svc", "secret"), FunctionRule.read({"users": ["kim"]}))
    (rule,) = access.listed("lab")
    assert (rule["function"], rule["users"]) == ("secret", ["kim"])


async def test_only_who_administers_a_workspace_restricts_there(parts: Parts) -> None:
    owner = await provider(parts)
    neighbour = await Peer.join(parts, token=await owner.manager("generate_token"))
    stranger = await Peer.join(parts)
    for peer, where in ((neighbour, None), (stranger, owner.workspace)):
        for name, args in (
            ("restrict_function", ("svc", "open")),
            ("unrestrict_function", ("svc", "open")),
            ("list_function_access", ()),
        ):
            with pytest.raises(RemoteFailure, match="Permission denied"):
                await peer.manager(name, *args, workspace=where)


async def test_events_tell_nobody_of_a_restricted_function(parts: Parts) -> None:
    owner = await Peer.join(parts, "provider")
    neighbour = await Peer.join(parts, token=await owner.manager("generate_token"))
    await neighbour.manager("subscribe", "service_added")
    await owner.register("svc", {"open": int, "secret": int}, config={"access": RULES})
    event = await neighbour.event("service_added")
    assert functions_in(event["data"]["service_schema"]) == {"open"}


@pytest.mark.parametrize(
    "access",
    [
        "bob",
        ["secret"],
        {"secret": "bob"},
        {"secret": {"users": "bob"}},
        {"secret": {"user": ["bob"]}},
        {"secret": {"users": [""]}},
    ],
)
async def test_a_rule_with_a_mistake_lets_nobody_register(parts: Parts, access: Any) -> None:
    owner = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="access"):
        await owner.register("svc", {"secret": int}, config={"access": access})


def test_a_rule_may_stand_in_the_schema_of_its_function() -> None:
    leaf = {"type": "function", "function": {"name": "f", "access": {"emails": ["A@x.org"]}}}
    rules = declared_rules({}, {"a": {"f": leaf}})
    assert rules == {"a.f": FunctionRule(emails=frozenset({"a@x.org"}))}
    with pytest.raises(InvalidRequest):
        declared_rules({}, {"f": {"type": "function", "function": {"access": {"x": []}}}})


def test_limits_hold_for_what_is_above_and_below() -> None:
    limits = FunctionLimits(frozenset({"a.b"}))
    assert [limits.allows(path) for path in ("a", "a.b", "a.b.c", "a.bc", "c")] == [
        False,
        False,
        False,
        True,
        True,
    ]


async def test_an_address_counts_once_it_is_verified(parts: Parts) -> None:
    owner = await provider(parts, access={"secret": {"emails": ["Bob@x.org"]}})
    for verified in (True, False):
        user = User("u", email="bob@X.org", email_verified=verified)
        found = await parts.gateway.find_service(await caller(parts, user), owner.workspace, "svc")
        assert ("secret" in found.functions) is verified


async def test_one_view_is_made_for_all_who_see_the_same(parts: Parts) -> None:
    owner = await provider(parts, access=RULES)
    found = [
        await parts.gateway.find_service(await caller(parts, User(name)), owner.workspace, "svc")
        for name in ("eve", "eva", "bob")
    ]
    assert found[0] is found[1] is not found[2]


async def test_a_protected_service_is_closed_to_direct_calls_from_elsewhere(parts: Parts) -> None:
    owner = await Peer.join(parts, "provider")
    await owner.register("closed", {"f": lambda: 1}, config={"visibility": "protected"})
    await owner.register("ajar", {"f": lambda: 1}, config={"visibility": "unlisted"})
    stranger = await Peer.join(parts)
    member = User("m", scope=Scope({owner.workspace: Permission.READ}))
    guest = await Peer.join(parts, token=token(parts, member), workspace=None)
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await stranger.call(owner.address, "services.closed.f")
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await stranger.call(owner.address, "services.built-in.get_service", "closed")
    assert await stranger.call(owner.address, "services.ajar.f") == 1
    assert await guest.call(owner.address, "services.closed.f") == 1
    assert await stranger.call(owner.address, "services.built-in.ping", "ping") == "pong"
